import TuttiSchedule

/// Ring reduce-scatter (Patarasuk & Yuan, JPDC 69(2), 2009): block c is combined along the ring from rank c + 1 on, each
/// rank adding its own input to what arrives, and ends on rank c.
///
/// Ranks pass partial results on without storing them. Rank 0 stores them, in scratch: a ring in which everyone waits until
/// it can send waits for itself.
public struct RingReduceScatter: Algorithm {
  public var name: String { "ring" }
  public var collective: Collective { .reduceScatter }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    guard rankCount > 1 else { return copyOnly(.reduceScatter) }
    var program = ScheduleBuilder(.reduceScatter, for: position, chunkCount: rankCount, scratchCount: rank == 0 ? 1 : 0)
    let next = (rank + 1) % rankCount
    let previous = (rank - 1).wrapped(rankCount)
    program.send([.input(previous)], to: next)
    for distance in 2..<rankCount + 1 {
      let block = (rank - distance).wrapped(rankCount)
      let operands = [program.receiveSlot([.output(block)], from: previous), .input(block)]
      if distance == rankCount {
        program.reduce([.output(rank)], operands, completes: true)
      } else if rank == 0 {
        program.reduce([.scratch(0, block..<block + 1)], operands)
        program.send([.scratch(0, block..<block + 1)], to: next)
      } else {
        program.forward([.output(block)], operands, to: next)
      }
    }
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    return .evenly(
      rounds: rankCount - 1, messages: rankCount - 1, volume: Double(rankCount - 1) / Double(rankCount), rankCount: rankCount
    )
  }
}
