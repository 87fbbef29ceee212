/// The tree that control connections form: the parent of rank r is (r - 1) / 2. Pure arithmetic.
package struct ControlTree: Sendable {
  package let rankCount: Int

  package init(rankCount: Int) {
    precondition(rankCount > 0)
    self.rankCount = rankCount
  }

  package func parent(of rank: Int) -> Int? { rank == 0 ? nil : (rank - 1) / 2 }

  package func children(of rank: Int) -> [Int] { [2 * rank + 1, 2 * rank + 2].filter { $0 < rankCount } }

  package func neighbours(of rank: Int) -> [Int] { (parent(of: rank).map { [$0] } ?? []) + children(of: rank) }

  /// The ranks from `start` to `end` along the tree, without `start`; `end` is last. Empty when they are the same.
  package func path(from start: Int, to end: Int) -> [Int] {
    var rising: [Int] = []
    var falling: [Int] = []
    var low = start
    var high = end
    // A parent has a smaller number than its children, so the larger of two ranks is never an ancestor of the other.
    while low != high {
      if low > high {
        low = (low - 1) / 2
        rising.append(low)
      } else {
        falling.append(high)
        high = (high - 1) / 2
      }
    }
    return rising + falling.reversed()
  }

  /// The neighbour of `start` on the way to `end`.
  package func nextHop(from start: Int, to end: Int) -> Int? { path(from: start, to: end).first }
}
