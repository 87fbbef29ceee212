// The characters of a text as numbers: token i is the i-th of the different characters in order of their code points.

/// A vocabulary of single characters (Unicode scalars), sorted, so that equal texts give equal tokens.
public struct Vocabulary: Sendable, Equatable {
  public let characters: [Unicode.Scalar]
  private let tokens: [Unicode.Scalar: Int32]

  public var count: Int { characters.count }

  public init(of text: some StringProtocol) {
    characters = Set(text.unicodeScalars).sorted()
    tokens = Dictionary(uniqueKeysWithValues: characters.enumerated().map { ($1, Int32($0)) })
  }

  /// - Throws: `.unknownCharacter` with its place in `text`.
  public func encode(_ text: some StringProtocol) throws(DatasetError) -> [Int32] {
    var encoded: [Int32] = []
    encoded.reserveCapacity(text.utf8.count)
    for character in text.unicodeScalars {
      guard let token = tokens[character] else { throw .unknownCharacter(character, offset: encoded.count) }
      encoded.append(token)
    }
    return encoded
  }

  /// - Precondition: Every token is in `0..<count`.
  public func decode(_ tokens: some Sequence<Int32>) -> String {
    var text = String.UnicodeScalarView()
    for token in tokens { text.append(characters[Int(token)]) }
    return String(text)
  }
}
