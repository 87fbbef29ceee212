import TuttiSchedule

/// Barrier on a binomial tree: through the tree, rank 0 hears that all have come, and tells all to go on.
///
/// It takes twice as many rounds as dissemination, but only `2(n - 1)` messages in all. It is better where ranks share
/// processors, because there the work of all ranks together counts. An empty send follows whoever wrote the chunk that it
/// names.
public struct BinomialBarrier: Algorithm {
  public var name: String { "binomial" }
  public var collective: Collective { .barrier }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    var program = ScheduleBuilder(.barrier, for: position, chunkCount: 1)
    let place = RankTree(.binomial, rank: rank, rankCount: rankCount)
    let slots = place.children.map { program.receiveSlot([.output(0)], from: $0) }
    if !slots.isEmpty { program.reduce([.output(0)], [.input(0)] + slots) }
    if let parent = place.parent {
      program.send([slots.isEmpty ? .input(0) : .output(0)], to: parent)
      program.receive([.output(0)], from: parent)
    }
    // The largest subtrees first.
    program.send([.output(0)], to: place.children.reversed())
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    return AlgorithmCost(
      rounds: 2 * RankTree.depth(.binomial, rankCount: rankCount),
      messages: RankTree.mostNeighbours(.binomial, rankCount: rankCount), volume: 0, totalMessages: 2 * (rankCount - 1),
      totalVolume: 0)
  }
}
