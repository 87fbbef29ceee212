import TuttiSchedule

/// Pipelined chain reduce: partial results go from the rank before the root through all ranks, downwards, to the root,
/// segment by segment; each rank folds its own input with what arrives and passes it on without storing it.
///
/// It folds in rank order from the root on, wrapping around, from the right.
public struct ChainReduce: Algorithm {
  public var name: String { "chain" }
  public var collective: Collective { .reduce }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount, root) = (position.rank, position.rankCount, position.root)
    guard rankCount > 1 else { return copyOnly(.reduce) }
    var program = ScheduleBuilder(.reduce, for: position, chunkCount: 1)
    let previous = (rank - 1).wrapped(rankCount)
    let next = (rank + 1) % rankCount
    if next == root {
      program.send([.input(0)], to: previous)
    } else {
      let partial = program.receiveSlot([.output(0)], from: next)
      if rank == root {
        program.reduce([.output(0)], [.input(0), partial], completes: true)
      } else {
        program.forward([.output(0)], [.input(0), partial], to: previous)
      }
    }
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? { ChainBroadcast().cost(for: grouping) }
}
