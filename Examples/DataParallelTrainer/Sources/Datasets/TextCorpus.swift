// A text to learn to continue: read, encoded, split, and cut into windows.

import Foundation

/// Tokens in the order of the text, and windows of it: a model reads `context` tokens and predicts the one after each.
public struct TokenSequence: Sendable, Equatable {
  public let tokens: [Int32]

  public init(_ tokens: [Int32]) { self.tokens = tokens }

  /// The number of windows that lie side by side and stay inside the text, whatever the shift of
  /// ``windows(_:context:shift:)``.
  ///
  /// - Complexity: O(1). `tokens.count / context - 1`, and 0 for a text shorter than two windows.
  public func windowCount(context: Int) -> Int { max(tokens.count / context - 1, 0) }

  /// Window `i` begins at token `i * context + shift`; its targets begin one token later.
  ///
  /// - Parameters:
  ///   - indices: Each in `0..<windowCount(context:)`.
  ///   - shift: In `0..<context`. ``Sampler/shift(step:below:)`` gives another one for each epoch, so that the model does
  ///     not see the same cuts again and again.
  /// - Returns: Inputs and targets, each of shape `[indices.count, context]`.
  public func windows(_ indices: [Int], context: Int, shift: Int = 0) -> (inputs: [Int32], targets: [Int32]) {
    precondition((0..<context).contains(shift), "a shift of \(shift) is not in 0..<\(context)")
    var inputs: [Int32] = []
    var targets: [Int32] = []
    inputs.reserveCapacity(indices.count * context)
    targets.reserveCapacity(indices.count * context)
    for index in indices {
      let start = index * context + shift
      inputs += tokens[start..<start + context]
      targets += tokens[start + 1...start + context]
    }
    return (inputs, targets)
  }
}

/// A text as tokens: the first nine tenths are for training, the last tenth for validation.
public struct TextCorpus: Sendable {
  /// The vocabulary of the whole text, so that the validation part has no character without a token.
  public let vocabulary: Vocabulary
  public let train: TokenSequence
  public let validation: TokenSequence
  /// The loss, in nats a character, of a model that knows only how frequent each character is: `-sum(p ln p)` over the
  /// frequencies `p` in the whole text (Shannon, Bell System Technical Journal 27(3), 1948). For the text that comes with
  /// the example it is 3.179; a model that has learnt anything about the order of characters has a lower loss.
  public let unigramEntropy: Double

  static let validationShare = 10
  static let committed = CommittedFile(
    name: "devils-dictionary.txt", byteCount: 354_526,
    sha256: "93bd3e212c3438bff3557114a1fae8766ead2b2dc2754f003d975af38347a09c")

  /// - Parameters:
  ///   - source: `nil` for the text that comes with the example; else a text file in UTF-8, or a folder with exactly one
  ///     file whose name ends with `.txt`.
  ///   - context: The length of the windows; both parts must have at least one window.
  /// - Throws: `.unreadable`, `.damaged`, `.notUTF8`, `.tooSmall`.
  public static func load(from source: URL? = nil, context: Int = 1) throws(DatasetError) -> TextCorpus {
    precondition(context > 0, "a context has at least one character")
    guard let source else {
      return try committed.load(at: committed.locate()) { file throws(DatasetError) in try TextCorpus(file, context: context)
      }
    }
    let expected = "a text file, or a folder with exactly one file *.txt"
    let url = try DataFile.find(in: source, expected: expected) { $0.filter { $0.hasSuffix(".txt") } }
    return try TextCorpus(DataFile(url, expected: expected, advice: "make sure that you may read it"), context: context)
  }

  init(_ file: DataFile, context: Int) throws(DatasetError) {
    guard let text = String(validating: file.bytes, as: UTF8.self) else {
      throw .notUTF8(path: file.path, offset: TextCorpus.validPrefix(of: file.bytes))
    }
    vocabulary = Vocabulary(of: text)
    let tokens = try vocabulary.encode(text)
    let trainCount = tokens.count - tokens.count / TextCorpus.validationShare
    train = TokenSequence(Array(tokens[..<trainCount]))
    validation = TokenSequence(Array(tokens[trainCount...]))
    unigramEntropy = TextCorpus.entropy(of: tokens, vocabularyCount: vocabulary.count)
    guard train.windowCount(context: context) > 0, validation.windowCount(context: context) > 0 else {
      throw .tooSmall(
        path: file.path,
        expected: "at least \(2 * context * TextCorpus.validationShare) characters, for windows of \(context) in both parts",
        found: "\(tokens.count) characters")
    }
  }

  /// The entropy in nats a token; 0 without tokens.
  static func entropy(of tokens: [Int32], vocabularyCount: Int) -> Double {
    var counts = [Int](repeating: 0, count: vocabularyCount)
    for token in tokens { counts[Int(token)] += 1 }
    return counts.reduce(0) { sum, count in
      guard count > 0 else { return sum }
      let share = Double(count) / Double(tokens.count)
      return sum - share * log(share)
    }
  }

  /// How many bytes from the start are whole characters of UTF-8.
  static func validPrefix(of bytes: Data) -> Int {
    var decoder = UTF8()
    var iterator = bytes.makeIterator()
    var count = 0
    while case .scalarValue(let scalar) = decoder.decode(&iterator) { count += UTF8.width(scalar) }
    return count
  }
}
