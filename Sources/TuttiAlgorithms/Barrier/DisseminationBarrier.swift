import TuttiSchedule

/// Dissemination barrier (Hensgen, Finkel & Manber, IJPP 17(1), 1988): in round k, rank r tells rank r + 2^k what it has
/// heard, and after ceil(log2 n) rounds everyone has heard of everyone.
///
/// Written as an all-reduce of one chunk without elements: messages are empty, and an empty send follows whoever wrote the
/// chunk that it names.
public struct DisseminationBarrier: Algorithm {
  public var name: String { "dissemination" }
  public var collective: Collective { .barrier }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    var program = ScheduleBuilder(.barrier, for: position, chunkCount: 1)
    var heard = ChunkRange.input(0)
    var distance = 1
    while distance < rankCount {
      program.send([heard], to: (rank + distance) % rankCount)
      let news = program.receiveSlot([.output(0)], from: (rank - distance).wrapped(rankCount))
      program.reduce([.output(0)], [.chunks([heard]), news])
      heard = .output(0)
      distance *= 2
    }
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    return .evenly(rounds: rankCount.ceilLog2, messages: rankCount.ceilLog2, volume: 0, rankCount: rankCount)
  }
}
