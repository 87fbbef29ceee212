import TuttiSchedule

/// Recursive doubling all-reduce (Thakur, Rabenseifner & Gropp, IJHPCA 19(1), 2005): log2 n exchanges of all the data, for
/// small messages.
///
/// Where the rank count is no power of two, pairs at the front fold into one rank first and are told the result at the end,
/// see ``PairFolding``. Both sides of an exchange combine the lower ranks' value with the higher ranks' value, so results
/// fold in rank order. Exchanges are copied sends: both sides overwrite what they send with what they receive.
public struct RecursiveDoublingAllReduce: Algorithm {
  public var name: String { "recursive-doubling" }
  public var collective: Collective { .allReduce }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    guard rankCount > 1 else { return copyOnly(.allReduce) }
    var program = ScheduleBuilder(.allReduce, for: position, chunkCount: 1)
    let folding = PairFolding(rankCount: rankCount)
    if folding.isFolded(rank) {
      program.send([.input(0)], to: rank + 1)
      program.receive([.output(0)], from: rank + 1)
      return program.finish()
    }

    var value = ScheduleBuilder.Operand.input(0)
    var place = ChunkRange.input(0)
    func combine(with peer: Int, theirs: ScheduleBuilder.Operand, completes: Bool) {
      program.reduce([.output(0)], peer < rank ? [theirs, value] : [value, theirs], completes: completes)
      value = .output(0)
      place = .output(0)
    }
    if folding.hasPartner(rank) {
      combine(with: rank - 1, theirs: program.receiveSlot([.output(0)], from: rank - 1), completes: false)
    }
    let position = folding.position(of: rank)
    var distance = 1
    while distance < folding.positionCount {
      let peer = folding.rank(at: position ^ distance)
      program.send([place], to: peer, lifetime: .copied)
      combine(
        with: peer, theirs: program.receiveSlot([.output(0)], from: peer), completes: distance * 2 == folding.positionCount)
      distance *= 2
    }
    if folding.hasPartner(rank) { program.send([.output(0)], to: rank - 1) }
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    let folding = PairFolding(rankCount: rankCount)
    let messages = folding.roundCount + (folding.pairCount > 0 ? 1 : 0)
    let total = folding.roundCount * folding.positionCount + 2 * folding.pairCount
    return AlgorithmCost(
      rounds: folding.roundsOnLongestPath, messages: messages, volume: Double(messages), totalMessages: total,
      totalVolume: Double(total))
  }

  public func foldTree(of operands: [FoldTree], in grouping: Grouping) -> FoldTree? { .canonical(operands) }
}
