import TuttiSchedule

/// Direct broadcast: the root sends all data to every rank, as one send, so that over shared memory it is written once.
public struct DirectBroadcast: Algorithm {
  public var name: String { "direct" }
  public var collective: Collective { .broadcast }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount, root) = (position.rank, position.rankCount, position.root)
    guard rankCount > 1 else { return copyOnly(.broadcast) }
    var program = ScheduleBuilder(.broadcast, for: position, chunkCount: 1)
    if rank == root {
      program.send([.input(0)], to: (1..<rankCount).map { (root + $0) % rankCount })
      program.copy([.output(0)], from: [.input(0)])
    } else {
      program.receive([.output(0)], from: root)
    }
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    let others = rankCount - 1
    return AlgorithmCost(
      rounds: min(others, 1), messages: others, volume: Double(others), totalMessages: others, totalVolume: Double(others))
  }
}
