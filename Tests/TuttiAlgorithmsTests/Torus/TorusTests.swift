import Testing
import TuttiAlgorithms
import TuttiSchedule

/// Rings along the dimensions of a grid of ranks.
@Suite struct TorusTests {
  static let algorithms = AlgorithmRegistry.overGroups.filter { $0.name.hasPrefix("torus") }

  /// Grids of two and three dimensions, also with a dimension of one rank, with ranks in order, round-robin and by seed.
  private static func grids(_ generator: inout SeededGenerator) throws -> [(sizes: [Int], grouping: Grouping)] {
    var grids: [(sizes: [Int], grouping: Grouping)] = []
    for sizes in [
      [2, 2], [1, 3], [3, 1], [1, 1], [2, 3], [4, 2], [3, 5], [2, 2, 2], [2, 1, 3], [3, 2, 4], [2, 2, 2, 2],
    ] {
      let count = sizes.reduce(1, *)
      for order in [Array(0..<count), Array(0..<count).shuffled(using: &generator)] {
        /// By level: the group of a place.
        let levels = (1..<sizes.count).map { level in
          let size = sizes[level...].reduce(1, *)
          return (0..<count).map { order[$0] / size }
        }
        grids.append((sizes, try Grouping(levels)))
      }
    }
    return grids
  }

  @Test("grids are proven, and give exact results", arguments: Self.algorithms.indices)
  func isProven(_ index: Int) throws {
    let algorithm = Self.algorithms[index]
    let seed = testSeed()
    var generator = SeededGenerator(seed: seed)
    for (sizes, grouping) in try Self.grids(&generator) {
      try #require(algorithm.isDefined(for: grouping))
      let schedules = (0..<grouping.rankCount).map { algorithm.schedule(for: grouping.position(of: $0)) }
      do throws(ProofFailure) {
        try Verifier.prove(collective: algorithm.collective, rankCount: grouping.rankCount, root: 0) { schedules[$0] }
      } catch {
        Issue.record("\(algorithm.collective.name) \(algorithm.name) on \(sizes), seed \(seed): \(error)")
        continue
      }
      for inPlace in [false, true] {
        let problem = CollectiveProblem(schedules, using: &generator)
        let wrong = try problem.run(schedules, inPlace: inPlace, credit: 2, using: &generator)
        #expect(wrong == nil, "\(algorithm.name) on \(sizes), in place \(inPlace), seed \(seed): \(wrong ?? "")")
      }
    }
  }

  @Test("costs are counted level by level", arguments: Self.algorithms.indices)
  func costsAreExact(_ index: Int) throws {
    let algorithm = Self.algorithms[index]
    let seed = testSeed()
    var generator = SeededGenerator(seed: seed)
    for (sizes, grouping) in try Self.grids(&generator) {
      let cost = try #require(algorithm.cost(for: grouping))
      #expect(cost.levels.count == sizes.count)
      let schedules = (0..<grouping.rankCount).map { algorithm.schedule(for: grouping.position(of: $0)) }
      for level in sizes.indices {
        let counted = Traffic(schedules) { from, to in
          grouping.group(of: from, at: level).number == grouping.group(of: to, at: level).number
            && (level + 1 == sizes.count
              || grouping.group(of: from, at: level + 1).number != grouping.group(of: to, at: level + 1).number)
        }
        counted.expect(cost.levels[level], "\(algorithm.collective.name) \(algorithm.name) on \(sizes), level \(level)")
      }
      #expect(
        cost.levels.reduce(0) { $0 + $1.rounds } == LongestPaths.rounds(of: schedules), "\(algorithm.name) on \(sizes)")
    }
  }

  @Test("only grids are served") func otherGroupsAreRefused() throws {
    for algorithm in Self.algorithms {
      #expect(!algorithm.isDefined(for: Grouping(rankCount: 4)))
      #expect(!algorithm.isDefined(for: try Grouping([[0, 0, 0, 1, 1]])))
      #expect(!algorithm.isDefined(for: try Grouping([[0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 2, 2, 2, 3]])))
      #expect(algorithm.isDefined(for: try Grouping([[0, 1, 0, 1]])))
    }
  }

  /// Each rank talks to its neighbours in the grid only, and of two parts each dimension carries the most of one.
  @Test("dimensions are busy alike") func dimensionsAreBusyAlike() throws {
    let grouping = try Grouping([(0..<16).map { $0 / 4 }])
    func volumes(_ algorithm: any Algorithm) throws -> [Double] {
      try #require(algorithm.cost(for: grouping)).levels.map(\.volume)
    }
    #expect(try volumes(TorusAllReduce.torus) == [0.9375, 0.9375])
    #expect(try volumes(TorusAllReduce.torusInTurn) == [0.375, 1.5])
    let links = (0..<16).map { TorusAllReduce.torus.schedule(for: grouping.position(of: $0)) }
    #expect(Traffic(links) { from, to in from / 4 != to / 4 && from % 4 != to % 4 }.totalMessages == 0)
    // What a rank sends of its input, before anything has arrived, goes along both dimensions.
    let first = links[5].steps.reduce(into: Set<Int>()) { peers, step in
      if case .send(let message, let to, _, _) = step, links[5].ranges[message.ranges.lowerBound].buffer == .input {
        peers.formUnion(to)
      }
    }
    #expect(first == [6, 9])
  }
}
