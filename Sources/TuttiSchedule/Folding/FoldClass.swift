/// Names the trees by which an algorithm folds the elements of a result. Algorithms of one class give the same bits.
///
/// Combines of several operands count as the combines of two that they stand for. Where 16-bit floats are rounded belongs to
/// the tree: the canonical class rounds after each combine of two.
package enum FoldClass: Hashable, Sendable {
  /// All elements fold by ``FoldTree/canonical(rankCount:)``.
  case canonical
  /// All elements fold by one other tree.
  case one(FoldTree, text: String)
  /// Elements fold by different trees: which one depends on the size of the data, on where in it they are, or on the root.
  case several

  /// The class in words: `one tree, ((0+1+2)+3), tree-0123456789abcdef`.
  package var text: String {
    switch self {
    case .canonical: "canonical"
    case .one(let tree, let text): "one tree, \(text), \(tree)"
    case .several: "several trees"
    }
  }

  /// The class of two sets of elements together; nil is the class of no elements.
  static func joined(_ a: FoldClass?, _ b: FoldClass?) -> FoldClass? {
    switch (a, b) {
    case (nil, let known), (let known, nil): return known
    case (.canonical, .canonical): return a
    case (.one(let tree, _), .one(let other, _)) where tree == other: return a
    default: return .several
    }
  }
}
