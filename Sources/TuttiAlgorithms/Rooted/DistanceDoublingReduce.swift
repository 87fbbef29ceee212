import TuttiSchedule

/// Reduce by a binomial tree in which ranks send to ranks 1, 2, 4, ... away, nearest first: log2 n messages one after the
/// other, which fold in rank order by the canonical tree whatever the root.
///
/// In round k the ranks are in blocks of 2^k; of two neighbouring blocks, a rank of one sends what its block has to a rank
/// of the other. Which ranks these are follows from the root: those whose lower bits are the root's. So the root ends with
/// everything, and the tree of combines is the same for all roots; that of ``BinomialReduce`` turns with the root, and each
/// rank folds its children at once. Where the rank count is no power of two, pairs at the front fold into one rank first,
/// as in ``PairFolding``: into the root where it is one of the two.
public struct DistanceDoublingReduce: Algorithm {
  public var name: String { "distance-doubling" }
  public var collective: Collective { .reduce }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount, root) = (position.rank, position.rankCount, position.root)
    guard rankCount > 1 else { return copyOnly(.reduce) }
    var program = ScheduleBuilder(.reduce, for: position, chunkCount: 1, scratchCount: 1)
    let folding = PairFolding(rankCount: rankCount)
    let rootPosition = folding.position(of: root)
    /// The rank that takes part at a position.
    func member(_ position: Int) -> Int { position == rootPosition ? root : folding.rank(at: position) }
    let position = folding.position(of: rank)
    guard rank == member(position) else {
      program.send([.input(0)], to: member(position))
      return program.finish()
    }

    var children = rank < 2 * folding.pairCount ? [rank ^ 1] : []
    let bitsAway = (position ^ rootPosition).trailingZeroBitCount
    let rounds = min(bitsAway, folding.roundCount)
    for round in 0..<rounds { children.append(member(position ^ 1 << round)) }
    let parent = rank == root ? nil : member(position ^ 1 << rounds)
    var value = ScheduleBuilder.Operand.input(0)
    for (index, child) in children.enumerated() {
      let theirs = program.receiveSlot([.output(0)], from: child)
      let operands = child < rank ? [theirs, value] : [value, theirs]
      if index == children.count - 1 {
        program.addReduce(operands, to: parent)
      } else {
        value = .scratch(0, 0..<1)
        program.reduce([.scratch(0, 0..<1)], operands)
      }
    }
    if children.isEmpty { program.addReduce([value], to: parent) }
    return program.finish()
  }

  /// The cost with the root that makes it dearest.
  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    let folding = PairFolding(rankCount: rankCount)
    let messages = folding.roundCount + (folding.pairCount > 0 ? 1 : 0)
    // The path is longest from a rank that folds into its neighbour and whose position differs from the root's in every
    // bit.
    return AlgorithmCost(
      rounds: messages, messages: messages, volume: Double(messages), totalMessages: rankCount - 1,
      totalVolume: Double(rankCount - 1))
  }

  public func foldTree(of operands: [FoldTree], in grouping: Grouping) -> FoldTree? { .canonical(operands) }
}
