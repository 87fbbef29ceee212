import TuttiSchedule

/// An all-reduce by halving and doubling: in each round, pairs of positions share the part of the data that both work on,
/// and complete it on the way back.
///
/// Which positions meet, and which of the two takes the upper half, is given; the two must have taken the same halves
/// before. So a message is always one range. Where the rank count is no power of two, pairs at the front fold into one
/// rank first, see ``PairFolding``.
struct Butterfly {
  /// The position that a given one meets in a round.
  var peer: (_ position: Int, _ round: Int) -> Int
  /// Whether a position takes the upper half in a round, and puts its operand last.
  var isUpper: (_ position: Int, _ round: Int) -> Bool

  func schedule(for position: Position) -> Schedule {
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
      let isUpper = isUpper(position, round)
      let peer = folding.rank(at: peer(position, round))
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

  /// The cost, which does not depend on which positions meet.
  static func cost(for grouping: Grouping) -> AlgorithmCost {
    let folding = PairFolding(rankCount: grouping.rankCount)
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
