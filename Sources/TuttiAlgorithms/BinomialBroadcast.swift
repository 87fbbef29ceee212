import TuttiSchedule

/// Binomial tree broadcast: whoever has the data sends it on to all its children at once.
///
/// Segments pipeline it: a rank passes on what it has received in part. The children with the largest subtrees come first.
public struct BinomialBroadcast: Algorithm {
  public var name: String { "binomial" }
  public var identifier: UInt8 { 40 }
  public var collective: Collective { .broadcast }

  public init() {}

  public func schedule(rank: Int, rankCount: Int, root: Int) -> Schedule {
    guard rankCount > 1 else { return copyOnly(.broadcast) }
    var program = ScheduleBuilder(.broadcast, rank: rank, rankCount: rankCount, root: root, chunkCount: 1)
    let tree = RootedBinomialTree(rankCount: rankCount, root: root)
    let position = tree.position(of: rank)
    let children = tree.children(of: position).reversed().map(tree.rank)
    if let parent = RootedBinomialTree.parent(of: position) {
      program.receive([.output(0)], from: tree.rank(parent))
      program.send([.output(0)], to: children)
    } else {
      program.send([.input(0)], to: children)
      program.copy([.output(0)], from: [.input(0)])
    }
    return program.finish()
  }

  public func cost(rankCount: Int) -> AlgorithmCost? {
    let children = rankCount.ceilLog2
    return AlgorithmCost(
      rounds: rankCount.floorLog2, messages: children, volume: Double(children), totalMessages: rankCount - 1,
      totalVolume: Double(rankCount - 1))
  }
}
