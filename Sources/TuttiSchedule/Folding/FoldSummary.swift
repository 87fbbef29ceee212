/// At which rank counts an algorithm folds by the canonical tree, and at which by one other tree.
package struct FoldSummary: Hashable, Sendable {
  private var canonical: [Int] = []
  private var one: [Int] = []
  private var several: [Int] = []

  package init() {}

  /// - Parameters:
  ///   - foldClass: nil where nothing is combined.
  ///   - rankCount: More than that of the last call.
  package mutating func add(_ foldClass: FoldClass?, rankCount: Int) {
    switch foldClass {
    case .canonical: canonical.append(rankCount)
    case .one: one.append(rankCount)
    case .several: several.append(rankCount)
    case nil: break
    }
  }

  /// The rank counts with the canonical tree: `all`, `none`, or `1 to 5 and 8`.
  package var canonicalText: String { text(canonical) }
  /// The rank counts with one other tree.
  package var oneText: String { text(one) }

  /// `folds canonically at 1 to 3 ranks, by one other tree at 4`; nil where nothing is combined.
  package var description: String? {
    if canonical.isEmpty, one.isEmpty, several.isEmpty { return nil }
    let parts = [
      (canonical, "canonically"), (one, "by one other tree"), (several, "by several trees"),
    ].filter { !$0.0.isEmpty }
    if parts.count == 1 { return "folds \(parts[0].1)" }
    return "folds " + parts.map { "\($0.1) at \(text($0.0))" }.joined(separator: ", ") + " ranks"
  }

  private func text(_ numbers: [Int]) -> String {
    if numbers.isEmpty { return "none" }
    if numbers.count == canonical.count + one.count + several.count { return "all" }
    var runs: [ClosedRange<Int>] = []
    for number in numbers {
      if let last = runs.last, last.upperBound + 1 == number {
        runs[runs.count - 1] = last.lowerBound...number
      } else {
        runs.append(number...number)
      }
    }
    let words = runs.flatMap { run in
      run.count > 2 ? ["\(run.lowerBound) to \(run.upperBound)"] : run.map { "\($0)" }
    }
    if words.count == 1 { return words[0] }
    return words.dropLast().joined(separator: ", ") + " and \(words[words.count - 1])"
  }
}
