import TuttiSchedule

// The algorithms over groups that have names: `hierarchical`, `leader`, and all pairs of an inner and an outer one.
//
// All are the compositions of this folder; nothing here says how they work.

extension AlgorithmRegistry {
  /// The algorithms that need groups: not defined where all ranks are one group. In the order in which they are listed to
  /// users.
  ///
  /// `hierarchical` works level by level. `hierarchical:INNER+OUTER` has all members of the innermost groups work between
  /// them, by OUTER, and INNER inside; `leader:INNER+OUTER` one member of each. INNER is a name that all the inner
  /// collectives of the composition know.
  public static let overGroups: [any Algorithm] =
    allReducesOverGroups + reduceScattersOverGroups + allGathersOverGroups + broadcastsOverGroups + reducesOverGroups + [
      GroupsAlgorithm(.allToAll, "hierarchical") { HierarchicalAllToAll(name: "hierarchical", level: $0 - 1) }
    ] + barriersOverGroups + overGrids

  /// What the automatic choice weighs where ranks are in these groups: the plain algorithms, in the order of the groups,
  /// and of those over groups the ones with direct algorithms inside. Inside groups every rank reaches every other one
  /// directly; all other pairs run only where they are asked for by name.
  ///
  /// - Parameter inRankOrder: Whether the plain algorithms keep to the order of the ranks' numbers.
  public static func candidates(for grouping: Grouping, inRankOrder: Bool = false) -> [any Algorithm] {
    if grouping.levelCount == 1 { return all }
    return all.map { inRankOrder ? $0 : arranged($0, for: grouping) }
      + overGroups.filter { over in
        !over.name.contains("+") || over.name.split(separator: ":").dropFirst().contains { $0.hasPrefix("direct+") }
      }
  }

  /// Gives a plain algorithm as it runs on these ranks: in the order of their groups, where that is not the order of their
  /// numbers. Others stay as they are.
  public static func arranged(_ algorithm: any Algorithm, for grouping: Grouping) -> any Algorithm {
    if grouping.isInRankOrder || self.algorithm(algorithm.collective, named: algorithm.name) == nil { return algorithm }
    return InTopologyOrder(algorithm)
  }

  /// An algorithm of any kind by its name, or nil.
  public static func any(_ collective: Collective, named name: String) -> (any Algorithm)? {
    algorithm(collective, named: name) ?? overGroups.first { $0.collective == collective && $0.name == name }
  }

  // MARK: Each collective

  private static var allReducesOverGroups: [any Algorithm] {
    let levels = GroupsAlgorithm(.allReduce, "hierarchical") { _ in
      HierarchicalAllReduce(
        name: "hierarchical", reduceScatter: reduceScatterByLevels(), allReduce: CirculantAllReduce(),
        allGather: allGatherByLevels())
    }
    let all = pairs("hierarchical", .allReduce, inside: [.reduceScatter, .allGather]) { name, level, inner, outer in
      HierarchicalAllReduce(name: name, level: level, reduceScatter: inner[0], allReduce: outer, allGather: inner[1])
    }
    let leaders = pairs("leader", .allReduce, inside: [.reduce, .broadcast]) { name, level, inner, outer in
      LeaderAllReduce(name: name, level: level, reduce: inner[0], allReduce: outer, broadcast: inner[1])
    }
    return [levels] + all + leaders
  }

  private static var reduceScattersOverGroups: [any Algorithm] {
    [GroupsAlgorithm(.reduceScatter, "hierarchical") { _ in reduceScatterByLevels() }]
      + pairs("hierarchical", .reduceScatter, inside: [.reduceScatter]) { name, level, inner, outer in
        HierarchicalReduceScatter(name: name, level: level, inside: inner[0], across: outer)
      }
  }

  private static var allGathersOverGroups: [any Algorithm] {
    [GroupsAlgorithm(.allGather, "hierarchical") { _ in allGatherByLevels() }]
      + pairs("hierarchical", .allGather, inside: [.allGather]) { name, level, inner, outer in
        HierarchicalAllGather(name: name, level: level, inside: inner[0], across: outer)
      }
  }

  private static var broadcastsOverGroups: [any Algorithm] {
    let all = pairs("hierarchical", .broadcast, inside: [.allGather]) { name, level, inner, outer in
      HierarchicalBroadcast(
        name: name, level: level, scatter: DirectScatter(), broadcast: outer, allGather: inner[0])
    }
    let leaders = pairs("leader", .broadcast, inside: [.broadcast]) { name, level, inner, outer in
      LeaderBroadcast(name: name, level: level, inside: inner[0], across: outer)
    }
    let levels = GroupsAlgorithm(.broadcast, "hierarchical") { _ in
      HierarchicalBroadcast(
        name: "hierarchical", scatter: DirectScatter(), broadcast: ScatterAllGatherBroadcast(),
        allGather: allGatherByLevels())
    }
    return [levels] + all + leaders
  }

  private static var reducesOverGroups: [any Algorithm] {
    let all = pairs("hierarchical", .reduce, inside: [.reduceScatter]) { name, level, inner, outer in
      HierarchicalReduce(name: name, level: level, reduceScatter: inner[0], reduce: outer, gather: DirectGather())
    }
    let leaders = pairs("leader", .reduce, inside: [.reduce]) { name, level, inner, outer in
      LeaderReduce(name: name, level: level, inside: inner[0], across: outer)
    }
    let levels = GroupsAlgorithm(.reduce, "hierarchical") { _ in
      HierarchicalReduce(
        name: "hierarchical", reduceScatter: reduceScatterByLevels(), reduce: BinomialReduce(), gather: DirectGather())
    }
    return [levels] + all + leaders
  }

  private static var barriersOverGroups: [any Algorithm] {
    [
      GroupsAlgorithm(.barrier, "hierarchical") { levelCount in
        LeaderBarrier(
          name: "hierarchical", level: levelCount - 1, reduce: DirectReduce(), barrier: DisseminationBarrier(),
          broadcast: DirectBroadcast())
      }
    ]
      + pairs("hierarchical", .barrier, inside: [.reduce, .broadcast]) { name, level, inner, outer in
        LeaderBarrier(name: name, level: level, reduce: inner[0], barrier: outer, broadcast: inner[1])
      }
  }

  // MARK: Parts

  private static func reduceScatterByLevels() -> LevelByLevel {
    LevelByLevel(DirectReduceScatter()) {
      HierarchicalReduceScatter(
        name: "hierarchical", inside: reduceScatterByLevels(), across: CirculantReduceScatter.circulant)
    }
  }

  private static func allGatherByLevels() -> LevelByLevel {
    LevelByLevel(DirectAllGather()) {
      HierarchicalAllGather(name: "hierarchical", inside: allGatherByLevels(), across: CirculantAllGather.circulant)
    }
  }

  /// A composition for each inner and each outer algorithm.
  ///
  /// - Parameters:
  ///   - outer: The collective across.
  ///   - inside: The collectives inside, each of which knows the inner name.
  private static func pairs(
    _ kind: String, _ outer: Collective, inside: [Collective],
    _ compose: @escaping @Sendable (String, Int, [any Algorithm], any Algorithm) -> any Algorithm
  ) -> [any Algorithm] {
    var result: [any Algorithm] = []
    for inner in algorithms(for: inside[0]) {
      let inners = inside.compactMap { algorithm($0, named: inner.name) }
      guard inners.count == inside.count else { continue }
      for across in algorithms(for: outer) {
        let name = "\(kind):\(inner.name)+\(across.name)"
        result.append(GroupsAlgorithm(outer, name) { compose(name, $0 - 1, inners, across) })
      }
    }
    return result
  }
}
