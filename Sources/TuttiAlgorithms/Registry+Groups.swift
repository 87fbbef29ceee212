extension AlgorithmRegistry {
  /// Algorithms over the groups of level 1, for jobs that have several: compositions of the flat ones.
  public static let overGroups: [any Algorithm] = [
    HierarchicalAllReduce(
      name: "hierarchical:ring", reduceScatter: DirectReduceScatter(), allReduce: RingAllReduce.ring,
      allGather: DirectAllGather()),
    HierarchicalAllReduce(
      name: "hierarchical", reduceScatter: DirectReduceScatter(), allReduce: TwoShotAllReduce(),
      allGather: DirectAllGather()),
    LeaderAllReduce(
      name: "leader", reduce: DirectReduce(), allReduce: RecursiveDoublingAllReduce(), broadcast: DirectBroadcast()),
    HierarchicalReduceScatter(name: "hierarchical", inside: DirectReduceScatter(), across: DirectReduceScatter()),
    HierarchicalAllGather(name: "hierarchical", inside: DirectAllGather(), across: DirectAllGather()),
    LeaderBroadcast(name: "leader", inside: DirectBroadcast(), across: BinomialBroadcast()),
    LeaderReduce(name: "leader", inside: DirectReduce(), across: BinomialReduce()),
    HierarchicalAllToAll(name: "hierarchical"),
    LeaderBarrier(
      name: "leader", reduce: DirectReduce(), barrier: DisseminationBarrier(), broadcast: DirectBroadcast()),
  ]
}
