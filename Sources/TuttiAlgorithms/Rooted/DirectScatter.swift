import TuttiSchedule

/// Direct scatter: the root sends each rank its block, where it is received in place.
public struct DirectScatter: Algorithm {
  public var name: String { "direct" }
  public var collective: Collective { .scatter }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount, root) = (position.rank, position.rankCount, position.root)
    guard rankCount > 1 else { return copyOnly(.scatter) }
    var program = ScheduleBuilder(.scatter, for: position, chunkCount: rankCount)
    if rank == root {
      for distance in 1..<rankCount {
        let peer = (root + distance) % rankCount
        program.send([.input(peer)], to: peer)
      }
      program.copy([.output(rank)], from: [.input(rank)])
    } else {
      program.receive([.output(rank)], from: root)
    }
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? { DirectGather().cost(for: grouping) }
}
