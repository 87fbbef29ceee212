import Testing
import TuttiAlgorithms
import TuttiSchedule

/// The plan of a ring of three, word for word: a change here changes what every engine executes.
@Suite struct PlanGoldenTests {
  private func ring(inPlace: Bool) throws -> String {
    let ring = try #require(AlgorithmRegistry.algorithm(.allReduce, named: "ring"))
    let plan = try Plan(
      lowering: ring.schedule(for: .flat(rank: 0, rankCount: 3)), chunkMap: ChunkMap(balanced: 64, chunkCount: 3),
      elementBytes: 4, inPlace: inPlace, segmentBytes: 64, streaming: true)
    #expect(plan.allPeers == [1, 2])
    return plan.description
  }

  @Test func outOfPlace() throws {
    #expect(
      try ring(inPlace: false) == """
        rank 0 of 3: 256 bytes in, 256 out, segments of 64, 1 channel
        0: queue 0, send input[0..<88] to 1
        1: queue 1, combine output[172..<256] = slot from 2 + input[172..<256], streaming, fused with 2
        2: queue 0, send output[172..<256] to 1; 0..<84 after 1 executed
        3: queue 1, combine output[88..<172] = slot from 2 + input[88..<172], completes, streaming, fused with 4
        4: queue 0, send output[88..<172] to 1; 0..<84 after 3 executed
        5: queue 1, receive output[0..<88] from 2
        6: queue 0, send output[0..<88] to 1; 0..<88 after 5 executed
        7: queue 1, receive output[172..<256] from 2, streaming; 0..<84 after 2 released
        """)
  }

  @Test func inPlace() throws {
    #expect(
      try ring(inPlace: true) == """
        rank 0 of 3: 0 bytes in, 256 out, segments of 64, 1 channel
        0: queue 0, send output[0..<88] to 1
        1: queue 1, combine output[172..<256] = slot from 2 + output[172..<256], streaming, fused with 2
        2: queue 0, send output[172..<256] to 1; 0..<84 after 1 executed
        3: queue 1, combine output[88..<172] = slot from 2 + output[88..<172], completes, streaming, fused with 4
        4: queue 0, send output[88..<172] to 1; 0..<84 after 3 executed
        5: queue 1, receive output[0..<88] from 2; 0..<88 after 0 released
        6: queue 0, send output[0..<88] to 1; 0..<88 after 5 executed
        7: queue 1, receive output[172..<256] from 2, streaming; 0..<84 after 2 released
        """)
  }
}
