import TuttiSchedule

/// The binomial tree over ranks counted from the root: position p is rank `root + p`, and its parent is p without its lowest
/// set bit. The positions below p, and p itself, are consecutive: p up to p plus that bit.
///
/// Everything here is in positions but ``rank(_:)``, ``position(of:)`` and the blocks.
struct RootedBinomialTree {
  let rankCount: Int
  let root: Int

  /// The rank at a position in `0..<rankCount`.
  func rank(_ position: Int) -> Int { (position + root) % rankCount }

  func position(of rank: Int) -> Int { (rank - root).wrapped(rankCount) }

  /// The parent of a position; nil at the root, position 0.
  static func parent(of position: Int) -> Int? { position == 0 ? nil : position & (position - 1) }

  /// The children of a position, in their order. Their subtrees double in size, as far as there are ranks.
  func children(of position: Int) -> [Int] {
    var children: [Int] = []
    var distance = 1
    while position + distance < rankCount && (position == 0 || distance < position & -position) {
      children.append(position + distance)
      distance *= 2
    }
    return children
  }

  /// A position and all below it.
  func subtree(of position: Int) -> Range<Int> {
    position..<(position == 0 ? rankCount : min(position + (position & -position), rankCount))
  }

  /// The blocks of consecutive positions, in their order: one range of ranks, or two where they wrap around.
  func blocks(_ positions: Range<Int>) -> [Range<Int>] {
    cyclicRanges(positions.lowerBound + root, positions.count, rankCount)
  }

  /// Messages from the root to the furthest leaf: the most bits that a position has.
  var depth: Int { rankCount.floorLog2 }

  /// Subtrees of all positions but the root's, in ranks: what gathers and scatters send in blocks.
  var subtreeSizes: Int { (1..<max(rankCount, 1)).reduce(0) { $0 + subtree(of: $1).count } }
}
