import TuttiSchedule

/// Direct gather: every rank sends its block to the root, where it is received in place.
public struct DirectGather: Algorithm {
  public var name: String { "direct" }
  public var collective: Collective { .gather }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount, root) = (position.rank, position.rankCount, position.root)
    guard rankCount > 1 else { return copyOnly(.gather) }
    var program = ScheduleBuilder(.gather, for: position, chunkCount: rankCount)
    if rank == root {
      for distance in 1..<rankCount {
        let peer = (root + distance) % rankCount
        program.receive([.output(peer)], from: peer)
      }
      program.copy([.output(rank)], from: [.input(rank)])
    } else {
      program.send([.input(rank)], to: root)
    }
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    let others = rankCount - 1
    let volume = Double(others) / Double(rankCount)
    return AlgorithmCost(
      rounds: min(others, 1), messages: others, volume: volume, totalMessages: others, totalVolume: volume)
  }
}
