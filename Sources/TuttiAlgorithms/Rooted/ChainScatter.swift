import TuttiSchedule

/// Pipelined chain scatter: blocks go from the root through all ranks, the furthest first. A rank passes on what is not its
/// own without storing it; its own block comes last.
public struct ChainScatter: Algorithm {
  public var name: String { "chain" }
  public var collective: Collective { .scatter }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount, root) = (position.rank, position.rankCount, position.root)
    guard rankCount > 1 else { return copyOnly(.scatter) }
    var program = ScheduleBuilder(.scatter, for: position, chunkCount: rankCount)
    let position = (rank - root).wrapped(rankCount)
    let previous = (rank - 1).wrapped(rankCount)
    let next = (rank + 1) % rankCount
    for further in (position + 1..<max(rankCount, position + 1)).reversed() {
      let block = (further + root) % rankCount
      if rank == root {
        program.send([.input(block)], to: next)
      } else {
        let passing = program.receiveSlot([.output(block)], from: previous)
        program.forward([.output(block)], [passing], to: next)
      }
    }
    if rank == root {
      program.copy([.output(rank)], from: [.input(rank)])
    } else {
      program.receive([.output(rank)], from: previous)
    }
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? { ChainGather().cost(for: grouping) }
}
