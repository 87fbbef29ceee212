import TuttiSchedule

/// Ring all-gather (Thakur, Rabenseifner & Gropp, IJHPCA 19(1), 2005): every block goes round the ring, and each rank keeps
/// it and passes it on.
public struct RingAllGather: Algorithm {
  public var name: String { "ring" }
  public var collective: Collective { .allGather }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    guard rankCount > 1 else { return copyOnly(.allGather) }
    var program = ScheduleBuilder(.allGather, for: position, chunkCount: rankCount)
    let next = (rank + 1) % rankCount
    let previous = (rank - 1).wrapped(rankCount)
    program.send([.input(rank)], to: next)
    program.copy([.output(rank)], from: [.input(rank)])
    for distance in 1..<rankCount {
      let block = (rank - distance).wrapped(rankCount)
      program.receive([.output(block)], from: previous)
      if distance < rankCount - 1 { program.send([.output(block)], to: next) }
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
