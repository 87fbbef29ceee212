import TuttiSchedule

/// Pipelined chain gather: blocks go downwards through all ranks to the root. A rank sends its own block first, then passes
/// on what follows without storing it.
public struct ChainGather: Algorithm {
  public var name: String { "chain" }
  public var collective: Collective { .gather }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount, root) = (position.rank, position.rankCount, position.root)
    guard rankCount > 1 else { return copyOnly(.gather) }
    var program = ScheduleBuilder(.gather, for: position, chunkCount: rankCount)
    let position = (rank - root).wrapped(rankCount)
    let previous = (rank - 1).wrapped(rankCount)
    let next = (rank + 1) % rankCount
    /// The blocks that arrive from the next rank, in their order.
    let following = (position + 1..<max(rankCount, position + 1)).map { ($0 + root) % rankCount }
    if rank == root {
      program.copy([.output(rank)], from: [.input(rank)])
      for block in following { program.receive([.output(block)], from: next) }
    } else {
      program.send([.input(rank)], to: previous)
      for block in following {
        let passing = program.receiveSlot([.output(block)], from: next)
        program.forward([.output(block)], [passing], to: previous)
      }
    }
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    let links = rankCount - 1
    return AlgorithmCost(
      rounds: links, messages: links, volume: Double(links) / Double(rankCount), totalMessages: links * rankCount / 2,
      totalVolume: Double(links) / 2)
  }
}
