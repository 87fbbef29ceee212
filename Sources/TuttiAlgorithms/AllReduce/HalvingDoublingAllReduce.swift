import TuttiSchedule

/// All-reduce by recursive halving and doubling (Rabenseifner, ICCS 2004; Thakur, Rabenseifner & Gropp, IJHPCA 19(1), 2005):
/// a reduce-scatter by recursive halving of the data, then an all-gather by recursive doubling. It moves as few bytes as a
/// ring, in 2 log2 n messages.
///
/// The first exchange, of half of the data, is with the nearest rank; distances double from there, so results fold in rank
/// order. Which part of the data a rank completes follows from its position with the bits reversed. Where the rank count is
/// no power of two, pairs at the front fold into one rank first, see ``PairFolding``.
public struct HalvingDoublingAllReduce: Algorithm {
  public var name: String { "halving-doubling" }
  public var collective: Collective { .allReduce }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    guard rankCount > 1 else { return copyOnly(.allReduce) }
    let folding = PairFolding(rankCount: rankCount)
    let whole = 0..<folding.positionCount
    var program = ScheduleBuilder(.allReduce, for: position, chunkCount: whole.count)
    if folding.isFolded(rank) {
      program.send([ChunkRange(.input, whole)], to: rank + 1)
      program.receive([ChunkRange(.output, whole)], from: rank + 1)
      return program.finish()
    }

    var place = Buffer.input
    if folding.hasPartner(rank) {
      let theirs = program.receiveSlot([.output(whole)], from: rank - 1)
      program.reduce([.output(whole)], [theirs, .input(whole)])
      place = .output
    }
    let position = folding.position(of: rank)
    var mine = whole
    var passed: [(peer: Int, theirs: Range<Int>)] = []
    for round in 0..<folding.roundCount {
      let isUpper = position >> round & 1 == 1
      let peer = folding.rank(at: position ^ 1 << round)
      let middle = (mine.lowerBound + mine.upperBound) / 2
      let theirs = isUpper ? mine.lowerBound..<middle : middle..<mine.upperBound
      mine = isUpper ? middle..<mine.upperBound : mine.lowerBound..<middle
      program.send([ChunkRange(place, theirs)], to: peer)
      let partial = program.receiveSlot([.output(mine)], from: peer)
      let own = ScheduleBuilder.Operand.chunks([ChunkRange(place, mine)])
      program.reduce([.output(mine)], isUpper ? [partial, own] : [own, partial], completes: mine.count == 1)
      place = .output
      passed.append((peer, theirs))
    }
    for (peer, theirs) in passed.reversed() {
      program.send([.output(mine)], to: peer)
      program.receive([.output(theirs)], from: peer)
      mine = min(mine.lowerBound, theirs.lowerBound)..<max(mine.upperBound, theirs.upperBound)
    }
    if folding.hasPartner(rank) { program.send([.output(whole)], to: rank - 1) }
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    let folding = PairFolding(rankCount: rankCount)
    let (positions, pairs) = (folding.positionCount, folding.pairCount)
    let rounds = 2 * folding.roundCount
    let volume = 2 * Double(positions - 1)
    // The doubling goes back the way of the halving, so the longest path ends where it began: at a folded rank.
    return AlgorithmCost(
      rounds: rounds + (pairs > 0 ? 2 : 0), messages: rounds + (pairs > 0 ? 1 : 0),
      volume: volume / Double(positions) + (pairs > 0 ? 1 : 0), totalMessages: rounds * positions + 2 * pairs,
      totalVolume: volume + 2 * Double(pairs))
  }
}
