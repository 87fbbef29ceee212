import Testing
import TuttiAlgorithms
import TuttiSchedule

/// Algorithms within algorithms: every composition over groups of a reduce-scatter, an all-reduce and an all-gather.
@Suite struct HierarchyTests {
  /// Group numbers by rank.
  static let hosts: [[Int]] = [
    [0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 1, 1], [3, 1, 3, 1, 3, 7, 7], [0, 0, 0, 0, 0, 1], [0, 0, 0, 0], [0, 1, 2],
    [0, 0, 1, 1, 2, 2, 3, 3], [2, 0, 1, 2, 0, 1, 2, 0, 1],
  ]

  private static func composed(_ inner: Int, _ outer: any Algorithm, _ last: any Algorithm) -> HierarchicalAllReduce {
    HierarchicalAllReduce(
      name: "composed", reduceScatter: AlgorithmRegistry.algorithms(for: .reduceScatter)[inner], allReduce: outer,
      allGather: last)
  }

  /// Each reduce-scatter with each all-reduce, and each of both with each all-gather.
  @Test("every composition is proven whole", arguments: AlgorithmRegistry.algorithms(for: .reduceScatter).indices)
  func compositionsAreProven(_ inner: Int) throws {
    let gathers = AlgorithmRegistry.algorithms(for: .allGather)
    for (number, outer) in AlgorithmRegistry.algorithms(for: .allReduce).enumerated() {
      let last = gathers[(inner + number) % gathers.count]
      let algorithm = HierarchyTests.composed(inner, outer, last)
      for hosts in HierarchyTests.hosts {
        let grouping = try Grouping([hosts])
        #expect(algorithm.isDefined(for: grouping))
        do throws(ProofFailure) {
          try Verifier.prove(collective: .allReduce, rankCount: hosts.count, root: 0) {
            algorithm.schedule(for: grouping.position(of: $0))
          }
        } catch {
          Issue.record("\(inner), \(outer.name), \(last.name) on \(hosts): \(error)")
          return
        }
      }
    }
  }

  /// Runs them on numbers, in random order, with odd sizes of chunks.
  @Test("compositions give exact results", arguments: AlgorithmRegistry.algorithms(for: .reduceScatter).indices)
  func resultsAreExact(_ inner: Int) throws {
    let seed = testSeed()
    var generator = SeededGenerator(seed: seed)
    for outer in AlgorithmRegistry.algorithms(for: .allReduce) {
      let last = AlgorithmRegistry.algorithms(for: .allGather).randomElement(using: &generator)!
      let algorithm = HierarchyTests.composed(inner, outer, last)
      for hosts in HierarchyTests.hosts {
        let grouping = try Grouping([hosts])
        let schedules = hosts.indices.map { algorithm.schedule(for: grouping.position(of: $0)) }
        for inPlace in [false, true] {
          let problem = CollectiveProblem(schedules, using: &generator)
          let wrong = try problem.run(
            schedules, inPlace: inPlace, credit: Int.random(in: 1...4, using: &generator), using: &generator)
          #expect(wrong == nil, "\(outer.name), \(last.name) on \(hosts), in place \(inPlace), seed \(seed): \(wrong ?? "")")
        }
      }
    }
  }

  /// Across groups travels what the outer algorithm sends, of a shard each; the rest stays inside.
  @Test("costs are counted level by level") func costsAreExact() throws {
    for outer in ["ring", "recursive-doubling", "double-binary-tree", "two-shot", "circulant"] {
      for hosts in [[0, 0, 1, 1], [0, 1, 2, 0, 1, 2], [0, 0, 0, 1, 1, 1, 2, 2, 2]] {
        let algorithm = HierarchyTests.composed(
          0, try #require(AlgorithmRegistry.algorithm(.allReduce, named: outer)), RingAllGather())
        let grouping = try Grouping([hosts])
        let cost = try #require(algorithm.cost(for: grouping))
        #expect(cost.levels.count == 2)
        for (level, crosses) in [true, false].enumerated() {
          let counted = Traffic(hosts.indices.map { algorithm.schedule(for: grouping.position(of: $0)) }) {
            (hosts[$0] != hosts[$1]) == crosses
          }
          counted.expect(cost.levels[level], "\(outer) on \(hosts), level \(level)")
        }
      }
    }
  }

  /// Programs and plans of one rank among 65,536, and more, are made like any others.
  @Test("jobs may be large") func largeJobs() throws {
    let rankCount = 1 << 17
    let grouping = try Grouping([(0..<rankCount).map { $0 / 256 }])
    let hierarchy = HierarchicalAllReduce(
      name: "composed", reduceScatter: DirectReduceScatter(), allReduce: RecursiveDoublingAllReduce(),
      allGather: DirectAllGather())
    let flat = [
      AlgorithmRegistry.algorithm(.broadcast, named: "binomial"),
      AlgorithmRegistry.algorithm(.allReduce, named: "recursive-doubling"),
    ]
    for algorithm in try flat.map({ try #require($0) }) + [hierarchy] {
      for rank in [0, 65_537, rankCount - 1] {
        let schedule = algorithm.schedule(
          for: grouping.position(of: rank, root: algorithm.collective.hasRoot ? rankCount - 2 : 0))
        let plan = try Plan(
          lowering: schedule, chunkMap: ChunkMap(balanced: 1 << 20, chunkCount: schedule.chunkCount), elementBytes: 4,
          inPlace: false, segmentBytes: 1 << 16, streaming: false)
        #expect(plan.rank == rank && !plan.allPeers.isEmpty && schedule.stepCount < 2000)
        let farthest = plan.allPeers.map { abs(Int($0) - rank) }.max()!
        #expect(farthest >= rankCount / 4 || algorithm.collective == .broadcast)
      }
    }
  }

  /// A proof of the whole is no matter of course: two members that take the same shard are found out.
  @Test("a composition of parts that do not fit is refused") func mistakesAreFound() throws {
    let grouping = try Grouping([[0, 0, 1, 1]])
    #expect(throws: ProofFailure.self) {
      try Verifier.prove(collective: .allReduce, rankCount: 4, root: 0) { rank in
        let position = grouping.position(of: rank)
        var program = ScheduleBuilder(.allReduce, for: position, chunkCount: 2)
        let group = position.group(at: 1)
        let inside = Position.flat(rank: position.index(at: 1), rankCount: 2)
        let pair = Embedding(ranks: { group[$0] }, chunks: { $0..<$0 + 1 })
        program.append(RingReduceScatter().schedule(for: inside), pair)
        let peers = (0..<2).map { grouping.group($0, at: 1)[position.index(at: 1)] }
        let across = RecursiveDoublingAllReduce().schedule(for: .flat(rank: group.number, rankCount: 2))
        program.append(
          across, Embedding(ranks: { peers[$0] }, chunks: { _ in 0..<1 }, input: .output, completes: true))
        var last = pair
        last.input = .output
        program.append(RingAllGather().schedule(for: inside), last)
        return program.finish()
      }
    }
  }

  /// The example in ``ScheduleBuilder/append(_:_:)``.
  @Test("a reduce and a broadcast are an all-reduce") func reduceThenBroadcast() throws {
    for rankCount in 1...9 {
      try Verifier.prove(collective: .allReduce, rankCount: rankCount, root: 0) { rank in
        DocumentedExamples.reduceThenBroadcast(.flat(rank: rank, rankCount: rankCount))
      }
    }
  }

  @Test("a schedule embedded as it is stays the same") func identity() {
    for algorithm in AlgorithmRegistry.all {
      for rankCount in [1, 2, 5, 8] {
        for rank in 0..<rankCount {
          let position = Position.flat(rank: rank, rankCount: rankCount)
          let schedule = algorithm.schedule(for: position)
          // All-to-alls list their chunks one by one.
          if algorithm.collective == .allToAll || algorithm.name == "scatter-all-gather" { continue }
          let embedded = schedule.embedded(
            in: algorithm.collective, for: position, chunkCount: schedule.chunkCount,
            Embedding(ranks: { $0 }, chunks: { $0..<$0 + 1 }, completes: true))
          #expect(embedded == schedule, "\(algorithm.collective.name) \(algorithm.name), rank \(rank) of \(rankCount)")
        }
      }
    }
  }
}
