import Testing
import TuttiAlgorithms
import TuttiSchedule

/// Every collective over groups: composed of any inner and outer algorithms, on even and uneven groups, of ranks in any
/// order, on two and on three levels.
@Suite struct HierarchicalCollectiveTests {
  /// Group numbers by level and rank.
  static let groupings: [[[Int]]] =
    HierarchyTests.hosts.map { [$0] } + [
      // Racks of hosts of ranks.
      [[0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 2, 2, 3, 3]],
      [[0, 1, 0, 1, 0, 1, 0], [0, 1, 2, 3, 0, 1, 2]],
      [[0, 0, 0, 1, 1, 1], [0, 1, 1, 2, 2, 2]],
    ]

  static let collectives: [Collective] = [
    .allReduce, .reduceScatter, .allGather, .broadcast, .reduce, .allToAll, .barrier,
  ]

  /// What an inner algorithm is called in both collectives that a composition takes it from.
  private static func pairs(_ first: Collective, _ second: Collective) -> [(any Algorithm, any Algorithm)] {
    let (firsts, seconds) = (AlgorithmRegistry.algorithms(for: first), AlgorithmRegistry.algorithms(for: second))
    return (0..<max(firsts.count, seconds.count)).map { (firsts[$0 % firsts.count], seconds[$0 % seconds.count]) }
  }

  private static func all(_ collective: Collective) -> [any Algorithm] { AlgorithmRegistry.algorithms(for: collective) }

  /// Compositions in which every inner and every outer algorithm occurs.
  static func compositions(_ collective: Collective, level: Int = 1) -> [any Algorithm] {
    /// Each outer algorithm meets an inner one, and the other way round.
    func mixed<Inner>(_ inner: [Inner], _ outer: [any Algorithm], _ make: (Inner, any Algorithm) -> any Algorithm)
      -> [any Algorithm]
    {
      (0..<max(inner.count, outer.count)).map { make(inner[$0 % inner.count], outer[$0 % outer.count]) }
    }
    switch collective {
    case .allReduce:
      return mixed(pairs(.reduce, .broadcast), all(.allReduce)) { inner, outer in
        LeaderAllReduce(name: "composed", level: level, reduce: inner.0, allReduce: outer, broadcast: inner.1)
      }
        + mixed(pairs(.reduceScatter, .allGather), all(.allReduce)) { inner, outer in
          HierarchicalAllReduce(
            name: "composed", level: level, reduceScatter: inner.0, allReduce: outer, allGather: inner.1)
        }
    case .reduceScatter:
      return mixed(all(.reduceScatter), all(.reduceScatter).reversed()) {
        HierarchicalReduceScatter(name: "composed", level: level, inside: $0, across: $1)
      }
    case .allGather:
      return mixed(all(.allGather), all(.allGather).reversed()) {
        HierarchicalAllGather(name: "composed", level: level, inside: $0, across: $1)
      }
    case .broadcast:
      return mixed(all(.broadcast), all(.broadcast).reversed()) {
        LeaderBroadcast(name: "composed", level: level, inside: $0, across: $1)
      }
        + mixed(pairs(.scatter, .allGather), all(.broadcast)) { inner, outer in
          HierarchicalBroadcast(name: "composed", level: level, scatter: inner.0, broadcast: outer, allGather: inner.1)
        }
    case .reduce:
      return mixed(all(.reduce), all(.reduce).reversed()) {
        LeaderReduce(name: "composed", level: level, inside: $0, across: $1)
      }
        + mixed(pairs(.reduceScatter, .gather), all(.reduce)) { inner, outer in
          HierarchicalReduce(name: "composed", level: level, reduceScatter: inner.0, reduce: outer, gather: inner.1)
        }
    case .allToAll: return [HierarchicalAllToAll(name: "composed", level: level)]
    case .barrier:
      return mixed(pairs(.reduce, .broadcast), all(.barrier)) { inner, outer in
        LeaderBarrier(name: "composed", level: level, reduce: inner.0, barrier: outer, broadcast: inner.1)
      }
    default: return []
    }
  }

  /// A composition of three levels: what is inside of the outer level's groups is itself composed.
  private static func nested(_ collective: Collective) -> any Algorithm {
    let (scatter, gather) = (
      HierarchicalReduceScatter(name: "inner", inside: DirectReduceScatter(), across: RingReduceScatter()),
      HierarchicalAllGather(name: "inner", inside: DirectAllGather(), across: RingAllGather())
    )
    switch collective {
    case .allReduce:
      return HierarchicalAllReduce(
        name: "nested", reduceScatter: scatter, allReduce: RecursiveDoublingAllReduce(), allGather: gather)
    case .reduceScatter:
      return HierarchicalReduceScatter(name: "nested", inside: scatter, across: DirectReduceScatter())
    case .allGather: return HierarchicalAllGather(name: "nested", inside: gather, across: DirectAllGather())
    case .broadcast:
      return LeaderBroadcast(
        name: "nested", inside: LeaderBroadcast(name: "inner", inside: DirectBroadcast(), across: ChainBroadcast()),
        across: BinomialBroadcast())
    case .reduce:
      return LeaderReduce(
        name: "nested", inside: LeaderReduce(name: "inner", inside: DirectReduce(), across: ChainReduce()),
        across: BinomialReduce())
    default: return HierarchicalAllToAll(name: "nested", level: 2)
    }
  }

  /// First, last, and one between.
  private func roots(_ collective: Collective, _ rankCount: Int) -> Set<Int> {
    collective.hasRoot ? [0, rankCount / 2, rankCount - 1] : [0]
  }

  private func prove(_ algorithm: any Algorithm, _ levels: [[Int]]) throws {
    let grouping = try Grouping(levels)
    try #require(algorithm.isDefined(for: grouping))
    for root in roots(algorithm.collective, grouping.rankCount) {
      do throws(ProofFailure) {
        try Verifier.prove(collective: algorithm.collective, rankCount: grouping.rankCount, root: root) {
          algorithm.schedule(for: grouping.position(of: $0, root: root))
        }
      } catch {
        Issue.record("\(algorithm) on \(levels), root \(root): \(error)")
      }
    }
  }

  @Test("every composition is proven whole", arguments: collectives)
  func compositionsAreProven(_ collective: Collective) throws {
    for levels in Self.groupings {
      for level in 1...levels.count {
        for algorithm in Self.compositions(collective, level: level) { try prove(algorithm, levels) }
      }
    }
  }

  @Test("compositions within compositions are proven", arguments: collectives.filter { $0 != .barrier })
  func nestedCompositionsAreProven(_ collective: Collective) throws {
    for levels in Self.groupings where levels.count == 2 { try prove(Self.nested(collective), levels) }
  }

  /// Rank counts with every divisor as the size of groups, in order and round-robin, and uneven groups by seed.
  @Test("they are proven on groups of every size", arguments: collectives)
  func groupsOfEverySize(_ collective: Collective) throws {
    let seed = testSeed()
    var generator = SeededGenerator(seed: seed)
    for rankCount in [1, 2, 3, 4, 6, 8, 9, 12, 16] {
      var groupings = (1...rankCount).filter { rankCount % $0 == 0 }.flatMap { size in
        [(0..<rankCount).map { $0 / size }, (0..<rankCount).map { $0 % (rankCount / size) }]
      }
      let groupCount = Int.random(in: 1...rankCount, using: &generator)
      groupings.append((0..<rankCount).map { _ in Int.random(in: 0..<groupCount, using: &generator) })
      for hosts in groupings {
        let grouping = try Grouping([hosts])
        let algorithm = try #require(Self.compositions(collective).randomElement(using: &generator))
        let root = Int.random(in: 0..<rankCount, using: &generator)
        do throws(ProofFailure) {
          try Verifier.prove(collective: collective, rankCount: rankCount, root: collective.hasRoot ? root : 0) {
            algorithm.schedule(for: grouping.position(of: $0, root: collective.hasRoot ? root : 0))
          }
        } catch {
          Issue.record("seed \(seed): \(algorithm) on \(hosts), root \(root): \(error)")
        }
      }
    }
  }

  /// The same on numbers, in random order of execution, with odd sizes of chunks.
  @Test("results are exact", arguments: collectives.filter { $0 != .barrier })
  func resultsAreExact(_ collective: Collective) throws {
    let seed = testSeed()
    var generator = SeededGenerator(seed: seed)
    for levels in Self.groupings {
      let grouping = try Grouping(levels)
      for algorithm in Self.compositions(collective) {
        let root = collective.hasRoot ? Int.random(in: 0..<grouping.rankCount, using: &generator) : 0
        let schedules = (0..<grouping.rankCount).map { algorithm.schedule(for: grouping.position(of: $0, root: root)) }
        for inPlace in [false, true] {
          let problem = CollectiveProblem(schedules, using: &generator)
          let wrong = try problem.run(
            schedules, inPlace: inPlace, credit: Int.random(in: 1...4, using: &generator), using: &generator)
          #expect(wrong == nil, "\(algorithm) on \(levels), in place \(inPlace), seed \(seed): \(wrong ?? "")")
        }
      }
    }
  }

  /// What is said to travel at each level is what is counted on the schedules, where groups are of equal sizes.
  @Test("costs are counted level by level", arguments: collectives)
  func costsAreExact(_ collective: Collective) throws {
    let even = Self.groupings.filter { levels in
      levels.count == 1 && Set(Dictionary(grouping: levels[0]) { $0 }.values.map(\.count)).count == 1
    }
    for hosts in even.map({ $0[0] }) {
      let grouping = try Grouping([hosts])
      for algorithm in Self.compositions(collective) {
        guard let cost = algorithm.cost(for: grouping) else { continue }
        #expect(cost.levels.count == 2)
        for (level, crosses) in [true, false].enumerated() {
          let counted = Traffic(hosts.indices.map { algorithm.schedule(for: grouping.position(of: $0)) }) {
            (hosts[$0] != hosts[$1]) == crosses
          }
          let place: Comment = "\(algorithm) on \(hosts), level \(level)"
          #expect(cost.levels[level].totalMessages == counted.totalMessages, place)
          if collective != .barrier {
            #expect(abs(cost.levels[level].totalVolume - counted.totalVolume) < 1e-9, place)
          }
        }
      }
    }
  }
}
