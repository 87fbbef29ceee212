import TuttiSchedule

/// What an algorithm costs, in the terms of `docs/ALGORITHMS.md`, for each level of the groups. The tests count the same on
/// the schedules.
public struct AlgorithmCost: Hashable, Sendable {
  /// What travels at one level, that is between ranks that are in one group at this level and in different ones at the next.
  ///
  /// Volumes are multiples of the collective's data: of the message, or of all ranks' blocks together.
  public struct Level: Hashable, Sendable {
    /// The number of messages that follow one another on the longest path from an input to an output.
    public var rounds: Int
    /// The number of messages that the busiest rank sends or receives, whichever is more.
    public var messages: Int
    /// The volume that the busiest rank sends or receives, whichever is more.
    public var volume: Double
    /// The number of messages of all ranks together.
    public var totalMessages: Int
    /// The volume that all ranks send together.
    public var totalVolume: Double

    /// - Parameters: See the properties of these names.
    public init(rounds: Int, messages: Int, volume: Double, totalMessages: Int, totalVolume: Double) {
      self.rounds = rounds
      self.messages = messages
      self.volume = volume
      self.totalMessages = totalMessages
      self.totalVolume = totalVolume
    }

    /// Gives what both cost together, one after the other.
    public static func + (a: Level, b: Level) -> Level {
      Level(
        rounds: a.rounds + b.rounds, messages: a.messages + b.messages, volume: a.volume + b.volume,
        totalMessages: a.totalMessages + b.totalMessages, totalVolume: a.totalVolume + b.totalVolume)
    }
  }

  /// By level, from level 0 (all ranks) on. An algorithm that knows nothing of groups has only that one.
  public var levels: [Level]

  /// Makes the cost of an algorithm that works level by level.
  ///
  /// - Parameter levels: By level, from level 0 on.
  public init(levels: [Level]) { self.levels = levels }

  /// Makes the cost of an algorithm that knows nothing of groups.
  ///
  /// - Parameters: See ``Level``.
  public init(rounds: Int, messages: Int, volume: Double, totalMessages: Int, totalVolume: Double) {
    levels = [
      Level(
        rounds: rounds, messages: messages, volume: volume, totalMessages: totalMessages, totalVolume: totalVolume)
    ]
  }

  /// The cost where all ranks send as much as each other.
  static func evenly(rounds: Int, messages: Int, volume: Double, rankCount: Int) -> AlgorithmCost {
    AlgorithmCost(
      rounds: rounds, messages: messages, volume: volume, totalMessages: messages * rankCount,
      totalVolume: volume * Double(rankCount))
  }
}
