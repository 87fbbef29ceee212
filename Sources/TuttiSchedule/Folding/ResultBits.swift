/// What the bits of a result may depend on. It decides which algorithms `auto` chooses among where the order of combines
/// makes a difference: in sums, products and averages of floating-point numbers, and nowhere else.
public enum ResultBits: UInt8, Hashable, Sendable, Named {
  /// On everything: `auto` takes whatever is fastest, and results of different sizes may fold in different orders.
  case any = 0
  /// On the data, its type, the operation, and the ranks in their groups: `auto` keeps to one tree, whatever the size.
  case `class` = 1
  /// On the data, its type, the operation and the number of ranks: all algorithms fold by the canonical tree over the ranks
  /// in order, and those that do not are refused.
  case canonical = 2

  public var name: String {
    switch self {
    case .any: "any"
    case .class: "class"
    case .canonical: "canonical"
    }
  }

  /// The tree by which results fold on these ranks; nil where any will do.
  ///
  /// The tree of `class` folds inside the innermost groups first, then across them in the order of the groups, each time
  /// canonically. It is the canonical tree of all ranks where the groups are in rank order and of 2^k ranks each.
  ///
  /// - Complexity: O(ranks).
  package func tree(for grouping: Grouping) -> FoldTree? {
    switch self {
    case .any: return nil
    case .canonical: return .canonical(rankCount: grouping.rankCount)
    case .class:
      let level = grouping.levelCount - 1
      return .canonical(
        (0..<grouping.groupCount(at: level)).map { number in
          .canonical(grouping.group(number, at: level).map(FoldTree.rank))
        })
    }
  }
}
