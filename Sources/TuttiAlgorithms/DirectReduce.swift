import TuttiSchedule

/// Direct: everyone sends its input to the root, which folds all of them in rank order in one pass.
public struct DirectReduce: Algorithm {
  public var name: String { "direct" }
  public var identifier: UInt8 { 52 }
  public var collective: Collective { .reduce }

  public init() {}

  public func schedule(rank: Int, rankCount: Int, root: Int) -> Schedule {
    guard rankCount > 1 else { return copyOnly(.reduce) }
    var program = ScheduleBuilder(.reduce, rank: rank, rankCount: rankCount, root: root, chunkCount: 1)
    guard rank == root else {
      program.send([.input(0)], to: root)
      return program.finish()
    }
    let operands = (0..<rankCount).map { peer in
      peer == root ? .input(0) : program.receiveSlot([.output(0)], from: peer)
    }
    program.reduce([.output(0)], operands, completes: true)
    return program.finish()
  }

  public func cost(rankCount: Int) -> AlgorithmCost? { DirectBroadcast().cost(rankCount: rankCount) }
}
