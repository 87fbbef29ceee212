/// Breaks a ``FoldOrder/balanced`` fold of several operands into combines of two, one after the other. The proof and the
/// engine both read it here.
///
/// It works depth first, so that few partial results are kept at a time: each in a *block*. About as many blocks as the
/// logarithm of the number of operands are enough, see ``blockCount(operandCount:)``. A result never overwrites another that
/// is still needed, but may lie where its right operand did.
///
/// - SeeAlso: The pairs at the front are those of Thakur, Rabenseifner & Gropp, IJHPCA 19(1), 2005.
@frozen @usableFromInline
package struct BalancedFold {
  /// A combine of two. Operands and the result are named by the number of an operand of the fold, or by the complement of a
  /// block's number.
  @frozen @usableFromInline
  package struct Combine {
    package var left: Int
    package var right: Int
    package var result: Int
    /// Its result is the result of the whole fold.
    package var isLast: Bool
  }

  /// How many pairs of neighbours at the front are combined first, so that a power of two is left.
  private let pairCount: Int
  /// How many values are folded after that: the pairs' results and the operands behind them. A power of two.
  private let positionCount: Int
  private let levelCount: Int
  /// Positions whose value has been taken.
  private var taken = 0
  /// The value that was made last, of 2^level positions; nil when it was put aside as a left operand.
  private var current: Int?
  private var level = 0
  /// The left operand of level 0 that was put aside. Those of other levels are in the blocks of their levels.
  private var left = 0

  /// - Parameter operandCount: At least 1.
  package init(operandCount: Int) {
    levelCount = BalancedFold.levelCount(operandCount)
    positionCount = 1 << levelCount
    pairCount = operandCount - positionCount
  }

  private static func levelCount(_ operandCount: Int) -> Int { Int.bitWidth - 1 - operandCount.leadingZeroBitCount }

  /// How many blocks a fold of so many operands needs.
  package static func blockCount(operandCount: Int) -> Int { levelCount(operandCount) + 1 }

  /// The next combine; nil when the fold is done.
  package mutating func next() -> Combine? {
    while true {
      if let right = current {
        let position = taken - 1
        if position >> level & 1 == 1 {
          let result = block(level + 1, position)
          let isLast = taken == positionCount && level + 1 == levelCount
          let combine = Combine(left: level == 0 ? left : ~(level + 1), right: right, result: result, isLast: isLast)
          level += 1
          current = isLast ? nil : result
          return combine
        }
        if level == 0 { left = right }
        current = nil
      }
      if taken == positionCount { return nil }
      let position = taken
      taken += 1
      level = 0
      if position < pairCount {
        let result = block(0, position)
        current = result
        return Combine(left: 2 * position, right: 2 * position + 1, result: result, isLast: false)
      }
      current = position + pairCount
    }
  }

  /// The block for a level's value that ends with a position: block 0 where it is combined at once, otherwise the block of
  /// its level.
  private func block(_ level: Int, _ position: Int) -> Int { position >> level & 1 == 1 ? ~0 : ~(level + 1) }
}
