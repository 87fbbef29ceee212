import TuttiSchedule

/// Binomial tree reduce: a rank folds its own input with the results of all its children at once, and sends the result to
/// its parent without storing it.
///
/// Subtrees are consecutive, so results fold in rank order from the root on, wrapping around, balanced as the tree is.
public struct BinomialReduce: Algorithm {
  public var name: String { "binomial" }
  public var collective: Collective { .reduce }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount, root) = (position.rank, position.rankCount, position.root)
    guard rankCount > 1 else { return copyOnly(.reduce) }
    var program = ScheduleBuilder(.reduce, for: position, chunkCount: 1)
    let tree = RootedBinomialTree(rankCount: rankCount, root: root)
    let position = tree.position(of: rank)
    var operands = [ScheduleBuilder.Operand.input(0)]
    for child in tree.children(of: position) {
      operands.append(program.receiveSlot([.output(0)], from: tree.rank(child)))
    }
    program.addReduce(operands, to: RootedBinomialTree.parent(of: position).map(tree.rank))
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? { BinomialBroadcast().cost(for: grouping) }
}
