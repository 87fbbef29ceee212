/// A rank's place in a tree whose subtrees are ranges of ranks.
struct RankTree {
  enum Shape: Sendable {
    /// Rank 0 is the root; the parent of a rank is the rank without its lowest bit.
    case binomial
    /// Rank 0 is the root; a subtree's ranks after the first are shared among that many children, as equally as possible.
    case kAry(Int)
    /// The last rank is the root.
    case chain
  }

  private(set) var parent: Int?
  /// Ascending; all of them on the same side of the rank.
  private(set) var children: [Int] = []

  init(_ shape: Shape, rank: Int, rankCount: Int) {
    switch shape {
    case .binomial:
      parent = RootedBinomialTree.parent(of: rank)
      children = RootedBinomialTree(rankCount: rankCount, root: 0).children(of: rank)
    case .chain:
      parent = rank == rankCount - 1 ? nil : rank + 1
      children = rank == 0 ? [] : [rank - 1]
    case .kAry(let arity):
      var subtree = 0..<rankCount
      while true {
        let below = RankTree.shares(subtree.dropFirst(), arity)
        guard subtree.lowerBound != rank else {
          children = below.map(\.lowerBound)
          break
        }
        parent = subtree.lowerBound
        subtree = below.last { $0.lowerBound <= rank }!
      }
    }
  }

  /// Cuts ranks into `count` ranges, as equal as possible, the longer ones first; none of them is empty.
  private static func shares(_ ranks: Range<Int>, _ count: Int) -> [Range<Int>] {
    let (each, more) = ranks.count.quotientAndRemainder(dividingBy: count)
    var start = ranks.lowerBound
    return (0..<min(count, ranks.count)).map { index in
      defer { start += each + (index < more ? 1 : 0) }
      return start..<start + each + (index < more ? 1 : 0)
    }
  }

  /// Messages from the deepest leaf to the root.
  static func depth(_ shape: Shape, rankCount: Int) -> Int {
    switch shape {
    case .binomial: return rankCount.floorLog2
    case .chain: return rankCount - 1
    case .kAry(let arity):
      var (depth, ranks) = (0, rankCount)
      while ranks > 1 {
        ranks = (ranks - 1 + arity - 1) / arity
        depth += 1
      }
      return depth
    }
  }

  /// Neighbours of the rank that has the most.
  static func mostNeighbours(_ shape: Shape, rankCount: Int) -> Int {
    switch shape {
    case .binomial: return rankCount.ceilLog2
    case .chain: return min(rankCount - 1, 2)
    case .kAry(let arity):
      // The root, or its first child, which is the largest.
      let below = min(rankCount - 1, arity)
      let largest = (rankCount - 1 + arity - 1) / arity
      return max(below, largest > 1 ? min(largest - 1, arity) + 1 : 0)
    }
  }
}
