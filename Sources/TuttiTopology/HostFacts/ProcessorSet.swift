/// A set of processors by the kernel's numbers: what a thread may run on, or what belongs to a node. Text and files write
/// it as `0-3,8`.
///
/// Invariant: the last word is not 0, so that equal sets are equal.
package struct ProcessorSet: Hashable, Sendable {
  /// The most that Linux can be made for (`NR_CPUS`).
  package static let numbersMax = 8192
  package static let wordsMax = numbersMax / 64

  /// Bit n of word w stands for processor 64 w + n.
  package let words: [UInt64]

  /// - Parameter words: At most ``wordsMax``; zeros at the end are left out.
  package init(words: some Sequence<UInt64>) {
    var words = Array(words)
    while words.last == 0 { words.removeLast() }
    precondition(words.count <= Self.wordsMax, "a processor has a number below \(Self.numbersMax)")
    self.words = words
  }

  /// - Parameter numbers: From 0 to ``numbersMax`` - 1.
  package init(_ numbers: some Sequence<Int>) {
    var words = [UInt64](repeating: 0, count: Self.wordsMax)
    for number in numbers { words[number / 64] |= 1 << UInt64(number % 64) }
    self.init(words: words)
  }

  /// The set that a list such as `0-3,8` says; an empty list, as of a node without processors, is the empty set.
  ///
  /// - Returns: nil when it is not a list, or has a number of ``numbersMax`` or above.
  package init?(list: some StringProtocol) {
    guard let ranges = Self.ranges(list: list), ranges.allSatisfy({ $0.upperBound < Self.numbersMax }) else { return nil }
    self.init(ranges.joined())
  }

  /// The ranges of a list, in its order; nil when it is not one.
  package static func ranges(list: some StringProtocol) -> [ClosedRange<Int>]? {
    if list.isEmpty { return [] }
    var ranges: [ClosedRange<Int>] = []
    for part in list.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false)
      // Int takes a sign too.
      guard ends.count <= 2, ends.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } }),
        let low = Int(ends[0]), let high = Int(ends[ends.count - 1]), low <= high
      else { return nil }
      ranges.append(low...high)
    }
    return ranges
  }

  package var isEmpty: Bool { words.isEmpty }
  package var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

  package func contains(_ number: Int) -> Bool {
    number >= 0 && number / 64 < words.count && words[number / 64] >> UInt64(number % 64) & 1 != 0
  }

  /// In ascending order.
  package var numbers: [Int] { words.indices.flatMap { word in (64 * word..<64 * word + 64).filter(contains) } }

  package func union(_ other: ProcessorSet) -> ProcessorSet { combined(other, |) }
  package func intersection(_ other: ProcessorSet) -> ProcessorSet { combined(other, &) }
  package func subtracting(_ other: ProcessorSet) -> ProcessorSet { combined(other) { $0 & ~$1 } }
  package func isSubset(of other: ProcessorSet) -> Bool { subtracting(other).isEmpty }

  private func combined(_ other: ProcessorSet, _ combine: (UInt64, UInt64) -> UInt64) -> ProcessorSet {
    ProcessorSet(
      words: (0..<max(words.count, other.words.count)).map { index in
        combine(index < words.count ? words[index] : 0, index < other.words.count ? other.words[index] : 0)
      })
  }
}

extension ProcessorSet: CustomStringConvertible {
  /// The list as the kernel writes it: `0-3,8`.
  package var description: String {
    var parts: [String] = []
    var run: (first: Int, last: Int)?
    for number in numbers + [-1] {
      if let current = run {
        if number == current.last + 1 {
          run = (current.first, number)
          continue
        }
        parts.append(current.first == current.last ? "\(current.first)" : "\(current.first)-\(current.last)")
      }
      run = (number, number)
    }
    return parts.joined(separator: ",")
  }
}
