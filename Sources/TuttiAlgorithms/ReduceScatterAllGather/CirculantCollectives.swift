import TuttiSchedule

/// Circulant all-reduce (Träff, *Optimal, non-pipelined reduce-scatter and allreduce algorithms*, 2025): a reduce-scatter
/// and an all-gather on circulant graphs, each in ceil(log2 n) rounds, moving as few bytes as an all-reduce can, at any
/// rank count.
///
/// In each round a rank sends a part of the blocks to one rank and receives as much from another one; see
/// ``CirculantRounds``.
public struct CirculantAllReduce: Algorithm {
  public var name: String { "circulant" }
  public var collective: Collective { .allReduce }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let rankCount = position.rankCount
    guard rankCount > 1 else { return copyOnly(.allReduce) }
    var program = ScheduleBuilder(.allReduce, for: position, chunkCount: rankCount)
    let rounds = CirculantRounds.halving(rankCount)
    rounds.addReduceScatter(&program, partials: .output)
    rounds.addAllGather(&program, own: .output)
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    let rounds = CirculantRounds.halving(rankCount)
    return rounds.cost(phases: 2, rounds: rounds.longestPath(scatters: true, gathers: true))
  }
}

/// Reduce-scatter on a circulant graph, in ceil(log2 n) rounds and with the fewest bytes possible, at any rank count.
///
/// Partial results, of up to half of the blocks, are kept in scratch.
public struct CirculantReduceScatter: Algorithm {
  public let name: String
  public var collective: Collective { .reduceScatter }
  private let rounds: @Sendable (Int) -> CirculantRounds

  /// Träff, *Optimal, non-pipelined reduce-scatter and allreduce algorithms*, 2025.
  public static let circulant = CirculantReduceScatter(name: "circulant", rounds: CirculantRounds.halving)
  /// The mirror image of the all-gather of Bruck et al., IEEE TPDS 8(11), 1997.
  public static let bruck = CirculantReduceScatter(name: "bruck", rounds: CirculantRounds.powers)

  private init(name: String, rounds: @escaping @Sendable (Int) -> CirculantRounds) {
    self.name = name
    self.rounds = rounds
  }

  public func schedule(for position: Position) -> Schedule {
    let rankCount = position.rankCount
    guard rankCount > 1 else { return copyOnly(.reduceScatter) }
    var program = ScheduleBuilder(.reduceScatter, for: position, chunkCount: rankCount, scratchCount: 2)
    rounds(rankCount).addReduceScatter(&program, partials: .scratch)
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    let rounds = rounds(rankCount)
    return rounds.cost(phases: 1, rounds: rounds.longestPath(scatters: true, gathers: false))
  }
}

/// All-gather on a circulant graph, in ceil(log2 n) rounds and with the fewest bytes possible, at any rank count.
///
/// Blocks are received where they belong: nothing is rotated at the end.
public struct CirculantAllGather: Algorithm {
  public let name: String
  public var collective: Collective { .allGather }
  private let rounds: @Sendable (Int) -> CirculantRounds

  /// Träff, *Optimal, non-pipelined reduce-scatter and allreduce algorithms*, 2025.
  public static let circulant = CirculantAllGather(name: "circulant", rounds: CirculantRounds.halving)
  /// Bruck, Ho, Kipnis, Upfal & Weathersby, IEEE TPDS 8(11), 1997.
  public static let bruck = CirculantAllGather(name: "bruck", rounds: CirculantRounds.powers)

  private init(name: String, rounds: @escaping @Sendable (Int) -> CirculantRounds) {
    self.name = name
    self.rounds = rounds
  }

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    guard rankCount > 1 else { return copyOnly(.allGather) }
    var program = ScheduleBuilder(.allGather, for: position, chunkCount: rankCount)
    program.copy([.output(rank)], from: [.input(rank)])
    rounds(rankCount).addAllGather(&program, own: .input)
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    let rounds = rounds(rankCount)
    return rounds.cost(phases: 1, rounds: rounds.longestPath(scatters: false, gathers: true))
  }
}
