/// How any number of ranks becomes a power of two of *positions*, in rank order: neighbours at the front share one.
///
/// Ranks below `2 * pairCount` form pairs. The odd one of a pair takes part at their position; the even one, folded, gives
/// it its data first and is told the result at the end (Thakur, Rabenseifner & Gropp, IJHPCA 19(1), 2005).
struct PairFolding {
  /// Positions: the largest power of two up to the rank count.
  let positionCount: Int
  let pairCount: Int

  init(rankCount: Int) {
    positionCount = 1 << rankCount.floorLog2
    pairCount = rankCount - positionCount
  }

  /// Rounds of an exchange with every bit of the position.
  var roundCount: Int { positionCount.floorLog2 }

  func isFolded(_ rank: Int) -> Bool { rank < 2 * pairCount && rank % 2 == 0 }

  /// Whether a rank takes part for another one too, the one before it.
  func hasPartner(_ rank: Int) -> Bool { rank < 2 * pairCount && rank % 2 == 1 }

  /// The position of a rank, folded or not.
  func position(of rank: Int) -> Int { rank < 2 * pairCount ? rank / 2 : rank - pairCount }

  /// The rank that takes part at a position.
  func rank(at position: Int) -> Int { position < pairCount ? position * 2 + 1 : position + pairCount }

  /// All ranks of consecutive positions.
  func ranks(at positions: Range<Int>) -> Range<Int> {
    let start = positions.lowerBound + min(positions.lowerBound, pairCount)
    return start..<positions.upperBound + min(positions.upperBound, pairCount)
  }

  /// Messages on the longest path where each bit of the position is exchanged once: a path through all of them ends at the
  /// complement of the position it began at, and only the lowest positions have a folded rank before and after.
  var roundsOnLongestPath: Int {
    roundCount + (pairCount == 0 ? 0 : pairCount > positionCount / 2 ? 2 : 1)
  }
}
