import TuttiSchedule

/// Direct all-reduce in one phase: every rank sends its input to every other and folds all inputs in rank order, as a
/// balanced tree.
///
/// Peers are taken in rotated order, so that not all send to rank 0 first. Sends are copied: in place, the input is
/// overwritten while slower peers have yet to read it.
public struct OneShotAllReduce: Algorithm {
  public var name: String { "one-shot" }
  public var collective: Collective { .allReduce }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    guard rankCount > 1 else { return copyOnly(.allReduce) }
    var program = ScheduleBuilder(.allReduce, for: position, chunkCount: 1)
    let others = (1..<rankCount).map { (rank + $0) % rankCount }
    program.send([.input(0)], to: others, lifetime: .copied)
    var operands = Array(repeating: ScheduleBuilder.Operand.input(0), count: rankCount)
    for peer in others.reversed() { operands[peer] = program.receiveSlot([.output(0)], from: peer) }
    program.reduce([.output(0)], operands, order: .balanced, completes: true)
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    return .evenly(
      rounds: min(rankCount - 1, 1), messages: rankCount - 1, volume: Double(rankCount - 1), rankCount: rankCount)
  }

  public func foldTree(of operands: [FoldTree], in grouping: Grouping) -> FoldTree? { .canonical(operands) }
}

/// Direct all-reduce in two phases: rank j folds chunk j of every rank in rank order, as a balanced tree, then sends the
/// result to every rank.
///
/// Moves the fewest bytes that an all-reduce can, in two latencies, over n - 1 links for each rank. The phases have a
/// channel each: on one, no result could leave before all inputs have, and each would be stored and read again instead of
/// being sent while it is combined.
public struct TwoShotAllReduce: Algorithm {
  public var name: String { "two-shot" }
  public var collective: Collective { .allReduce }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    guard rankCount > 1 else { return copyOnly(.allReduce) }
    var program = ScheduleBuilder(.allReduce, for: position, chunkCount: rankCount, channelCount: 2)
    let others = (1..<rankCount).map { (rank + $0) % rankCount }
    for peer in others { program.send([.input(peer)], to: peer) }
    var operands = Array(repeating: ScheduleBuilder.Operand.input(rank), count: rankCount)
    for peer in others.reversed() { operands[peer] = program.receiveSlot([.output(rank)], from: peer) }
    program.reduce([.output(rank)], operands, order: .balanced, completes: true)
    program.channel = 1
    program.send([.output(rank)], to: others)
    for peer in others.reversed() { program.receive([.output(peer)], from: peer) }
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    return .evenly(
      rounds: min(rankCount - 1, 1) * 2, messages: 2 * (rankCount - 1),
      volume: 2 * Double(rankCount - 1) / Double(rankCount),
      rankCount: rankCount)
  }

  public func foldTree(of operands: [FoldTree], in grouping: Grouping) -> FoldTree? { .canonical(operands) }
}
