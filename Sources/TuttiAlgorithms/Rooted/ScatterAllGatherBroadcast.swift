import TuttiSchedule

/// Broadcast by a scatter and an all-gather (van de Geijn: Barnett, Gupta, Payne, Shuler, van de Geijn & Watts, SHPCC 1994),
/// for large messages: no rank sends much more than twice the data, in a logarithmic number of rounds.
///
/// A binomial tree scatters n chunks: position p, counted from the root, gets those of its subtree, from p on. A circulant
/// all-gather (Bruck, Ho, Kipnis, Upfal & Weathersby, IEEE TPDS 8(11), 1997) completes them in ceil(log2 n) rounds at any
/// rank count: in the round of distance d, p has d chunks from p on, and gets as many that begin at p + d from there. What p
/// already got in the scatter is left out (as Zhou et al., 2015, leave it out of a ring), so each rank receives each chunk
/// once, and the root none.
public struct ScatterAllGatherBroadcast: Algorithm {
  public var name: String { "scatter-all-gather" }
  public var collective: Collective { .broadcast }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount, root) = (position.rank, position.rankCount, position.root)
    guard rankCount > 1 else { return copyOnly(.broadcast) }
    var program = ScheduleBuilder(.broadcast, for: position, chunkCount: rankCount)
    let tree = RootedBinomialTree(rankCount: rankCount, root: root)
    let position = tree.position(of: rank)
    // Chunks are numbered by position, and a rank has what it sends from the start or where it received it.
    let buffer = position == 0 ? Buffer.input : .output
    if let parent = RootedBinomialTree.parent(of: position) {
      program.receive([.output(tree.subtree(of: position))], from: tree.rank(parent))
    }
    for child in tree.children(of: position).reversed() {
      program.send([ChunkRange(buffer, tree.subtree(of: child))], to: tree.rank(child))
    }
    var distance = 1
    while distance < rankCount {
      let before = (position - distance).wrapped(rankCount)
      let wanted = missing(at: before, distance, tree)
      if !wanted.isEmpty { program.send(wanted.map { ChunkRange(buffer, $0) }, to: tree.rank(before)) }
      let missing = missing(at: position, distance, tree)
      if !missing.isEmpty {
        program.receive(missing.map(ChunkRange.output), from: tree.rank((position + distance) % rankCount))
      }
      distance *= 2
    }
    if position == 0 { program.copy([.output(0..<rankCount)], from: [.input(0..<rankCount)]) }
    return program.finish()
  }

  /// The chunks that a position gets in the round of a distance: those that the all-gather has for it, less the subtree that
  /// it already has.
  private func missing(at position: Int, _ distance: Int, _ tree: RootedBinomialTree) -> [Range<Int>] {
    let had = tree.subtree(of: position)
    return cyclicRanges(position + distance, min(distance, tree.rankCount - distance), tree.rankCount).compactMap { range in
      // A subtree reaches from its position on, so it can only hold the front of what follows.
      let rest = had.contains(range.lowerBound) ? min(had.upperBound, range.upperBound)..<range.upperBound : range
      return rest.isEmpty ? nil : rest
    }
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    let tree = RootedBinomialTree(rankCount: rankCount, root: 0)
    var messages = rankCount - 1
    for round in 0..<rankCount.ceilLog2 {
      messages += (1..<rankCount).count { !missing(at: $0, 1 << round, tree).isEmpty }
    }
    // The longest path leads down the tree and back up; its length was found by counting, and is counted again in the tests.
    let bits = (rankCount + 1).floorLog2
    let rounds = rankCount < 4 ? rankCount - 1 : 2 * bits - (2 * rankCount > 3 << bits ? 0 : 1)
    // The busiest rank is the root: it sends all chunks but its own in the scatter, and again in the all-gather.
    return AlgorithmCost(
      rounds: rounds, messages: 2 * rankCount.ceilLog2, volume: 2 * Double(rankCount - 1) / Double(rankCount),
      totalMessages: messages, totalVolume: Double(rankCount - 1))
  }
}
