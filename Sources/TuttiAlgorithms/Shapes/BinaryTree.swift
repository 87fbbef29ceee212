/// A binary tree over ranks whose in-order walk is the order of its positions: odd positions are leaves, even ones are
/// interior.
///
/// Two of them, ``init(rankCount:second:)`` with false and true, make every rank interior in at most one (Sanders, Speck &
/// Träff, Parallel Computing 35(12), 2009): the second is the mirror image for an even rank count, and shifted by one for an
/// odd one.
package struct BinaryTree {
  package let rankCount: Int
  private let second: Bool

  package init(rankCount: Int, second: Bool) {
    self.rankCount = rankCount
    self.second = second
  }

  /// Positions are 1...rankCount.
  private func position(_ rank: Int) -> Int {
    guard second else { return rank + 1 }
    return rankCount % 2 == 0 ? rankCount - rank : (rank + 1) % rankCount + 1
  }

  private func rank(_ position: Int) -> Int {
    guard second else { return position - 1 }
    return rankCount % 2 == 0 ? rankCount - position : (position - 2 + rankCount) % rankCount
  }

  /// The parent; nil at the root.
  package func parent(of rank: Int) -> Int? {
    let position = position(rank)
    let low = position & -position
    let before = position & ~low
    let above = before | low << 1
    if above <= rankCount { return self.rank(above) }
    return before == 0 ? nil : self.rank(before)
  }

  /// The child whose subtree lies before the rank in the walk.
  package func leftChild(of rank: Int) -> Int? {
    let position = position(rank)
    let low = position & -position
    return low == 1 ? nil : self.rank(position - low / 2)
  }

  /// The child whose subtree lies after the rank in the walk.
  package func rightChild(of rank: Int) -> Int? {
    let position = position(rank)
    var step = (position & -position) / 2
    while step > 0 && position + step > rankCount { step /= 2 }
    return step == 0 ? nil : self.rank(position + step)
  }
}
