import TuttiSchedule

/// Direct: everyone sends its block to everyone, as one send.
///
/// Peers are taken in rotated order, so that not all send to rank 0 first. The second phase of ``TwoShotAllReduce``.
public struct DirectAllGather: Algorithm {
  public var name: String { "direct" }
  public var identifier: UInt8 { 34 }
  public var collective: Collective { .allGather }

  public init() {}

  public func schedule(rank: Int, rankCount: Int, root: Int) -> Schedule {
    guard rankCount > 1 else { return copyOnly(.allGather) }
    var program = ScheduleBuilder(.allGather, rank: rank, rankCount: rankCount, root: root, chunkCount: rankCount)
    let others = (1..<rankCount).map { (rank + $0) % rankCount }
    program.send([.input(rank)], to: others)
    program.copy([.output(rank)], from: [.input(rank)])
    for peer in others.reversed() { program.receive([.output(peer)], from: peer) }
    return program.finish()
  }

  public func cost(rankCount: Int) -> AlgorithmCost? {
    .evenly(
      rounds: min(rankCount - 1, 1), messages: rankCount - 1, volume: Double(rankCount - 1) / Double(rankCount),
      rankCount: rankCount)
  }
}
