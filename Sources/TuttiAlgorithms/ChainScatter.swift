import TuttiSchedule

/// Pipelined chain: blocks go from the root through all ranks, the furthest first. A rank passes on what is not its own
/// without storing it; its own block comes last.
public struct ChainScatter: Algorithm {
  public var name: String { "chain" }
  public var identifier: UInt8 { 71 }
  public var collective: Collective { .scatter }

  public init() {}

  public func schedule(rank: Int, rankCount: Int, root: Int) -> Schedule {
    guard rankCount > 1 else { return copyOnly(.scatter) }
    var program = ScheduleBuilder(.scatter, rank: rank, rankCount: rankCount, root: root, chunkCount: rankCount)
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

  public func cost(rankCount: Int) -> AlgorithmCost? { ChainGather().cost(rankCount: rankCount) }
}
