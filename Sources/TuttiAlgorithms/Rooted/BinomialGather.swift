import TuttiSchedule

/// Binomial tree gather, for small blocks: a rank collects the blocks of its subtree, which are consecutive, and sends them
/// to its parent as one message.
///
/// Interior ranks collect in scratch, their own block too, so that a message is one range, or two where the ranks below wrap
/// around. What wraps is collected in a second buffer: in one, the memory would span all between.
public struct BinomialGather: Algorithm {
  public var name: String { "binomial" }
  public var collective: Collective { .gather }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount, root) = (position.rank, position.rankCount, position.root)
    guard rankCount > 1 else { return copyOnly(.gather) }
    let tree = RootedBinomialTree(rankCount: rankCount, root: root)
    let index = tree.position(of: rank)
    let children = tree.children(of: index)
    let held = tree.blocks(tree.subtree(of: index))
    let collects = index != 0 && !children.isEmpty
    var program = ScheduleBuilder(.gather, for: position, chunkCount: rankCount, scratchCount: collects ? held.count : 0)
    /// Where blocks lie until they are sent on.
    func place(_ blocks: Range<Int>) -> ChunkRange {
      collects ? .scratch(blocks.lowerBound < rank ? 1 : 0, blocks) : .output(blocks)
    }
    if index == 0 || collects { program.copy([place(rank..<rank + 1)], from: [.input(rank)]) }
    for child in children {
      program.receive(tree.blocks(tree.subtree(of: child)).map(place), from: tree.rank(child))
    }
    if let parent = RootedBinomialTree.parent(of: index) {
      program.send(collects ? held.map(place) : [.input(rank)], to: tree.rank(parent))
    }
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    let tree = RootedBinomialTree(rankCount: rankCount, root: 0)
    return AlgorithmCost(
      rounds: tree.depth, messages: rankCount.ceilLog2, volume: Double(rankCount - 1) / Double(rankCount),
      totalMessages: rankCount - 1, totalVolume: Double(tree.subtreeSizes) / Double(rankCount))
  }
}
