import TuttiSchedule

/// Direct barrier: everyone tells rank 0, which tells everyone. It takes two rounds at any number of ranks, and the fewest
/// messages. It is for ranks that share processors, where it counts how often each of them must run.
public struct DirectBarrier: Algorithm {
  public var name: String { "direct" }
  public var collective: Collective { .barrier }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    var program = ScheduleBuilder(.barrier, for: position, chunkCount: 1)
    if rank == 0 {
      let others = Array(1..<rankCount)
      if others.isEmpty { return program.finish() }
      let news = others.map { program.receiveSlot([.output(0)], from: $0) }
      program.reduce([.output(0)], [.input(0)] + news)
      program.send([.output(0)], to: others)
    } else {
      program.send([.input(0)], to: 0)
      program.receive([.output(0)], from: 0)
    }
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    return AlgorithmCost(
      rounds: min(rankCount - 1, 1) * 2, messages: rankCount - 1, volume: 0, totalMessages: 2 * (rankCount - 1),
      totalVolume: 0)
  }
}
