import Testing
import TuttiSchedule

/// Chunk maps cover all elements once, as evenly as they can.
@Suite struct ChunkMapTests {
  @Test func coversEveryElementOnce() {
    for count in [0, 1, 2, 7, 63, 64, 65, 1000, 1 << 33] as [UInt64] {
      for chunkCount in [1, 2, 3, 7, 64, 130] {
        for granule in [1, 8, 16] as [UInt64] {
          let map = ChunkMap(balanced: count, chunkCount: chunkCount, granule: granule)
          #expect(map.chunkCount == chunkCount)
          #expect(map.count == count)
          #expect(map.offsets.first == 0 && zip(map.offsets, map.offsets.dropFirst()).allSatisfy(<=))
        }
      }
    }
  }

  @Test func chunksDifferByOneUnit() {
    let sizes = { (map: ChunkMap) in zip(map.offsets, map.offsets.dropFirst()).map { $1 - $0 } }
    #expect(sizes(ChunkMap(balanced: 10, chunkCount: 4)) == [3, 3, 2, 2])
    #expect(sizes(ChunkMap(balanced: 2, chunkCount: 4)) == [1, 1, 0, 0])
    #expect(sizes(ChunkMap(balanced: 0, chunkCount: 3)) == [0, 0, 0])
    // Whole granules, and the last chunk takes the rest.
    #expect(sizes(ChunkMap(balanced: 1003, chunkCount: 3, granule: 16)) == [336, 336, 331])
    // Too few elements for whole granules.
    #expect(sizes(ChunkMap(balanced: 100, chunkCount: 3, granule: 16)) == [34, 33, 33])
  }

  @Test func countsBeyond32Bits() {
    let count = UInt64(5) << 32 | 3
    let map = ChunkMap(balanced: count, chunkCount: 3)
    #expect(map.offsets == [0, 7_158_278_828, 14_316_557_656, 21_474_836_483])
  }

  @Test func refusesBytesBeyond64Bits() {
    var program = ScheduleBuilder(.allReduce, rank: 0, rankCount: 1, chunkCount: 1)
    program.copy([.output(0)], from: [.input(0)])
    let schedule = program.finish()
    #expect(throws: LoweringError.self) {
      try Plan(
        lowering: schedule, chunkMap: ChunkMap(balanced: 1 << 61, chunkCount: 1), elementBytes: 8, inPlace: false,
        segmentBytes: 1 << 20, streaming: false)
    }
  }
}
