import TuttiSchedule

/// All-reduce by recursive halving and doubling (Rabenseifner, ICCS 2004; Thakur, Rabenseifner & Gropp, IJHPCA 19(1), 2005):
/// a reduce-scatter by recursive halving of the data, then an all-gather by recursive doubling. It moves as few bytes as a
/// ring, in 2 log2 n messages.
///
/// The first exchange, of half of the data, is with the nearest rank; distances double from there, so results fold in rank
/// order. Which part of the data a rank completes follows from its position with the bits reversed. Where the rank count is
/// no power of two, pairs at the front fold into one rank first, see ``PairFolding``.
public struct HalvingDoublingAllReduce: Algorithm {
  public var name: String { "halving-doubling" }
  public var collective: Collective { .allReduce }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    Butterfly(peer: { $0 ^ 1 << $1 }, isUpper: { $0 >> $1 & 1 == 1 }).schedule(for: position)
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? { Butterfly.cost(for: grouping) }

  public func foldTree(of operands: [FoldTree], in grouping: Grouping) -> FoldTree? { .canonical(operands) }
}
