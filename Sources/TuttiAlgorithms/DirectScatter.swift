import TuttiSchedule

/// Direct: the root sends everyone its block, where it is received in place.
public struct DirectScatter: Algorithm {
  public var name: String { "direct" }
  public var identifier: UInt8 { 72 }
  public var collective: Collective { .scatter }

  public init() {}

  public func schedule(rank: Int, rankCount: Int, root: Int) -> Schedule {
    guard rankCount > 1 else { return copyOnly(.scatter) }
    var program = ScheduleBuilder(.scatter, rank: rank, rankCount: rankCount, root: root, chunkCount: rankCount)
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

  public func cost(rankCount: Int) -> AlgorithmCost? { DirectGather().cost(rankCount: rankCount) }
}
