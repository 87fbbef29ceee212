import TuttiSchedule

/// Bine tree gather (De Sensi et al., SC 2025), for small blocks: a rank collects the blocks of its subtree, which are
/// consecutive, and sends them to its parent as one message; see ``BineTree``.
///
/// Interior ranks collect in scratch, their own block too, so that a message is one range, or two where the ranks below wrap
/// around. What wraps is collected in a second buffer: in one, the memory would span all between.
public struct BineGather: Algorithm {
  public var name: String { "bine" }
  public var collective: Collective { .gather }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount, root) = (position.rank, position.rankCount, position.root)
    guard rankCount > 1 else { return copyOnly(.gather) }
    let tree = BineTree(rankCount: rankCount, root: root)
    let place = tree.place(of: rank)
    let held = tree.blocks(place.subtree)
    let collects = place.parent != nil && !place.children.isEmpty
    var program = ScheduleBuilder(.gather, for: position, chunkCount: rankCount, scratchCount: collects ? held.count : 0)
    /// Where blocks lie until they are sent on.
    func lying(_ blocks: Range<Int>) -> ChunkRange {
      collects ? .scratch(blocks.lowerBound < held[0].lowerBound ? 1 : 0, blocks) : .output(blocks)
    }
    if place.parent == nil || collects { program.copy([lying(rank..<rank + 1)], from: [.input(rank)]) }
    for child in place.children.reversed() {
      program.receive(tree.blocks(child.subtree).map(lying), from: tree.rank(child.offset))
    }
    if let parent = place.parent {
      program.send(collects ? held.map(lying) : [.input(rank)], to: tree.rank(parent))
    }
    return program.finish()
  }

  public func isWeighed(for grouping: Grouping) -> Bool { grouping.tellsDistances }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    let (depth, children, subtreeSizes) = BineTree(rankCount: rankCount, root: 0).measures
    return AlgorithmCost(
      rounds: depth, messages: children, volume: Double(rankCount - 1) / Double(rankCount), totalMessages: rankCount - 1,
      totalVolume: Double(subtreeSizes) / Double(rankCount))
  }
}
