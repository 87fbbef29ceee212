import TuttiSchedule

/// Bine tree broadcast (De Sensi et al., *Bine Trees: Enhancing Collective Operations by Optimizing Communication Locality*,
/// SC 2025): a binomial broadcast over about two thirds of the distances; see ``BineTree``.
///
/// Whoever has the data sends it to all children at once, those with the largest subtrees first. Segments pipeline it.
public struct BineBroadcast: Algorithm {
  public var name: String { "bine" }
  public var collective: Collective { .broadcast }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount, root) = (position.rank, position.rankCount, position.root)
    guard rankCount > 1 else { return copyOnly(.broadcast) }
    var program = ScheduleBuilder(.broadcast, for: position, chunkCount: 1)
    let tree = BineTree(rankCount: rankCount, root: root)
    let place = tree.place(of: rank)
    program.addBroadcast(from: place.parent.map(tree.rank), to: place.children.map { tree.rank($0.offset) })
    return program.finish()
  }

  public func isWeighed(for grouping: Grouping) -> Bool { grouping.tellsDistances }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    let (depth, children, _) = BineTree(rankCount: rankCount, root: 0).measures
    return AlgorithmCost(
      rounds: depth, messages: children, volume: Double(children), totalMessages: rankCount - 1,
      totalVolume: Double(rankCount - 1))
  }
}
