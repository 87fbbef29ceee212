/// The tree by which values are combined, two at a time, up to swapping the two operands of a combine: all combines are
/// bitwise commutative, so equal trees give equal bits.
///
/// It is known by a hash of its shape and of what its leaves are. Two different trees have the same hash with a probability
/// of 2^-64.
public struct FoldTree: Hashable, Sendable {
  /// The same in every build and on every host.
  package let hash: UInt64

  private init(hash: UInt64) { self.hash = hash }

  /// What a rank contributes, before anything is combined with it.
  public static func rank(_ rank: Int) -> FoldTree { FoldTree(hash: mixed(UInt64(rank) &+ 0x9E37_79B9_7F4A_7C15)) }

  /// The combination of two, rounded to the type of the elements.
  public static func combined(_ a: FoldTree, _ b: FoldTree) -> FoldTree {
    // Each operand is mixed too, so that their sum tells who they were: without that, the sum of `wide(a, b)` and
    // `combined(a, b)`, which are each other's complements, would be the same for all a and b.
    FoldTree(hash: mixed(mixed(a.hash) &+ mixed(b.hash)))
  }

  /// The combination of two within a combine of more: 16-bit floats stay float32.
  static func wide(_ a: FoldTree, _ b: FoldTree) -> FoldTree { FoldTree(hash: ~combined(a, b).hash) }

  /// The canonical tree over these operands, in their order: balanced at powers of two, ((0 + 1) + (2 + 3)) + ..., and
  /// otherwise with neighbours at the front combined first, as many as leave a power of two.
  ///
  /// Where the operands are themselves canonical trees of 2^k values each, the result is the canonical tree of all values.
  ///
  /// - Parameter operands: At least one.
  public static func canonical(_ operands: [FoldTree]) -> FoldTree {
    var fold = BalancedFold(operandCount: operands.count)
    var blocks = Array(repeating: operands[0], count: BalancedFold.blockCount(operandCount: operands.count))
    var result = operands[0]
    func value(_ operand: Int) -> FoldTree { operand >= 0 ? operands[operand] : blocks[~operand] }
    while let next = fold.next() {
      result = combined(value(next.left), value(next.right))
      if !next.isLast { blocks[~next.result] = result }
    }
    return result
  }

  /// The canonical tree over all ranks, in the order of their numbers.
  public static func canonical(rankCount: Int) -> FoldTree { canonical((0..<rankCount).map(FoldTree.rank)) }

  /// The finalizer of splitmix64.
  private static func mixed(_ value: UInt64) -> UInt64 {
    var mixed = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}

extension FoldTree {
  /// `canonical` for that tree over so many ranks, otherwise the hash.
  package func name(rankCount: Int) -> String {
    self == .canonical(rankCount: rankCount) ? "canonical" : description
  }
}

extension FoldTree: CustomStringConvertible {
  /// `tree-` and the hash in 16 hexadecimal digits.
  public var description: String {
    let digits = String(hash, radix: 16)
    return "tree-" + String(repeating: "0", count: 16 - digits.count) + digits
  }
}
