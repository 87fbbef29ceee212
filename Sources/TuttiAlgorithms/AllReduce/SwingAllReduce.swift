import TuttiSchedule

/// Swing all-reduce (De Sensi, Bonato, Saam & Hoefler, *Swing: Short-cutting Rings for Higher Bandwidth Allreduce*, NSDI
/// 2024): a reduce-scatter and an all-gather, each in ceil(log2 n) rounds, that send most where ranks are nearest.
///
/// For rings and tori, where a far message takes the links of many near ones. Ranks meet now to the one side, now to the
/// other, which keeps them nearer to each other than in recursive halving; see ``SwingRounds``. Blocks of a message lie
/// apart: ``BineAllReduce`` is the same with blocks in a row, at powers of two.
public struct SwingAllReduce: Algorithm {
  public var name: String { "swing" }
  public var collective: Collective { .allReduce }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let rankCount = position.rankCount
    guard rankCount > 1 else { return copyOnly(.allReduce) }
    var program = ScheduleBuilder(.allReduce, for: position, chunkCount: rankCount)
    let rounds = SwingRounds(rankCount: rankCount, .nearLast)
    rounds.addReduceScatter(&program, partials: .output)
    rounds.addAllGather(&program, own: .output)
    return program.finish()
  }

  public func isWeighed(for grouping: Grouping) -> Bool { grouping.tellsDistances }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    SwingRounds(rankCount: grouping.rankCount, .nearLast).cost(scatters: true, gathers: true)
  }
}
