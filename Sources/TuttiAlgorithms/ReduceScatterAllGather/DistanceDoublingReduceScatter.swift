import TuttiSchedule

/// Reduce-scatter by recursive halving of the data and doubling of distances: log2 n exchanges, the first one of half of the
/// blocks between neighbours, each of half as much between ranks twice as far apart.
///
/// The first half of the all-reduce of Rabenseifner (ICCS 2004), with the blocks where their owners want them, so that those
/// of a message lie apart: a rank keeps the blocks whose owners' positions end in the same bits as its own. Nearest ranks
/// come first, so results fold in rank order by the canonical tree, and most bytes stay near. Both sides put the lower
/// ranks' operand first. Where the rank count is no power of two, pairs at the front fold into one rank first, see
/// ``PairFolding``.
public struct DistanceDoublingReduceScatter: Algorithm {
  public var name: String { "distance-doubling" }
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
      for round in 0..<folding.roundCount {
        let distance = 1 << round
        let isLast = round == folding.roundCount - 1
        let peer = folding.rank(at: position ^ distance)
        let mine = blocks(folding, likeThoseOf: position, period: 2 * distance)
        program.send(
          blocks(folding, likeThoseOf: position ^ distance, period: 2 * distance).map { ChunkRange(place, $0) }, to: peer)
        let partial = program.receiveSlot(mine.map { ChunkRange(.output, $0) }, from: peer)
        let own = ScheduleBuilder.Operand.chunks(mine.map { ChunkRange(place, $0) })
        // The owner of two blocks keeps only one.
        let destination = mine.map { ChunkRange(isLast && $0 == rank ? .output : .scratch(0), $0) }
        program.reduce(destination, peer < rank ? [partial, own] : [own, partial], completes: isLast)
        place = .scratch(0)
      }
    }
    return program.finish()
  }

  /// The blocks of all positions that differ from one by a multiple of the period, each on its own.
  private func blocks(_ folding: PairFolding, likeThoseOf position: Int, period: Int) -> [Int] {
    stride(from: position % period, to: folding.positionCount, by: period).flatMap { folding.ranks(at: $0..<$0 + 1) }
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    let folding = PairFolding(rankCount: rankCount)
    let (positions, pairs) = (folding.positionCount, folding.pairCount)
    // Position 0 has as many blocks as any other in each round: its rank receives the most.
    var received = pairs > 0 ? rankCount : 0
    for round in 0..<folding.roundCount { received += blocks(folding, likeThoseOf: 0, period: 2 << round).count }
    let each = 1 / Double(rankCount)
    return AlgorithmCost(
      rounds: folding.roundsOnLongestPath, messages: folding.roundCount + (pairs > 0 ? 1 : 0),
      volume: Double(received) * each, totalMessages: folding.roundCount * positions + 2 * pairs,
      totalVolume: Double(positions - 1 + pairs) + Double(pairs) * each)
  }

  public func foldTree(of operands: [FoldTree], in grouping: Grouping) -> FoldTree? { .canonical(operands) }
}
