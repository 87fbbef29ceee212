import TuttiSchedule

/// Direct all-to-all: every rank sends each other rank its block, all at once, and receives each one's in place. Peers are
/// taken in rotated order, so that not all send to rank 0 first.
///
/// In place, two ranks overwrite what they send to each other with what they receive from each other. One of them must not
/// wait for the other, and its send is copied: that of the rank whose peer is in the half of the ranks that follow it.
public struct DirectAllToAll: Algorithm {
  public var name: String { "direct" }
  public var collective: Collective { .allToAll }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    guard rankCount > 1 else { return copyOnly(.allToAll) }
    var program = ScheduleBuilder(.allToAll, for: position, chunkCount: rankCount)
    for distance in 1..<rankCount {
      let peer = (rank + distance) % rankCount
      let isCopied = distance * 2 < rankCount || distance * 2 == rankCount && rank < peer
      program.send([.input(peer)], to: peer, lifetime: isCopied ? .copied : .held)
    }
    for distance in 1..<rankCount {
      let peer = (rank - distance).wrapped(rankCount)
      program.receive([.output(peer)], from: peer)
    }
    program.copy([.output(rank)], from: [.input(rank)])
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    let others = rankCount - 1
    return AlgorithmCost(
      rounds: min(others, 1), messages: others, volume: Double(others) / Double(rankCount),
      totalMessages: others * rankCount,
      totalVolume: Double(others))
  }
}
