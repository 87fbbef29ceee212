// How streams are cut into segments. Both ends of a message, the engine and the verifier all ask here, so that they agree.

extension Plan {
  /// Segments of an extent: all of ``segmentBytes`` but the last one. 0 for an empty extent.
  package static func segmentCount(ofExtent bytes: UInt64, segmentBytes: Int) -> UInt64 {
    bytes == 0 ? 0 : (bytes - 1) / UInt64(segmentBytes) + 1
  }

  /// The segment size that lowering uses for a requested one: rounded down to whole cache lines and whole elements, and at
  /// least one of both.
  package static func roundedSegmentBytes(_ requested: Int, elementBytes: Int) -> Int {
    var unit = 64
    while unit % elementBytes != 0 { unit += 64 }
    return max(requested / unit, 1) * unit
  }

  /// The stream position after the first `segments` segments of a step.
  ///
  /// - Complexity: O(extents of the step). A cursor that only moves forward is ``SegmentCursor``.
  package func segmentEnd(_ step: Int, _ segments: UInt64) -> UInt64 {
    var position: UInt64 = 0
    var left = segments
    for index in steps[step].extents {
      let bytes = extents[Int(index)].bytes
      let count = Plan.segmentCount(ofExtent: bytes, segmentBytes: segmentBytes)
      if left < count { return position + left * UInt64(segmentBytes) }
      position += bytes
      left -= count
    }
    return position
  }

  /// The number of leading segments of a step that together reach stream position `position`: the inverse of
  /// ``segmentEnd(_:_:)``, rounded up.
  package func segmentsReaching(_ step: Int, _ position: UInt64) -> UInt64 {
    var start: UInt64 = 0
    var count: UInt64 = 0
    for index in steps[step].extents {
      if position <= start { return count }
      let bytes = extents[Int(index)].bytes
      let part = min(bytes, position - start)
      count += Plan.segmentCount(ofExtent: part, segmentBytes: segmentBytes)
      start += bytes
    }
    return count
  }

  /// Walks the segments of one step in order.
  ///
  /// ```swift
  /// var cursor = Plan.SegmentCursor(plan.steps[step])
  /// while cursor.next(in: plan) { use(cursor.extent, cursor.offset, cursor.bytes, cursor.end) }
  /// ```
  package struct SegmentCursor: Sendable {
    /// Index in ``Plan/extents`` of the segment's extent, relative to the step's first: the same for all operands.
    package private(set) var extent: Int32 = 0
    /// Offset of the segment within that extent.
    package private(set) var offset: UInt64 = 0
    /// Bytes of the segment; 0 for the one segment of an empty step.
    package private(set) var bytes: UInt64 = 0
    /// Stream position after the segment.
    package private(set) var end: UInt64 = 0
    /// Segments walked so far.
    package private(set) var index: UInt64 = 0
    private let step: Step

    package init(_ step: Step) { self.step = step }

    /// Moves to the next segment. False when there is none.
    package mutating func next(in plan: Plan) -> Bool {
      guard index < step.segmentCount else { return false }
      index += 1
      guard step.bytes > 0 else { return true }
      offset += bytes
      if offset == plan.extents[Int(step.extents.lowerBound + extent)].bytes {
        extent += 1
        offset = 0
      }
      bytes = min(plan.extents[Int(step.extents.lowerBound + extent)].bytes - offset, UInt64(plan.segmentBytes))
      end += bytes
      return true
    }
  }
}
