import TuttiSchedule

/// Pairwise all-to-all, for large blocks: in each round a rank has one partner, and the two send each other their blocks.
///
/// Partners are those of a round-robin tournament (the circle method): n - 1 rounds for an even rank count, n for an odd
/// one, in each of which another rank rests. A block is forwarded from where it lies: forwards take turns, so the next
/// partner's block begins when this one's is all on its way, and no rank is flooded; and they free their source at once, as
/// is needed in place.
public struct PairwiseAllToAll: Algorithm {
  public var name: String { "pairwise" }
  public var collective: Collective { .allToAll }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    guard rankCount > 1 else { return copyOnly(.allToAll) }
    var program = ScheduleBuilder(.allToAll, for: position, chunkCount: rankCount)
    for round in 0..<rankCount - 1 + rankCount % 2 {
      guard let partner = partner(of: rank, rankCount, round) else { continue }
      program.forward([.input(partner)], [.input(partner)], to: partner)
      program.receive([.output(partner)], from: partner)
    }
    program.copy([.output(rank)], from: [.input(rank)])
    return program.finish()
  }

  /// Two ranks are partners in the round that is their sum modulo the largest odd number up to the rank count. The rank that
  /// would be its own partner rests, or takes the last rank, which has no such number.
  private func partner(of rank: Int, _ rankCount: Int, _ round: Int) -> Int? {
    let odd = rankCount - 1 + rankCount % 2
    if rank == odd { return round * ((odd + 1) / 2) % odd }
    let partner = (round - rank).wrapped(odd)
    if partner != rank { return partner }
    return rankCount % 2 == 0 ? odd : nil
  }

  /// The rounds wait for one another, though none passes on what another brought.
  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    var cost = DirectAllToAll().cost(for: grouping)
    cost?.levels[0].rounds = rankCount > 1 ? rankCount - 1 + rankCount % 2 : 0
    return cost
  }
}
