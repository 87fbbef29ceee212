import TuttiSchedule

/// Binomial tree broadcast: whoever has the data sends it on to all its children at once.
///
/// Segments pipeline it: a rank passes on what it has received in part. The children with the largest subtrees come first.
public struct BinomialBroadcast: Algorithm {
  public var name: String { "binomial" }
  public var collective: Collective { .broadcast }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount, root) = (position.rank, position.rankCount, position.root)
    guard rankCount > 1 else { return copyOnly(.broadcast) }
    var program = ScheduleBuilder(.broadcast, for: position, chunkCount: 1)
    let tree = RootedBinomialTree(rankCount: rankCount, root: root)
    let position = tree.position(of: rank)
    program.addBroadcast(
      from: RootedBinomialTree.parent(of: position).map(tree.rank),
      to: tree.children(of: position).reversed().map(tree.rank))
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    let children = rankCount.ceilLog2
    return AlgorithmCost(
      rounds: rankCount.floorLog2, messages: children, volume: Double(children), totalMessages: rankCount - 1,
      totalVolume: Double(rankCount - 1))
  }
}
