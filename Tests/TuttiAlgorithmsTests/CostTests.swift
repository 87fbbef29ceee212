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
      for root in algorithm.collective.hasRoot ? Set([0, 1, rankCount - 1]).filter({ $0 < rankCount }) : [0] {
        let place: Comment = "\(algorithm.collective.name) \(algorithm.name), \(rankCount) ranks, root \(root)"
        let schedules = (0..<rankCount).map { algorithm.schedule(for: .flat(rank: $0, rankCount: rankCount, root: root)) }
        Traffic(schedules).expect(cost, place)
        // Pairwise orders its rounds without passing on data from one to the next.
        if algorithm.name != "pairwise" { #expect(cost.rounds == LongestPaths.rounds(of: schedules), place) }
      }
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
