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
    // The positions that share a part after a round are those that the later rounds connect. They are an even number, modulo
    // 2^(round + 2), and what that number meets in the last round. So the last round is decided by which of the two one is,
    // and every other one by a bit of the even number.
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
