import TuttiSchedule

/// Direct all-gather: every rank sends its block to all others, as one send.
///
/// Peers are taken in rotated order, so that not all send to rank 0 first. This is the second phase of ``TwoShotAllReduce``.
public struct DirectAllGather: Algorithm {
  public var name: String { "direct" }
  public var collective: Collective { .allGather }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    guard rankCount > 1 else { return copyOnly(.allGather) }
    var program = ScheduleBuilder(.allGather, for: position, chunkCount: rankCount)
    let others = (1..<rankCount).map { (rank + $0) % rankCount }
    program.send([.input(rank)], to: others)
    program.copy([.output(rank)], from: [.input(rank)])
    for peer in others.reversed() { program.receive([.output(peer)], from: peer) }
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    return .evenly(
      rounds: min(rankCount - 1, 1), messages: rankCount - 1, volume: Double(rankCount - 1) / Double(rankCount),
      rankCount: rankCount)
  }
}
