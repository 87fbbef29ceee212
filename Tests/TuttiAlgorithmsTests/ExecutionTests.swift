import Testing
import TuttiAlgorithms
import TuttiSchedule

/// What the proofs say, tried: every algorithm on numbers, with odd chunk maps, tiny segments, in random order.
@Suite struct ExecutionTests {
  private static let allReduce = AlgorithmRegistry.algorithms(for: .allReduce)

  private func lower(
    _ schedule: Schedule, _ offsets: [UInt64], inPlace: Bool, segmentBytes: Int = 64
  ) throws(LoweringError) -> Plan {
    try Plan(
      lowering: schedule, chunkMap: ChunkMap(offsets: offsets), elementBytes: PlanInterpreter.elementBytes,
      inPlace: inPlace, segmentBytes: segmentBytes, streaming: true)
  }

  private func randomOffsets(_ chunkCount: Int, _ generator: inout SeededGenerator) -> [UInt64] {
    (0..<chunkCount).reduce(into: [UInt64(0)]) { offsets, _ in
      offsets.append(offsets.last! + UInt64.random(in: 0...40, using: &generator))
    }
  }

  @Test(arguments: allReduce.map(\.name))
  func sumsAreExact(_ name: String) throws {
    let algorithm = try #require(AlgorithmRegistry.algorithm(.allReduce, named: name))
    let seed = testSeed()
    var generator = SeededGenerator(seed: seed)
    for rankCount in Array(1...9) + [13] {
      for credit in [1, 4] {
        for inPlace in [false, true] {
          let schedules = (0..<rankCount).map { algorithm.schedule(rank: $0, rankCount: rankCount, root: 0) }
          let offsets = randomOffsets(schedules[0].chunkCount, &generator)
          let count = Int(offsets.last!)
          let plans = try schedules.map { try lower($0, offsets, inPlace: inPlace) }
          let inputs = (0..<rankCount).map { _ in (0..<count).map { _ in generator.next() } }
          let expected = (0..<count).map { index in inputs.reduce(UInt64(0)) { $0 &+ $1[index] } }
          var interpreter = PlanInterpreter(plans, inputs: inputs, inPlace: inPlace, credit: credit)
          let place = "\(name), \(rankCount) ranks, credit \(credit), in place \(inPlace), seed \(seed)"
          let isDone = interpreter.run(using: &generator)
          #expect(isDone, "stuck: \(place)")
          for rank in 0..<rankCount {
            #expect(interpreter.memory[rank][1] == expected, "rank \(rank): \(place)")
            if !inPlace { #expect(interpreter.memory[rank][0] == inputs[rank], "input of rank \(rank): \(place)") }
          }
        }
      }
    }
  }

  @Test func barrierMovesNoBytes() throws {
    let barrier = try #require(AlgorithmRegistry.algorithm(.barrier, named: "dissemination"))
    for rankCount in [1, 2, 3, 8, 13] {
      var generator = SeededGenerator(seed: 1)
      let plans = try (0..<rankCount).map {
        try lower(barrier.schedule(rank: $0, rankCount: rankCount, root: 0), [0, 0], inPlace: true)
      }
      #expect(plans.allSatisfy { $0.steps.allSatisfy { $0.bytes == 0 && $0.segmentCount == 1 } })
      var interpreter = PlanInterpreter(
        plans, inputs: Array(repeating: [], count: rankCount), inPlace: true, credit: 1)
      let isDone = interpreter.run(using: &generator)
      #expect(isDone)
    }
  }
}
