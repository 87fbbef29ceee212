import TuttiSchedule

/// Direct: everyone sends its block to the root, where it is received in place.
public struct DirectGather: Algorithm {
  public var name: String { "direct" }
  public var identifier: UInt8 { 62 }
  public var collective: Collective { .gather }

  public init() {}

  public func schedule(rank: Int, rankCount: Int, root: Int) -> Schedule {
    guard rankCount > 1 else { return copyOnly(.gather) }
    var program = ScheduleBuilder(.gather, rank: rank, rankCount: rankCount, root: root, chunkCount: rankCount)
    if rank == root {
      for distance in 1..<rankCount {
        let peer = (root + distance) % rankCount
        program.receive([.output(peer)], from: peer)
      }
      program.copy([.output(rank)], from: [.input(rank)])
    } else {
      program.send([.input(rank)], to: root)
    }
    return program.finish()
  }

  public func cost(rankCount: Int) -> AlgorithmCost? {
    let others = rankCount - 1
    let volume = Double(others) / Double(rankCount)
    return AlgorithmCost(
      rounds: min(others, 1), messages: others, volume: volume, totalMessages: others, totalVolume: volume)
  }
}
