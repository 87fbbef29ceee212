import TuttiSchedule

/// Binomial tree scatter, for small blocks: a rank receives the blocks of its subtree, which are consecutive, as one
/// message, keeps its own and sends each child those of the child's subtree. The largest subtrees come first.
///
/// Interior ranks receive into scratch, their own block too, so that a message is one range, or two where the ranks below
/// wrap around. What wraps is received into a second buffer: in one, the memory would span all between.
public struct BinomialScatter: Algorithm {
  public var name: String { "binomial" }
  public var collective: Collective { .scatter }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount, root) = (position.rank, position.rankCount, position.root)
    guard rankCount > 1 else { return copyOnly(.scatter) }
    let tree = RootedBinomialTree(rankCount: rankCount, root: root)
    let index = tree.position(of: rank)
    let children = tree.children(of: index)
    let held = tree.blocks(tree.subtree(of: index))
    let distributes = index != 0 && !children.isEmpty
    var program = ScheduleBuilder(
      .scatter, for: position, chunkCount: rankCount,
      scratchCount: distributes ? held.count : 0)
    /// Where blocks lie that are sent on.
    func place(_ blocks: Range<Int>) -> ChunkRange {
      distributes ? .scratch(blocks.lowerBound < rank ? 1 : 0, blocks) : .input(blocks)
    }
    if let parent = RootedBinomialTree.parent(of: index) {
      program.receive(distributes ? held.map(place) : [.output(rank)], from: tree.rank(parent))
    }
    for child in children.reversed() {
      program.send(tree.blocks(tree.subtree(of: child)).map(place), to: tree.rank(child))
    }
    if index == 0 || distributes { program.copy([.output(rank)], from: [place(rank..<rank + 1)]) }
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? { BinomialGather().cost(for: grouping) }
}
