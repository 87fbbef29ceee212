import TuttiSchedule

/// Pipelined chain broadcast: the data goes from the root through all ranks in order, segment by segment.
///
/// Every link carries the data once, and no rank sends anything twice. For large messages no broadcast takes less time; it
/// costs n - 1 latencies.
public struct ChainBroadcast: Algorithm {
  public var name: String { "chain" }
  public var collective: Collective { .broadcast }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount, root) = (position.rank, position.rankCount, position.root)
    guard rankCount > 1 else { return copyOnly(.broadcast) }
    var program = ScheduleBuilder(.broadcast, for: position, chunkCount: 1)
    let next = (rank + 1) % rankCount
    if rank == root {
      program.send([.input(0)], to: next)
      program.copy([.output(0)], from: [.input(0)])
    } else {
      program.receive([.output(0)], from: (rank - 1).wrapped(rankCount))
      if next != root { program.send([.output(0)], to: next) }
    }
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    let links = rankCount - 1
    return AlgorithmCost(
      rounds: links, messages: min(links, 1), volume: Double(min(links, 1)), totalMessages: links, totalVolume: Double(links)
    )
  }
}
