import TuttiSchedule

/// Recursive halving reduce-scatter (Thakur, Rabenseifner & Gropp, IJHPCA 19(1), 2005): log2 n exchanges, the first one of
/// half of the blocks between ranks n / 2 apart, each of half as much as the one before.
///
/// The blocks a rank still works on are always consecutive, and partial results, of half of the blocks, are kept in
/// scratch. Both sides put the lower rank's operand first. Where the rank count is no power of two, pairs at the front
/// fold into one rank first, see ``PairFolding``: that costs the data once more, so other rank counts are better served
/// by `circulant`.
public struct RecursiveHalvingReduceScatter: Algorithm {
  public var name: String { "recursive-halving" }
  public var collective: Collective { .reduceScatter }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    guard rankCount > 1 else { return copyOnly(.reduceScatter) }
    var program = ScheduleBuilder(.reduceScatter, for: position, chunkCount: rankCount, scratchCount: 1)
    let folding = PairFolding(rankCount: rankCount)
    program.addReduceScatter(folding, rank, rankCount) { program, first in
      var place = first
      let position = folding.position(of: rank)
      var distance = folding.positionCount / 2
      while distance > 0 {
        let start = position & ~(distance - 1)
        let isUpper = position & distance != 0
        let peer = folding.rank(at: position ^ distance)
        /// The blocks of the positions from `start` on. In the last round each block is on its own, because the owner of two
        /// keeps only one.
        func blocks(_ buffer: Buffer, _ start: Int) -> [ChunkRange] {
          let ranks = folding.ranks(at: start..<start + distance)
          return distance > 1 ? [ChunkRange(buffer, ranks)] : ranks.map { ChunkRange(buffer, $0) }
        }
        program.send(blocks(place, start ^ distance), to: peer)
        let mine = blocks(place, start)
        let partial = program.receiveSlot(mine, from: peer)
        let destination =
          distance > 1
          ? blocks(.scratch(0), start)
          : mine.map { ChunkRange($0.chunks == rank..<rank + 1 ? .output : .scratch(0), $0.chunks) }
        program.reduce(
          destination, isUpper ? [partial, .chunks(mine)] : [.chunks(mine), partial], completes: distance == 1)
        place = .scratch(0)
        distance /= 2
      }
    }
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    let folding = PairFolding(rankCount: rankCount)
    let (positions, pairs) = (folding.positionCount, folding.pairCount)
    // Positions at the front have the most blocks: the first one receives the most.
    var received = pairs > 0 ? rankCount : 0
    for round in 0..<folding.roundCount { received += folding.ranks(at: 0..<1 << round).count }
    let each = 1 / Double(rankCount)
    return AlgorithmCost(
      rounds: folding.roundsOnLongestPath, messages: folding.roundCount + (pairs > 0 ? 1 : 0),
      volume: Double(received) * each, totalMessages: folding.roundCount * positions + 2 * pairs,
      totalVolume: Double(positions - 1 + pairs) + Double(pairs) * each)
  }
}
