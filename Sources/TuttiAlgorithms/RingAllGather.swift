import TuttiSchedule

/// Ring all-gather (Thakur, Rabenseifner & Gropp, IJHPCA 19(1), 2005): every block goes round the ring, and each rank keeps
/// it and passes it on.
public struct RingAllGather: Algorithm {
  public var name: String { "ring" }
  public var identifier: UInt8 { 30 }
  public var collective: Collective { .allGather }

  public init() {}

  public func schedule(rank: Int, rankCount: Int, root: Int) -> Schedule {
    guard rankCount > 1 else { return copyOnly(.allGather) }
    var program = ScheduleBuilder(.allGather, rank: rank, rankCount: rankCount, root: root, chunkCount: rankCount)
    let next = (rank + 1) % rankCount
    let previous = (rank - 1).wrapped(rankCount)
    program.send([.input(rank)], to: next)
    program.copy([.output(rank)], from: [.input(rank)])
    for distance in 1..<rankCount {
      let block = (rank - distance).wrapped(rankCount)
      program.receive([.output(block)], from: previous)
      if distance < rankCount - 1 { program.send([.output(block)], to: next) }
    }
    return program.finish()
  }

  public func cost(rankCount: Int) -> AlgorithmCost? {
    .evenly(
      rounds: rankCount - 1, messages: rankCount - 1, volume: Double(rankCount - 1) / Double(rankCount), rankCount: rankCount
    )
  }
}
