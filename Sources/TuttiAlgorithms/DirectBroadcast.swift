import TuttiSchedule

/// Direct: the root sends everything to everyone, as one send: over shared memory it is written once.
public struct DirectBroadcast: Algorithm {
  public var name: String { "direct" }
  public var identifier: UInt8 { 42 }
  public var collective: Collective { .broadcast }

  public init() {}

  public func schedule(rank: Int, rankCount: Int, root: Int) -> Schedule {
    guard rankCount > 1 else { return copyOnly(.broadcast) }
    var program = ScheduleBuilder(.broadcast, rank: rank, rankCount: rankCount, root: root, chunkCount: 1)
    if rank == root {
      program.send([.input(0)], to: (1..<rankCount).map { (root + $0) % rankCount })
      program.copy([.output(0)], from: [.input(0)])
    } else {
      program.receive([.output(0)], from: root)
    }
    return program.finish()
  }

  public func cost(rankCount: Int) -> AlgorithmCost? {
    let others = rankCount - 1
    return AlgorithmCost(
      rounds: min(others, 1), messages: others, volume: Double(others), totalMessages: others, totalVolume: Double(others))
  }
}
