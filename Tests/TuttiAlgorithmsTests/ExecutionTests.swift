import Testing
import TuttiAlgorithms
import TuttiSchedule

/// Tries out what the proofs say: every algorithm runs on numbers, with odd chunk maps, tiny segments, and in random order.
@Suite struct ExecutionTests {
  @Test(arguments: AlgorithmRegistry.all.indices)
  func resultsAreExact(_ index: Int) throws {
    let algorithm = AlgorithmRegistry.all[index]
    let seed = testSeed()
    var generator = SeededGenerator(seed: seed)
    for rankCount in Array(1...9) + [13] where algorithm.isDefined(for: Grouping(rankCount: rankCount)) {
      for inPlace in [false, true] {
        let root = algorithm.collective.hasRoot ? Int.random(in: 0..<rankCount, using: &generator) : 0
        let schedules = (0..<rankCount).map { algorithm.schedule(for: .flat(rank: $0, rankCount: rankCount, root: root)) }
        for credit in [1, 4] {
          let problem = CollectiveProblem(schedules, using: &generator)
          if inPlace, !problem.canRunInPlace { continue }
          let wrong = try problem.run(schedules, inPlace: inPlace, credit: credit, using: &generator)
          #expect(
            wrong == nil,
            """
            \(algorithm.collective.name) \(algorithm.name), \(rankCount) ranks, root \(root), credit \(credit), in place \(inPlace), \
            seed \(seed): \(wrong ?? "")
            """)
        }
      }
    }
  }

  @Test func barrierMovesNoBytes() throws {
    for algorithm in AlgorithmRegistry.algorithms(for: .barrier) {
      for rankCount in [1, 2, 3, 8, 13] {
        let plans = try (0..<rankCount).map { rank in
          try Plan(
            lowering: algorithm.schedule(for: .flat(rank: rank, rankCount: rankCount)), chunkMap: ChunkMap(offsets: [0, 0]),
            elementBytes: 8, inPlace: true, segmentBytes: 64, streaming: false)
        }
        #expect(plans.allSatisfy { $0.steps.allSatisfy { $0.bytes == 0 && $0.segmentCount == 1 } })
      }
    }
  }
}
