import TuttiSchedule

/// All-reduce through rank 0: every rank sends its input there, where all are folded in rank order, as a balanced tree, and
/// the result goes back to all.
///
/// No algorithm sends fewer messages, and all ranks but one have a single neighbour: where ranks share few processors, and
/// a message costs its sender and receiver time, that is less than the rounds of ``RecursiveDoublingAllReduce``.
public struct LinearAllReduce: Algorithm {
  public var name: String { "linear" }
  public var collective: Collective { .allReduce }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    guard rankCount > 1 else { return copyOnly(.allReduce) }
    var program = ScheduleBuilder(.allReduce, for: position, chunkCount: 1)
    guard rank == 0 else {
      program.send([.input(0)], to: 0)
      program.receive([.output(0)], from: 0)
      return program.finish()
    }
    let others = 1..<rankCount
    let slots = others.map { program.receiveSlot([.output(0)], from: $0) }
    program.reduce([.output(0)], [.input(0)] + slots, order: .balanced, completes: true)
    program.send([.output(0)], to: Array(others))
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let others = grouping.rankCount - 1
    return AlgorithmCost(
      rounds: min(others, 1) * 2, messages: others, volume: Double(others), totalMessages: 2 * others,
      totalVolume: 2 * Double(others))
  }

  public func foldTree(of operands: [FoldTree], in grouping: Grouping) -> FoldTree? { .canonical(operands) }
}
