import TuttiSchedule

/// Runs an algorithm that knows nothing of groups over the ranks in the order of their groups, or in any other order,
/// instead of the order of their numbers.
///
/// What the algorithm takes for rank p is the rank at place p of the order; roots and blocks are renamed alike. So a ring
/// over ranks that are numbered round-robin over hosts leaves each host once, where the plain one leaves it at every step.
/// Every rank sends as many messages and bytes as before. Where the order is that of the numbers, the programs are the plain
/// algorithm's own.
///
/// Results fold in the order of the places.
public struct InTopologyOrder: Algorithm {
  public var name: String { algorithm.name }
  public var collective: Collective { algorithm.collective }
  private let algorithm: any Algorithm
  /// The ranks by place, and the places by rank; nil for those of the grouping.
  private let order: (ranks: [Int], places: [Int])?

  /// Takes the order of the groups: see ``Grouping/rank(at:)``.
  ///
  /// - Parameter algorithm: One that does not ask its position for groups.
  public init(_ algorithm: any Algorithm) {
    self.algorithm = algorithm
    order = nil
  }

  /// Takes a given order, one found by ``RingOrder`` say.
  ///
  /// - Parameters:
  ///   - algorithm: One that does not ask its position for groups.
  ///   - ranks: Each rank once. The algorithm is then defined for that many ranks.
  public init(_ algorithm: any Algorithm, order ranks: [Int]) {
    var places = Array(repeating: -1, count: ranks.count)
    for (place, rank) in ranks.enumerated() {
      precondition(ranks.indices.contains(rank) && places[rank] < 0, "rank \(rank) at place \(place) of an order")
      places[rank] = place
    }
    self.algorithm = algorithm
    order = (ranks, places)
  }

  public func isDefined(for grouping: Grouping) -> Bool {
    if let order, order.ranks.count != grouping.rankCount { return false }
    return algorithm.isDefined(for: Grouping(rankCount: grouping.rankCount))
  }

  public func schedule(for position: Position) -> Schedule {
    let (grouping, rankCount) = (position.grouping, position.rankCount)
    if order.map({ $0.ranks.indices.elementsEqual($0.ranks) }) ?? grouping.isInRankOrder {
      return algorithm.schedule(for: .flat(rank: position.rank, rankCount: rankCount, root: position.root))
    }
    let rank: (Int) -> Int = order.map { order in { order.ranks[$0] } } ?? grouping.rank(at:)
    let place: (Int) -> Int = order.map { order in { order.places[$0] } } ?? grouping.place(of:)
    let plain = algorithm.schedule(
      for: .flat(
        rank: place(position.rank), rankCount: rankCount, root: collective.hasRoot ? place(position.root) : 0))
    var program = ScheduleBuilder(
      collective, for: position, chunkCount: plain.chunkCount, equalBlocks: plain.equalBlocks)
    let perBlock = plain.chunkCount / rankCount
    let chunks: (Int) -> Range<Int> =
      collective.hasBlocks && perBlock > 0
      ? { chunk in
        let renamed = rank(chunk / perBlock) * perBlock + chunk % perBlock
        return renamed..<renamed + 1
      } : { $0..<$0 + 1 }
    var embedding = Embedding(ranks: rank, chunks: chunks, completes: true)
    embedding.keepsScratch = plain.equalBlocks
    program.append(plain, embedding)
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? { algorithm.cost(for: grouping) }

  public func foldTree(of operands: [FoldTree], in grouping: Grouping) -> FoldTree? {
    let places = operands.indices.map { operands[order?.ranks[$0] ?? grouping.rank(at: $0)] }
    return algorithm.foldTree(of: places, in: Grouping(rankCount: grouping.rankCount))
  }

  public func isWeighed(for grouping: Grouping) -> Bool { algorithm.isWeighed(for: grouping) }
}
