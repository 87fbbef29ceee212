import TuttiSchedule

/// Recursive doubling all-gather (Thakur, Rabenseifner & Gropp, IJHPCA 19(1), 2005): log2 n exchanges between ranks 1, 2, 4,
/// ... apart. Each sends all that it has by then, which is always consecutive.
///
/// Where the rank count is no power of two, pairs at the front fold into one rank first, see ``PairFolding``: that costs
/// the data once more, so other rank counts are better served by `circulant`.
public struct RecursiveDoublingAllGather: Algorithm {
  public var name: String { "recursive-doubling" }
  public var collective: Collective { .allGather }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    guard rankCount > 1 else { return copyOnly(.allGather) }
    var program = ScheduleBuilder(.allGather, for: position, chunkCount: rankCount)
    let folding = PairFolding(rankCount: rankCount)
    /// All blocks except that of a folded rank.
    func others(_ folded: Int) -> [ChunkRange] {
      [0..<folded, folded + 1..<rankCount].filter { !$0.isEmpty }.map { ChunkRange(.output, $0) }
    }
    program.copy([.output(rank)], from: [.input(rank)])
    if folding.isFolded(rank) {
      program.send([.input(rank)], to: rank + 1)
      program.receive(others(rank), from: rank + 1)
      return program.finish()
    }

    if folding.hasPartner(rank) { program.receive([.output(rank - 1)], from: rank - 1) }
    let position = folding.position(of: rank)
    var distance = 1
    while distance < folding.positionCount {
      let start = position & ~(distance - 1)
      let peer = folding.rank(at: position ^ distance)
      let mine = folding.ranks(at: start..<start + distance)
      let theirs = folding.ranks(at: start ^ distance..<(start ^ distance) + distance)
      program.send([ChunkRange(mine.count == 1 ? .input : .output, mine)], to: peer)
      program.receive([.output(theirs)], from: peer)
      distance *= 2
    }
    if folding.hasPartner(rank) { program.send(others(rank - 1), to: rank - 1) }
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    let folding = PairFolding(rankCount: rankCount)
    let (positions, pairs) = (folding.positionCount, folding.pairCount)
    // Positions at the front have the most blocks: the first one sends the most.
    var sent = pairs > 0 ? rankCount - 1 : 0
    for round in 0..<folding.roundCount { sent += folding.ranks(at: 0..<1 << round).count }
    return AlgorithmCost(
      rounds: folding.roundsOnLongestPath, messages: folding.roundCount + (pairs > 0 ? 1 : 0),
      volume: Double(sent) / Double(rankCount), totalMessages: folding.roundCount * positions + 2 * pairs,
      totalVolume: Double(positions - 1 + pairs))
  }
}
