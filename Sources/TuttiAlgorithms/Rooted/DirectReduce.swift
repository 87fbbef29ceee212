import TuttiSchedule

/// Direct reduce: every rank sends its input to the root, which folds all of them in rank order, as a balanced tree,
/// in one pass.
public struct DirectReduce: Algorithm {
  public var name: String { "direct" }
  public var collective: Collective { .reduce }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount, root) = (position.rank, position.rankCount, position.root)
    guard rankCount > 1 else { return copyOnly(.reduce) }
    var program = ScheduleBuilder(.reduce, for: position, chunkCount: 1)
    guard rank == root else {
      program.send([.input(0)], to: root)
      return program.finish()
    }
    let operands = (0..<rankCount).map { peer in
      peer == root ? .input(0) : program.receiveSlot([.output(0)], from: peer)
    }
    program.reduce([.output(0)], operands, order: .balanced, completes: true)
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? { DirectBroadcast().cost(for: grouping) }

  public func foldTree(of operands: [FoldTree], in grouping: Grouping) -> FoldTree? { .canonical(operands) }
}
