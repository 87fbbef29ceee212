import TuttiSchedule

// What a communicator promises of the bits of its results.

extension Communicator {
  /// What the bits of results that round may depend on.
  public var bits: ResultBits { member.planner.policy.catalog.bits }

  /// The tree by which an algorithm of the library folds on these ranks: `canonical`, a hash, or `undeclared` where it
  /// promises none; `exact` where the order makes no difference, and nil where nothing is combined.
  package func foldClass(of name: String, _ collective: Collective, _ operation: ReduceOp, _ type: DataType) -> String? {
    guard collective.combines else { return nil }
    let isOrdered = !type.isInteger && [.sum, .product, .average].contains(operation)
    guard isOrdered else { return "exact" }
    let policy = member.planner.policy
    let algorithm = policy.catalog.algorithm(collective, named: name).map { policy.arranged($0, isOrdered: true) }
    return algorithm?.foldTree(for: policy.grouping)?.name(rankCount: rankCount) ?? "undeclared"
  }
}
