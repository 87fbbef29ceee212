import TuttiSchedule

/// A collective algorithm: a pure function from a rank to its program.
///
/// Whoever conforms writes data, not communication: the verifier proves the schedules of all ranks before they first run.
public protocol Algorithm: Sendable {
  /// The name on the command line and in reports, in kebab-case; unique within its collective.
  var name: String { get }
  /// What it computes.
  var collective: Collective { get }
  /// The name on the wire, by which ranks notice that they chose differently; unique, and never renumbered. 1 to 127 are
  /// the library's, 128 to 255 are for users' own algorithms.
  var identifier: UInt8 { get }
  /// Whether the algorithm can serve this many ranks; by default any number of them.
  func isDefined(rankCount: Int) -> Bool
  /// The program of one rank, generated in O(its own steps): a pure function, since what is proven must be what runs.
  ///
  /// - Parameters:
  ///   - rank: In `0..<rankCount`.
  ///   - root: In `0..<rankCount`; 0, and without meaning, for collectives that have no root.
  func schedule(rank: Int, rankCount: Int, root: Int) -> Schedule
  /// What it costs, for the automatic choice; nil, the default: it is only used where it is asked for by name.
  func cost(rankCount: Int) -> AlgorithmCost?
}

extension Algorithm {
  public func isDefined(rankCount: Int) -> Bool { rankCount >= 1 }
  public func cost(rankCount: Int) -> AlgorithmCost? { nil }
}

/// What an algorithm costs, in the terms of `docs/ALGORITHMS.md`. The tests count the same on the schedules.
///
/// Volumes are multiples of the collective's data: of the message, or of all ranks' blocks together.
public struct AlgorithmCost: Hashable, Sendable {
  /// Messages that follow one another on the longest path from an input to an output.
  public var rounds: Int
  /// Messages that the busiest rank sends, or receives, whichever are more.
  public var messages: Int
  /// What the busiest rank sends, or receives, whichever is more.
  public var volume: Double
  /// Messages of all ranks together.
  public var totalMessages: Int
  /// What all ranks send together.
  public var totalVolume: Double

  /// - Parameters: See the properties of these names.
  public init(rounds: Int, messages: Int, volume: Double, totalMessages: Int, totalVolume: Double) {
    self.rounds = rounds
    self.messages = messages
    self.volume = volume
    self.totalMessages = totalMessages
    self.totalVolume = totalVolume
  }

  /// The cost where all ranks send as much as each other.
  static func evenly(rounds: Int, messages: Int, volume: Double, rankCount: Int) -> AlgorithmCost {
    AlgorithmCost(
      rounds: rounds, messages: messages, volume: volume, totalMessages: messages * rankCount,
      totalVolume: volume * Double(rankCount))
  }
}

/// Any collective of a single rank: its input is the result.
func copyOnly(_ collective: Collective) -> Schedule {
  var program = ScheduleBuilder(collective, rank: 0, rankCount: 1, chunkCount: 1)
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
