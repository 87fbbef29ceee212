import TuttiSchedule

/// Direct reduce-scatter: every rank sends block j to rank j, which folds them in rank order, as a balanced tree, in one
/// pass.
///
/// Peers are taken in rotated order, so that not all send to rank 0 first. This is the first phase of ``TwoShotAllReduce``.
public struct DirectReduceScatter: Algorithm {
  public var name: String { "direct" }
  public var collective: Collective { .reduceScatter }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    guard rankCount > 1 else { return copyOnly(.reduceScatter) }
    var program = ScheduleBuilder(.reduceScatter, for: position, chunkCount: rankCount)
    let others = (1..<rankCount).map { (rank + $0) % rankCount }
    for peer in others { program.send([.input(peer)], to: peer) }
    var operands = Array(repeating: ScheduleBuilder.Operand.input(rank), count: rankCount)
    for peer in others.reversed() { operands[peer] = program.receiveSlot([.output(rank)], from: peer) }
    program.reduce([.output(rank)], operands, order: .balanced, completes: true)
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    return .evenly(
      rounds: min(rankCount - 1, 1), messages: rankCount - 1, volume: Double(rankCount - 1) / Double(rankCount),
      rankCount: rankCount)
  }

  public func foldTree(of operands: [FoldTree], in grouping: Grouping) -> FoldTree? { .canonical(operands) }
}
