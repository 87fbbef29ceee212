import TuttiSchedule

/// Bine tree scatter (De Sensi et al., SC 2025), for small blocks: a rank receives the blocks of its subtree, which are
/// consecutive, as one message, keeps its own and sends each child those of the child's subtree; see ``BineTree``.
///
/// Interior ranks receive into scratch, their own block too, so that a message is one range, or two where the ranks below
/// wrap around. What wraps is received into a second buffer: in one, the memory would span all between.
public struct BineScatter: Algorithm {
  public var name: String { "bine" }
  public var collective: Collective { .scatter }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount, root) = (position.rank, position.rankCount, position.root)
    guard rankCount > 1 else { return copyOnly(.scatter) }
    let tree = BineTree(rankCount: rankCount, root: root)
    let place = tree.place(of: rank)
    let held = tree.blocks(place.subtree)
    let distributes = place.parent != nil && !place.children.isEmpty
    var program = ScheduleBuilder(
      .scatter, for: position, chunkCount: rankCount, scratchCount: distributes ? held.count : 0)
    /// Where blocks lie that are sent on.
    func lying(_ blocks: Range<Int>) -> ChunkRange {
      distributes ? .scratch(blocks.lowerBound < held[0].lowerBound ? 1 : 0, blocks) : .input(blocks)
    }
    if let parent = place.parent {
      program.receive(distributes ? held.map(lying) : [.output(rank)], from: tree.rank(parent))
    }
    for child in place.children {
      program.send(tree.blocks(child.subtree).map(lying), to: tree.rank(child.offset))
    }
    if place.parent == nil || distributes { program.copy([.output(rank)], from: [lying(rank..<rank + 1)]) }
    return program.finish()
  }

  public func isWeighed(for grouping: Grouping) -> Bool { grouping.tellsDistances }

  public func cost(for grouping: Grouping) -> AlgorithmCost? { BineGather().cost(for: grouping) }
}
