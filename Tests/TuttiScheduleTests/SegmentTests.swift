import Testing
import TuttiSchedule

/// Segments cover a stream exactly, and every way of finding them agrees.
@Suite struct SegmentTests {
  /// A send of all chunks, as separate ranges, whose sizes are the given numbers of elements.
  private func plan(_ sizes: [UInt64], elementBytes: Int, segmentBytes: Int) throws -> Plan {
    var program = ScheduleBuilder(.allReduce, rank: 0, rankCount: 2, chunkCount: sizes.count)
    program.send(sizes.indices.map { .input($0) }, to: 1)
    return try Plan(
      lowering: program.finish(), chunkMap: ChunkMap(offsets: sizes.reduce(into: [0]) { $0.append($0.last! + $1) }),
      elementBytes: elementBytes, inPlace: false, segmentBytes: segmentBytes, streaming: false)
  }

  @Test func coverStreamsExactly() throws {
    let cases: [[UInt64]] = [[0], [1], [8], [9], [0, 5, 0], [16, 16], [7, 9, 23, 0, 1], [1 << 34, 3]]
    for sizes in cases {
      for segmentBytes in [1, 64, 100, 128, 1 << 32] {
        let plan = try plan(sizes, elementBytes: 8, segmentBytes: segmentBytes)
        let step = plan.steps[0]
        #expect(step.bytes == sizes.reduce(0, +) * 8)
        guard step.segmentCount < 10_000 else { continue }
        var cursor = Plan.SegmentCursor(step)
        var end: UInt64 = 0
        var count: UInt64 = 0
        while cursor.next(in: plan) {
          count += 1
          end += cursor.bytes
          #expect(cursor.end == end && cursor.index == count)
          #expect(cursor.bytes <= UInt64(plan.segmentBytes) && cursor.bytes % 8 == 0)
          #expect(plan.segmentEnd(0, count) == end)
          #expect(plan.segmentsReaching(0, end) == (end == 0 ? 0 : count))
          if cursor.bytes > 0 {
            #expect(plan.segmentsReaching(0, end - cursor.bytes + 1) == count)
            let extent = plan.extents[Int(step.extents.lowerBound + cursor.extent)]
            #expect(cursor.offset + cursor.bytes <= extent.bytes)
          }
        }
        #expect(end == step.bytes && count == step.segmentCount)
      }
    }
  }

  @Test func emptyMessagesAreOneSegment() throws {
    let plan = try plan([0, 0], elementBytes: 4, segmentBytes: 4096)
    #expect(plan.steps[0].segmentCount == 1 && plan.steps[0].bytes == 0 && plan.steps[0].extents.isEmpty)
  }

  @Test func sizesAreWholeLinesAndElements() {
    #expect(Plan.roundedSegmentBytes(1, elementBytes: 8) == 64)
    #expect(Plan.roundedSegmentBytes(200, elementBytes: 4) == 192)
    #expect(Plan.roundedSegmentBytes(1 << 20, elementBytes: 1) == 1 << 20)
    #expect(Plan.roundedSegmentBytes(500, elementBytes: 12) == 384)
  }
}
