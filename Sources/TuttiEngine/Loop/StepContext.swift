import CTuttiKernels
import TuttiSchedule
import TuttiTransport

/// A step of a running operation, at the segment that comes next: what every part of the loop works on.
///
/// Trivial, and made anew for each segment. Its methods are inlined, so that its fields live in registers. Only the
/// holder of the engine's lock makes one, and it is stale once its cursor has moved: see ``move()``.
struct StepContext {
  // The engine owns what these point to.
  let core: UnsafeMutablePointer<EngineCore>
  let slot: UnsafeMutablePointer<OperationSlot>
  let operation: UnsafeMutablePointer<Operation>
  let tables: UnsafeMutablePointer<PlanTables>
  let step: UnsafeMutablePointer<Plan.Step>
  let cursor: UnsafeMutablePointer<Cursor>
  /// The lane of the step's channel.
  let lane: Int
  /// Bytes of the segment.
  let bytes: Int

  /// Precondition: the step has a segment left.
  @inline(__always)
  init(
    _ core: UnsafeMutablePointer<EngineCore>, _ slot: UnsafeMutablePointer<OperationSlot>,
    _ step: UnsafeMutablePointer<Plan.Step>, _ cursor: UnsafeMutablePointer<Cursor>
  ) {
    assert(cursor.pointee.segments < step.pointee.segmentCount, "a step that is done has no next segment")
    self.core = core
    self.slot = slot
    self.step = step
    self.cursor = cursor
    operation = slot.pointee.operation
    let tables = operation.pointee.tables
    self.tables = tables
    lane = slot.pointee.lane(step)
    if step.pointee.bytes == 0 {
      bytes = 0
    } else {
      let extent = tables.pointee.extents + Int(step.pointee.extents.lowerBound + cursor.pointee.extent)
      bytes = min(tables.pointee.segmentBytes, Int(truncatingIfNeeded: extent.pointee.bytes - cursor.pointee.offset))
    }
  }

  // MARK: The segment

  /// Where in the step's stream the segment ends.
  @inline(__always)
  var end: UInt64 { cursor.pointee.position + UInt64(truncatingIfNeeded: bytes) }

  /// Where the segment lies in the step's own stream.
  @inline(__always)
  var address: UnsafeMutableRawPointer { address(inExtentsFrom: step.pointee.extents.lowerBound) }

  /// Where the segment lies in the stream whose extents begin at `first`.
  @inline(__always)
  func address(inExtentsFrom first: Int32) -> UnsafeMutableRawPointer {
    // An empty stream has no extent; its address is never followed.
    if step.pointee.bytes == 0 { return slot.pointee.bases[1] }
    let extent = tables.pointee.extents + Int(first + cursor.pointee.extent)
    return slot.pointee.bases[Int(extent.pointee.memory)] + Int(extent.pointee.offset + cursor.pointee.offset)
  }

  /// The number of elements that the segments of the message say, and are compared by.
  @inline(__always)
  var messageCount: UInt64 {
    tables.pointee.countsByMessage
      ? step.pointee.bytes / UInt64(truncatingIfNeeded: operation.pointee.elementBytes) : operation.pointee.count
  }

  /// Moves the cursor past the segment, which is done.
  @inline(__always)
  func move() {
    cursor.pointee.segments += 1
    if bytes > 0 {
      cursor.pointee.position += UInt64(bytes)
      cursor.pointee.offset += UInt64(bytes)
      let extent = tables.pointee.extents + Int(step.pointee.extents.lowerBound + cursor.pointee.extent)
      if cursor.pointee.offset == extent.pointee.bytes {
        cursor.pointee.extent += 1
        cursor.pointee.offset = 0
      }
    }
    assert(
      (cursor.pointee.segments == step.pointee.segmentCount) == (cursor.pointee.position == step.pointee.bytes)
        || step.pointee.bytes == 0, "a stream ends with its last segment")
  }

  // MARK: What it depends on

  /// Whether everything has happened that the segment depends on.
  @inline(__always)
  func isReady(except ignored: Int32 = -1) -> Bool { isReady(until: end, except: ignored) }

  /// Whether everything has happened that segments depend on which end at a stream position of `end` at most.
  ///
  /// - Parameter ignored: A step whose own segment is in hand.
  @inline(__always)
  func isReady(until end: UInt64, except ignored: Int32 = -1) -> Bool {
    for index in step.pointee.edges.asInts {
      let edge = tables.pointee.edges + index
      let other = Int(edge.pointee.step)
      if case .completed = edge.pointee.kind {
        if slot.pointee.cursors[other].segments < tables.pointee.steps[other].segmentCount { return false }
        continue
      }
      if end <= edge.pointee.lower || edge.pointee.step == ignored { continue }
      let needed = UInt64(Int64(min(end, edge.pointee.upper)) + edge.pointee.delta)
      let position =
        if case .executed = edge.pointee.kind {
          slot.pointee.cursors[other].position
        } else {
          Self.releasedPosition(core, slot, other)
        }
      if position < needed { return false }
    }
    return true
  }

  /// How far the receivers have released the stream of an operation's send.
  @inline(never)
  private static func releasedPosition(
    _ core: UnsafeMutablePointer<EngineCore>, _ slot: UnsafeMutablePointer<OperationSlot>, _ index: Int
  ) -> UInt64 {
    let tables = slot.pointee.operation.pointee.tables
    let step = tables.pointee.steps + index
    let cursor = slot.pointee.cursors + index
    var segments = cursor.pointee.segments
    let lane = slot.pointee.lane(step)
    for peer in step.pointee.peers.asInts {
      let first = slot.pointee.firstSequences[peer]
      if first == 0 { return 0 }
      let link = core.pointee.links[Int(tables.pointee.peers[peer])].unsafelyUnwrapped
      let released = link._withUnsafeGuaranteedRef { link in
        if link.needsProgress { link.progress() }
        return link.released(lane)
      }
      segments = released < first ? 0 : min(segments, released - first + 1)
    }
    if segments == cursor.pointee.segments { return cursor.pointee.position }
    var left = segments
    var position: UInt64 = 0
    let unit = UInt64(tables.pointee.segmentBytes)
    for index in step.pointee.extents.asInts {
      let bytes = tables.pointee.extents[index].bytes
      let count = (bytes + unit - 1) / unit
      if left < count { return position + left * unit }
      left -= count
      position += bytes
    }
    return position
  }

  // MARK: Links

  /// The link to the rank at a place of the plan's peers.
  @inline(__always)
  func link(at peer: Int) -> Unmanaged<Link> { core.pointee.links[Int(tables.pointee.peers[peer])].unsafelyUnwrapped }

  /// The link that an operand arrives on.
  @inline(__always)
  func link(of source: UnsafeMutablePointer<Plan.Source>) -> Unmanaged<Link> {
    core.pointee.links[Int(source.pointee.peer)].unsafelyUnwrapped
  }

  /// Whether the links to all receivers take one more segment.
  @inline(__always)
  var hasCredit: Bool {
    for peer in step.pointee.peers.asInts {
      let canSend = link(at: peer)._withUnsafeGuaranteedRef { link in
        if link.canSend(lane) { return true }
        if !link.needsProgress { return false }
        link.progress()
        return link.canSend(lane)
      }
      if !canSend { return false }
    }
    return true
  }

  /// The segment that has arrived on a link, checked against this rank's call; nil when there is none yet.
  ///
  /// - Parameter destination: Where it belongs, for links that can place it there themselves.
  @inline(__always)
  func arrival(
    on link: Unmanaged<Link>, _ count: UInt64, offering destination: UnsafeMutableRawPointer?
  ) -> UnsafePointer<Arrival>? {
    let found = link._withUnsafeGuaranteedRef { link -> UnsafePointer<Arrival>? in
      if let destination, bytes >= InPlace.segmentBytesMin, link.inPlace.fetches {
        link.offer(lane, operation.pointee.call, count, destination, bytes)
      }
      if let arrival = link.peek(lane) { return arrival }
      if !link.needsProgress { return nil }
      if let destination { link.offer(lane, operation.pointee.call, count, destination, bytes) }
      link.progress()
      return link.peek(lane)
    }
    guard let found else { return nil }
    if found.pointee.call == operation.pointee.call && found.pointee.count == count && found.pointee.bytes == bytes {
      return found
    }
    core.pointee.noteMismatch(link, found, operation, count, bytes)
    return nil
  }
}
