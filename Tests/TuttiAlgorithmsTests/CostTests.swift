import Testing
import TuttiAlgorithms
import TuttiSchedule

/// Checks the costs that the algorithms state, by counting on the schedules of all ranks.
@Suite struct CostTests {
  @Test(arguments: AlgorithmRegistry.all.indices)
  func costsAreExact(_ index: Int) throws {
    let algorithm = AlgorithmRegistry.all[index]
    for rankCount in 1...17 where algorithm.isDefined(for: Grouping(rankCount: rankCount)) {
      guard let costs = algorithm.cost(for: Grouping(rankCount: rankCount)) else { continue }
      #expect(costs.levels.count == 1)
      let cost = costs.levels[0]
      if algorithm.name == "distance-doubling", algorithm.collective == .reduce { continue }
      for root in algorithm.collective.hasRoot ? Set([0, 1, rankCount - 1]).filter({ $0 < rankCount }) : [0] {
        let place: Comment = "\(algorithm.collective.name) \(algorithm.name), \(rankCount) ranks, root \(root)"
        let schedules = (0..<rankCount).map { algorithm.schedule(for: .flat(rank: $0, rankCount: rankCount, root: root)) }
        Traffic(schedules).expect(cost, place)
        // Pairwise orders its rounds without passing on data from one to the next.
        if algorithm.name != "pairwise" { #expect(cost.rounds == LongestPaths.rounds(of: schedules), place) }
      }
    }
  }

  /// The tree of `distance-doubling` does not turn with the root, so that it costs more with some roots than with others.
  @Test("what a reduce costs depends on the root, and at most is what it says") func costOfFixedTree() throws {
    let algorithm = try #require(AlgorithmRegistry.algorithm(.reduce, named: "distance-doubling"))
    for rankCount in 1...17 {
      let cost = try #require(algorithm.cost(for: Grouping(rankCount: rankCount))).levels[0]
      var (rounds, messages, volume) = (0, 0, 0.0)
      for root in 0..<rankCount {
        let schedules = (0..<rankCount).map { algorithm.schedule(for: .flat(rank: $0, rankCount: rankCount, root: root)) }
        let traffic = Traffic(schedules)
        rounds = max(rounds, LongestPaths.rounds(of: schedules))
        messages = max(messages, traffic.messages)
        volume = max(volume, traffic.volume)
        #expect(traffic.totalMessages == cost.totalMessages && traffic.totalVolume == cost.totalVolume)
      }
      #expect(rounds == cost.rounds && messages == cost.messages && volume == cost.volume, "\(rankCount) ranks")
    }
  }

  /// Other rank counts cost at most 15% more for each byte than the powers of two around them.
  @Test func noRankCountIsDear() throws {
    for collective in [Collective.allReduce, .reduceScatter, .allGather] {
      let costs = try (1...64).map { rankCount in
        try #require(
          AlgorithmRegistry.algorithms(for: collective).filter { $0.name == "circulant" }.first?.cost(
            for: Grouping(rankCount: rankCount)))
      }
      for rankCount in 3...63 {
        let above = 1 << (Int.bitWidth - (rankCount - 1).leadingZeroBitCount)
        #expect(costs[rankCount - 1].levels[0].volume <= costs[above - 1].levels[0].volume * 1.15)
        #expect(costs[rankCount - 1].levels[0].messages <= costs[above - 1].levels[0].messages)
      }
    }
  }
}
