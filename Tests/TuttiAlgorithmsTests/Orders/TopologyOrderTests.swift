import Testing
import TuttiAlgorithms
import TuttiSchedule

/// Plain algorithms over ranks in the order of their groups.
@Suite struct TopologyOrderTests {
  /// Ranks numbered round-robin over hosts of two, as far as they go, and groups by seed.
  private static func groupings(_ rankCount: Int, _ generator: inout SeededGenerator) -> [[Int]] {
    let hostCount = (rankCount + 1) / 2
    let groupCount = Int.random(in: 1...rankCount, using: &generator)
    return [
      (0..<rankCount).map { $0 % hostCount },
      (0..<rankCount).map { _ in Int.random(in: 0..<groupCount, using: &generator) },
    ]
  }

  private func prove(_ algorithm: any Algorithm, _ grouping: Grouping, roots: [Int], _ place: String) {
    for root in algorithm.collective.hasRoot ? roots : [0] {
      do throws(ProofFailure) {
        try Verifier.prove(collective: algorithm.collective, rankCount: grouping.rankCount, root: root) {
          algorithm.schedule(for: grouping.position(of: $0, root: root))
        }
      } catch {
        Issue.record("\(algorithm.collective.name) \(algorithm.name) \(place), root \(root): \(error)")
      }
    }
  }

  @Test("every plain algorithm is proven in the order of groups", arguments: AlgorithmRegistry.all.indices)
  func isProven(_ index: Int) throws {
    let algorithm = InTopologyOrder(AlgorithmRegistry.all[index])
    let seed = testSeed()
    var generator = SeededGenerator(seed: seed)
    for rankCount in Array(1...16) + [19, 24] {
      for hosts in Self.groupings(rankCount, &generator) {
        let grouping = try Grouping([hosts], inOrderOfNumbers: .random(using: &generator))
        guard algorithm.isDefined(for: grouping) else { continue }
        let roots = rankCount <= 5 ? Array(0..<rankCount) : [Int.random(in: 0..<rankCount, using: &generator)]
        prove(algorithm, grouping, roots: roots, "on \(hosts), seed \(seed)")
      }
    }
  }

  /// On numbers, with odd sizes of chunks.
  @Test(
    "results are exact", arguments: AlgorithmRegistry.all.indices.filter { AlgorithmRegistry.all[$0].collective != .barrier }
  )
  func resultsAreExact(_ index: Int) throws {
    let algorithm = InTopologyOrder(AlgorithmRegistry.all[index])
    let seed = testSeed()
    var generator = SeededGenerator(seed: seed)
    for rankCount in [2, 3, 5, 8, 9] {
      for hosts in Self.groupings(rankCount, &generator) {
        let grouping = try Grouping([hosts])
        guard algorithm.isDefined(for: grouping) else { continue }
        let root = algorithm.collective.hasRoot ? Int.random(in: 0..<rankCount, using: &generator) : 0
        let schedules = (0..<rankCount).map { algorithm.schedule(for: grouping.position(of: $0, root: root)) }
        for inPlace in [false, true] {
          let problem = CollectiveProblem(schedules, using: &generator)
          if inPlace, !problem.canRunInPlace { continue }
          let wrong = try problem.run(schedules, inPlace: inPlace, credit: 2, using: &generator)
          #expect(wrong == nil, "\(algorithm.name) on \(hosts), in place \(inPlace), seed \(seed): \(wrong ?? "")")
        }
      }
    }
  }

  @Test("where the order is that of the numbers, programs are the plain ones") func identity() throws {
    for algorithm in AlgorithmRegistry.all where algorithm.isDefined(for: Grouping(rankCount: 6)) {
      let inOrder = InTopologyOrder(algorithm)
      #expect(inOrder.name == algorithm.name && inOrder.collective == algorithm.collective)
      let root = algorithm.collective.hasRoot ? 4 : 0
      for levels in [[[0, 0, 1, 1, 2, 2]], [[0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 2, 2]]] {
        let grouping = try Grouping(levels)
        #expect(inOrder.cost(for: grouping) == algorithm.cost(for: grouping))
        for rank in 0..<6 {
          let plain = algorithm.schedule(for: .flat(rank: rank, rankCount: 6, root: root))
          #expect(inOrder.schedule(for: grouping.position(of: rank, root: root)) == plain)
          #expect(
            InTopologyOrder(algorithm, order: Array(0..<6)).schedule(for: .flat(rank: rank, rankCount: 6, root: root))
              == plain)
        }
      }
    }
  }

  /// Counts on the schedules of all ranks, numbered round-robin over four hosts of three.
  @Test("a ring leaves each host once") func ringsLeaveHostsOnce() throws {
    let hosts = (0..<12).map { $0 % 4 }
    let grouping = try Grouping([hosts])
    for collective in [Collective.allReduce, .reduceScatter, .allGather] {
      let ring = try #require(AlgorithmRegistry.algorithm(collective, named: "ring"))
      func crossings(_ algorithm: any Algorithm) -> Set<[Int]> {
        var links: Set<[Int]> = []
        _ = Traffic((0..<12).map { algorithm.schedule(for: grouping.position(of: $0)) }) { from, to in
          if hosts[from] != hosts[to] { links.insert([from, to]) }
          return true
        }
        return links
      }
      #expect(crossings(ring).count == 12)
      #expect(crossings(InTopologyOrder(ring)).count == 4)
      let counted = Traffic((0..<12).map { InTopologyOrder(ring).schedule(for: grouping.position(of: $0)) })
      counted.expect(try #require(ring.cost(for: Grouping(rankCount: 12))).levels[0], "ring in order")
    }
  }

  @Test("a given order is taken instead of the groups'") func givenOrders() throws {
    let seed = testSeed()
    var generator = SeededGenerator(seed: seed)
    for rankCount in [2, 5, 8] {
      let order = Array(0..<rankCount).shuffled(using: &generator)
      for algorithm in AlgorithmRegistry.all {
        let inOrder = InTopologyOrder(algorithm, order: order)
        #expect(!inOrder.isDefined(for: Grouping(rankCount: rankCount + 1)))
        guard inOrder.isDefined(for: Grouping(rankCount: rankCount)) else { continue }
        prove(inOrder, Grouping(rankCount: rankCount), roots: [rankCount - 1], "in order \(order)")
      }
    }
    let ring = InTopologyOrder(RingAllGather(), order: [0, 2, 1, 3])
    let schedules = (0..<4).map { ring.schedule(for: .flat(rank: $0, rankCount: 4)) }
    #expect(Traffic(schedules) { [[0, 2], [2, 1], [1, 3], [3, 0]].contains([$0, $1]) }.totalMessages == 12)
  }

  /// Bruck's all-to-all sends runs of scratch: they stay one range each.
  @Test("scratch stays contiguous") func scratchStaysContiguous() throws {
    let grouping = try Grouping([[0, 1, 2, 3, 0, 1, 2, 3]])
    let bruck = try #require(AlgorithmRegistry.algorithm(.allToAll, named: "bruck"))
    for rank in 0..<8 {
      let schedule = InTopologyOrder(bruck).schedule(for: grouping.position(of: rank))
      for step in schedule.steps {
        if case .send(let message, _, _, _) = step { #expect(message.ranges.count == 1) }
      }
    }
  }
}
