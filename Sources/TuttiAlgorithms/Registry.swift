import TuttiSchedule

/// The algorithms that come with this library.
///
/// A new one is a file of its own, one line here, and an entry in `docs/ALGORITHMS.md`; the tests then prove it.
public enum AlgorithmRegistry {
  /// All algorithms, in the order in which they are listed to users. Of those that cost the same, the automatic choice takes
  /// the last: the one with the plainest messages.
  public static let all: [any Algorithm] = [
    RingAllReduce.ring,
    RingAllReduce.ring2,
    SwingAllReduce(),
    BineAllReduce(),
    RecursiveDoublingAllReduce(),
    DoubleBinaryTreeAllReduce(),
    HalvingDoublingAllReduce(),
    CirculantAllReduce(),
    TreeAllReduce.binomial,
    TreeAllReduce.kAry,
    TreeAllReduce.reduceBroadcast,
    LinearAllReduce(),
    OneShotAllReduce(),
    TwoShotAllReduce(),
    DistanceDoublingReduceScatter(),
    RingReduceScatter(),
    SwingReduceScatter.swing,
    SwingReduceScatter.bine,
    PATReduceScatter(),
    CirculantReduceScatter.circulant,
    CirculantReduceScatter.bruck,
    RecursiveHalvingReduceScatter(),
    DirectReduceScatter(),
    RingAllGather(),
    SwingAllGather.swing,
    SwingAllGather.bine,
    PATAllGather(),
    CirculantAllGather.circulant,
    CirculantAllGather.bruck,
    RecursiveDoublingAllGather(),
    DirectAllGather(),
    BineBroadcast(),
    BinomialBroadcast(),
    ChainBroadcast(),
    DirectBroadcast(),
    ScatterAllGatherBroadcast(),
    DistanceDoublingReduce(),
    BineReduce(),
    BinomialReduce(),
    ChainReduce(),
    DirectReduce(),
    BineGather(),
    BinomialGather(),
    ChainGather(),
    DirectGather(),
    BineScatter(),
    BinomialScatter(),
    ChainScatter(),
    DirectScatter(),
    PairwiseAllToAll(),
    BruckAllToAll(),
    DirectAllToAll(),
    DirectBarrier(),
    DisseminationBarrier(),
    BinomialBarrier(),
  ]

  /// The algorithms over grids of ranks: not defined where the groups of a level differ in size, or where there are no
  /// groups.
  static let overGrids: [any Algorithm] = [
    TorusAllReduce.torus,
    TorusAllReduce.torusInTurn,
    TorusReduceScatter.torus,
    TorusReduceScatter.torusInTurn,
    TorusAllGather.torus,
    TorusAllGather.torusInTurn,
  ]

  /// The algorithms of one collective, in the order they are listed to users.
  public static func algorithms(for collective: Collective) -> [any Algorithm] {
    all.filter { $0.collective == collective }
  }

  /// The algorithm of that name, or nil.
  public static func algorithm(_ collective: Collective, named name: String) -> (any Algorithm)? {
    all.first { $0.collective == collective && $0.name == name }
  }
}
