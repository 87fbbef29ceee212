import TuttiSchedule

/// Bine all-reduce (De Sensi et al., *Bine Trees: Enhancing Collective Operations by Optimizing Communication Locality*, SC
/// 2025): halving and doubling between ranks that meet now to the one side, now to the other, over about two thirds of the
/// distances.
///
/// The first and largest exchange is with a neighbour. Which part of the data a rank completes is chosen so that every
/// message is one range. Where the rank count is no power of two, pairs at the front fold into one rank first, see
/// ``PairFolding``; ``SwingAllReduce`` does without.
public struct BineAllReduce: Algorithm {
  public var name: String { "bine" }
  public var collective: Collective { .allReduce }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let positions = PairFolding(rankCount: position.rankCount).positionCount
    let last = positions.floorLog2 - 1
    func peer(_ position: Int, _ round: Int) -> Int {
      let distance = SwingRounds.distance(round)
      return (position.isMultiple(of: 2) ? position + distance : position - distance).wrapped(positions)
    }
    // The last round pairs each even position with an odd one, and the odd one takes the upper half. In every other
    // round, bit `round + 1` of the pair's even position decides: positions that meet in this round differ in that bit,
    // and those that meet in a later one agree in it, so that they still share their part.
    return Butterfly(
      peer: peer,
      isUpper: { position, round in
        let isOdd = !position.isMultiple(of: 2)
        if round == last { return isOdd }
        return (isOdd ? peer(position, last) : position) >> (round + 1) & 1 == 1
      }
    ).schedule(for: position)
  }

  public func isWeighed(for grouping: Grouping) -> Bool { grouping.tellsDistances }

  public func cost(for grouping: Grouping) -> AlgorithmCost? { Butterfly.cost(for: grouping) }
}
