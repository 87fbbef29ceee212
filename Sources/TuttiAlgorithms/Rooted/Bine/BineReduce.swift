import TuttiSchedule

/// Bine tree reduce (De Sensi et al., SC 2025): the tree of ``BineBroadcast`` upwards.
///
/// A rank folds its own input with the results of all its children at once, in the order of their ranks round the root, and
/// sends the result to its parent without storing it.
public struct BineReduce: Algorithm {
  public var name: String { "bine" }
  public var collective: Collective { .reduce }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount, root) = (position.rank, position.rankCount, position.root)
    guard rankCount > 1 else { return copyOnly(.reduce) }
    var program = ScheduleBuilder(.reduce, for: position, chunkCount: 1)
    let tree = BineTree(rankCount: rankCount, root: root)
    let place = tree.place(of: rank)
    // Small subtrees are complete first.
    var operands = place.children.reversed().map { child in
      (offset: child.offset, operand: program.receiveSlot([.output(0)], from: tree.rank(child.offset)))
    }
    operands.append((place.offset, .input(0)))
    program.addReduce(operands.sorted { $0.offset < $1.offset }.map(\.operand), to: place.parent.map(tree.rank))
    return program.finish()
  }

  public func isWeighed(for grouping: Grouping) -> Bool { grouping.tellsDistances }

  public func cost(for grouping: Grouping) -> AlgorithmCost? { BineBroadcast().cost(for: grouping) }
}
