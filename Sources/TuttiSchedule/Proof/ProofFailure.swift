/// What the verifier proves of the schedules of all ranks together. The numbers are those of `docs/ALGORITHMS.md`.
package enum ProvenProperty: Int, Sendable, CaseIterable {
  /// Each output chunk has what the collective promises: each rank's contribution exactly once, or a copy of the right chunk
  /// of the right rank; and the combines that complete the data are those that say so. Barrier: no rank leaves before every
  /// rank has entered.
  case postcondition = 1
  /// All ranks end with the same reduction tree, up to swapping the two operands of a combine.
  case sameTree = 2
  /// Every send has its receive, of the same size and order.
  case matchedMessages = 3
  /// The waits of all ranks on one another have no cycle, with a credit of one segment.
  case noDeadlock = 4
  /// Nothing is read before it is written or overwritten before its last read; everything stays in bounds.
  case memory = 5

  package var name: String {
    switch self {
    case .postcondition: "postcondition"
    case .sameTree: "same reduction tree on all ranks"
    case .matchedMessages: "matched messages"
    case .noDeadlock: "no deadlock"
    case .memory: "memory"
    }
  }
}

/// A counterexample: where a schedule breaks one of the five properties.
package struct ProofFailure: Error, Hashable, Sendable, CustomStringConvertible {
  package let property: ProvenProperty
  package let collective: Collective
  package let rankCount: Int
  package let root: Int
  /// What was being proven, in words: in place or not, and the sizes of the chunks.
  package let setting: String
  /// The rank at fault; -1 when no single rank is.
  package let rank: Int
  /// Index of that rank's step; -1 when no single step is at fault.
  package let step: Int
  /// The step in words; empty when there is none.
  package let stepText: String
  /// The chunk concerned; -1 when no single chunk is.
  package let chunk: Int
  package let expected: String
  package let found: String
  /// Further lines, such as a cycle of waits; few enough for a screen.
  package let details: [String]

  package var description: String {
    var lines = [
      "not proven: property \(property.rawValue), \(property.name)",
      "  \(collective.name), \(rankCount) rank\(rankCount == 1 ? "" : "s"), root \(root)"
        + (setting.isEmpty ? "" : ", " + setting),
    ]
    var place: [String] = []
    if rank >= 0 { place.append("rank \(rank)") }
    if step >= 0 { place.append("step \(step)") }
    if chunk >= 0 { place.append("chunk \(chunk)") }
    if !place.isEmpty {
      lines.append("  at " + place.joined(separator: ", ") + (stepText.isEmpty ? "" : ": " + stepText))
    }
    lines.append("  expected: \(expected)")
    lines.append("  found:    \(found)")
    lines.append(contentsOf: details.map { "  " + $0 })
    return lines.joined(separator: "\n")
  }
}

/// How much was proven.
package struct ProofReport: Hashable, Sendable {
  package var rankCount = 0
  /// Steps of the schedules of all ranks.
  package var steps = 0
  /// Messages from one rank to another.
  package var messages = 0
  /// Segment events ordered and executed symbolically, over all settings.
  package var events = 0
  /// Waits between events, over all settings.
  package var waits = 0
  /// By which trees results fold; nil where nothing is combined. Of several proofs together, what holds for all.
  package var foldClass: FoldClass?

  package init() {}

  package static func += (sum: inout ProofReport, part: ProofReport) {
    sum.rankCount = max(sum.rankCount, part.rankCount)
    sum.steps += part.steps
    sum.messages += part.messages
    sum.events += part.events
    sum.waits += part.waits
    sum.foldClass = .joined(sum.foldClass, part.foldClass)
  }
}
