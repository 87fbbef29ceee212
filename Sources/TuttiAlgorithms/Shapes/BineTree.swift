import TuttiSchedule

/// The Bine tree over ranks counted from the root (De Sensi et al., *Bine Trees: Enhancing Collective Operations by
/// Optimizing Communication Locality*, SC 2025): a binomial tree whose ranks send now to the one side, now to the other,
/// over about two thirds of the distances.
///
/// A rank is named by its *offset* from the root, which is negative before the root; a rank and all ranks below it have
/// consecutive offsets. In round k a rank hands on up to 2^k of these, from one end, and keeps up to 2^k. A rank of even
/// offset sends to the rank `1 - 2 + 4 - ... ± 2^k` places after it, one of odd offset to the rank as many places before
/// it. At powers of two that is the paper's tree. Otherwise the tree is cut to the ranks that there are, by a rule of our
/// own: the cut is as near to the paper's as possible with no more than 2^k ranks on either side, and the receiver is as
/// near to the paper's as possible beyond the cut.
struct BineTree {
  let rankCount: Int
  let root: Int

  /// A rank of the tree, with its neighbours.
  struct Place {
    var offset: Int
    /// The offset of the parent; nil at the root.
    var parent: Int?
    /// The offsets of the rank and of all below it.
    var subtree: Range<Int>
    /// The offsets of the children, the largest subtrees first, and what is below them.
    var children: [(offset: Int, subtree: Range<Int>)] = []
  }

  /// All offsets: about two thirds of them on the side that the last round's sends go to.
  private var all: Range<Int> {
    let rounds = rankCount.ceilLog2
    let after = (rankCount - 1) * SwingRounds.reach(rounds, after: true) / max((1 << rounds) - 1, 1)
    return after + 1 - rankCount..<after + 1
  }

  func rank(_ offset: Int) -> Int { (root + offset).wrapped(rankCount) }

  /// The blocks of consecutive offsets, in their order: one range of ranks, or two where they wrap around.
  func blocks(_ offsets: Range<Int>) -> [Range<Int>] { cyclicRanges(root + offsets.lowerBound, offsets.count, rankCount) }

  /// Where a rank is in the tree; found from the root down, without looking at other branches.
  func place(of rank: Int) -> Place {
    var place = Place(offset: 0, subtree: all)
    let wanted = all.lowerBound + (rank - root - all.lowerBound).wrapped(rankCount)
    while true {
      place.children = children(of: place.offset, place.subtree)
      guard place.offset != wanted else { return place }
      let next = place.children.first { $0.subtree.contains(wanted) }!
      place = Place(offset: next.offset, parent: place.offset, subtree: next.subtree)
    }
  }

  private func children(of offset: Int, _ subtree: Range<Int>) -> [(offset: Int, subtree: Range<Int>)] {
    var children: [(offset: Int, subtree: Range<Int>)] = []
    var kept = subtree
    while kept.count > 1 {
      let child = child(of: offset, kept)
      children.append(child)
      kept = child.offset > offset ? kept.lowerBound..<child.subtree.lowerBound : child.subtree.upperBound..<kept.upperBound
    }
    return children
  }

  /// The largest child of a rank that has these offsets left, itself included.
  private func child(of offset: Int, _ kept: Range<Int>) -> (offset: Int, subtree: Range<Int>) {
    let round = kept.count.ceilLog2 - 1
    let most = 1 << round
    let isEven = offset.isMultiple(of: 2)
    let step = SwingRounds.distance(round) * (isEven ? 1 : -1)
    let target = offset + step
    // To the other side where there is nobody on this one, or where too many would stay.
    let last = kept.upperBound - 1
    let goesOn =
      step > 0 ? last > offset && offset - kept.lowerBound < most : last - offset >= most || offset == kept.lowerBound
    if goesOn {
      let ideal = offset + SwingRounds.reach(round, after: isEven) + 1
      let start = min(max(ideal, offset + 1, kept.upperBound - most), last, kept.lowerBound + most)
      return (min(max(target, start), last), start..<kept.upperBound)
    }
    let ideal = offset - SwingRounds.reach(round, after: !isEven)
    let end = max(min(ideal, offset, kept.lowerBound + most), kept.lowerBound + 1, kept.upperBound - most)
    return (min(max(target, kept.lowerBound), end - 1), kept.lowerBound..<end)
  }

  // MARK: Cost

  /// Messages from the root to the furthest leaf, the most children that a rank has, and all subtrees but the root's
  /// together, in ranks.
  var measures: (depth: Int, childrenMax: Int, subtreeSizes: Int) {
    var (deepest, childrenMax, sizes) = (0, 0, 0)
    var open = [(offset: 0, subtree: all, depth: 0)]
    while let (offset, subtree, depth) = open.popLast() {
      let children = children(of: offset, subtree)
      deepest = max(deepest, depth)
      childrenMax = max(childrenMax, children.count)
      sizes += depth == 0 ? 0 : subtree.count
      open += children.map { ($0.offset, $0.subtree, depth + 1) }
    }
    return (deepest, childrenMax, sizes)
  }
}
