import TuttiSchedule

/// A collective algorithm: a pure function from a rank to its program.
///
/// Whoever conforms writes data, not communication: the verifier proves the schedules of all ranks before they first run.
public protocol Algorithm: Sendable {
  /// The name on the command line and in reports, in kebab-case; unique within its collective.
  var name: String { get }
  var collective: Collective { get }
  /// The name on the wire, by which ranks notice that they chose differently; unique, and never renumbered.
  var identifier: UInt8 { get }
  /// Whether the algorithm can serve this many ranks.
  func isDefined(rankCount: Int) -> Bool
  /// The program of one rank, generated in O(its own steps).
  ///
  /// - Parameters:
  ///   - rank: In `0..<rankCount`.
  ///   - root: In `0..<rankCount`; 0, and without meaning, for collectives that have no root.
  func schedule(rank: Int, rankCount: Int, root: Int) -> Schedule
}

extension Algorithm {
  public func isDefined(rankCount: Int) -> Bool { rankCount >= 1 }
}

/// The all-reduce of a single rank: its input is the result.
func copyOnly(rank: Int) -> Schedule {
  var program = ScheduleBuilder(.allReduce, rank: rank, rankCount: 1, chunkCount: 1)
  program.copy([.output(0)], from: [.input(0)])
  return program.finish()
}

extension Int {
  /// The representative of `self` modulo `count` in `0..<count`, also for negative numbers.
  func wrapped(_ count: Int) -> Int {
    let remainder = self % count
    return remainder < 0 ? remainder + count : remainder
  }
}
