import CTuttiLinux
import Glibc
import Synchronization
import TuttiSystem

/// One end of a link between two ranks that are threads of one process.
///
/// A segment is a descriptor in a lock-free ring with one producer and one consumer; its payload is the sender's source
/// itself, which is released when the receiver consumes the segment, or a window of the link where the caller asked for a
/// copy or composed it. Invariant: a source is read only between `peek` and `consume`, announced in a flag that closing
/// the other end waits for.
///
/// With ``InProcessFaults`` every arrival, credit and release comes late, and payloads come piece by piece: see the
/// extension beside the faults.
package final class InProcessLink: Link, @unchecked Sendable {
  // @unchecked: whoever holds the engine's lock calls; `channel` is shared with the other end and synchronises by itself.

  let channel: InProcessChannel
  let side: Int
  let rank: Int
  let mask: UInt64
  let lanes: UnsafeMutablePointer<InProcessLane>
  let faults: InProcessFaultState?
  private let condition: UnsafeMutablePointer<Atomic<UInt32>>
  private let bell: DoorbellView
  /// Kept so that `bell` stays valid.
  private let peerDoorbell: Doorbell
  private let doorbell: Doorbell
  /// The time from which this rank, having closed its end, is certain to see a reader's announcement.
  private let certainty: UnsafeMutablePointer<UInt64>

  /// Makes both ends of a link between `rankA` (the first result) and `rankB`.
  ///
  /// - Parameters:
  ///   - doorbells: The ranks' doorbells, in the same order; kept alive by the links.
  ///   - segmentBytesMax: The largest payload of a segment.
  ///   - faults: nil for a link that works.
  ///   - kind: What the link is called.
  /// - Throws: `.resources` when address space for the windows runs out.
  package static func makePair(
    rankA: Int, rankB: Int, doorbells: (Doorbell, Doorbell), segmentBytesMax: Int, faults: InProcessFaults? = nil,
    kind: TransportKind = .inProcess
  ) throws(FailureReport) -> (InProcessLink, InProcessLink) {
    let channel = try InProcessChannel(segmentBytesMax: segmentBytesMax)
    return (
      InProcessLink(channel, side: 0, rank: rankA, peer: rankB, doorbells.0, peerDoorbell: doorbells.1, faults, kind),
      InProcessLink(channel, side: 1, rank: rankB, peer: rankA, doorbells.1, peerDoorbell: doorbells.0, faults, kind)
    )
  }

  private init(
    _ channel: InProcessChannel, side: Int, rank: Int, peer: Int, _ doorbell: Doorbell, peerDoorbell: Doorbell,
    _ faults: InProcessFaults?, _ kind: TransportKind
  ) {
    self.channel = channel
    self.side = side
    self.rank = rank
    self.doorbell = doorbell
    self.peerDoorbell = peerDoorbell
    bell = peerDoorbell.view
    condition = channel.condition
    mask = UInt64(channel.credit - 1)
    lanes = .allocate(capacity: Lane.count)
    for lane in 0..<Lane.count { (lanes + lane).initialize(to: InProcessLane(channel, side: side, lane: lane)) }
    certainty = .allocate(capacity: 1)
    certainty.initialize(to: 0)
    self.faults = faults.map {
      InProcessFaultState($0, rank: rank, peer: peer, segmentBytesMax: channel.segmentBytesMax)
    }
    super.init(
      peer: peer, transport: kind, segmentBytesMax: channel.segmentBytesMax, needsProgress: faults != nil)
  }

  deinit {
    close()
    lanes.deallocate()
    certainty.deallocate()
  }

  // MARK: Sending

  package override func progress() {
    if let faults { progress(faults) }
  }

  package override func canSend(_ lane: Int) -> Bool {
    let state = lanes + lane
    if state.pointee.sent &- state.pointee.creditSeen <= mask { return isHealthy() }
    state.pointee.creditSeen = consumedByPeer(lane, as: .credit)
    // In this order: a peer that has left gives no credit back, and nothing else would tell who waits for it.
    return isHealthy() && state.pointee.sent &- state.pointee.creditSeen <= mask
  }

  package override func send(
    _ lane: Int, _ call: CallSignature, _ count: UInt64, _ source: UnsafeRawPointer, _ bytes: Int, copied: Bool
  ) -> UInt64 {
    precondition(bytes >= 0 && bytes <= segmentBytesMax, "segment larger than the link takes")
    let index = nextIndex(lane)
    let held = !copied && bytes > 0
    var payload = source
    if !held {
      let window = window(lane, index)
      memcpy(window, source, bytes)
      payload = UnsafeRawPointer(window)
    }
    return publish(lane, index, call, count, payload, bytes, held: held)
  }

  package override func reserve(_ lane: Int, _ bytes: Int) -> UnsafeMutableRawPointer {
    precondition(bytes >= 0 && bytes <= segmentBytesMax, "segment larger than the link takes")
    return window(lane, nextIndex(lane))
  }

  package override func commit(_ lane: Int, _ call: CallSignature, _ count: UInt64, _ bytes: Int) -> UInt64 {
    precondition(bytes >= 0 && bytes <= segmentBytesMax, "segment larger than the link takes")
    let index = nextIndex(lane)
    return publish(lane, index, call, count, window(lane, index), bytes, held: false)
  }

  /// The slot of the next segment to be sent. Its previous contents and those of its window have been consumed, so the
  /// receiver reads neither.
  @inline(__always)
  private func nextIndex(_ lane: Int) -> Int {
    let sequence = lanes[lane].sent &+ 1
    precondition(sequence &- lanes[lane].creditSeen <= mask &+ 1, "send without canSend")
    return Int(truncatingIfNeeded: sequence & mask)
  }

  @inline(__always)
  private func window(_ lane: Int, _ index: Int) -> UnsafeMutableRawPointer {
    lanes[lane].window + index * lanes[lane].windowStride
  }

  /// - Parameter held: `payload` is the caller's source, not a window.
  @inline(__always)
  private func publish(
    _ lane: Int, _ index: Int, _ call: CallSignature, _ count: UInt64, _ payload: UnsafeRawPointer, _ bytes: Int, held: Bool
  ) -> UInt64 {
    let state = lanes + lane
    let sequence = state.pointee.sent &+ 1
    let slot = state.pointee.outgoing + index
    state.pointee.heldFlags = state.pointee.heldFlags & ~(1 << UInt32(index)) | (held ? 1 : 0) << UInt32(index)
    state.pointee.sent = sequence
    slot.pointee.arrival = Arrival(call: call, count: count, payload: payload, bytes: bytes, placed: false)
    slot.pointee.held = held
    if let faults, faults.countSeverance() {
      sever()
      return sequence
    }
    slot.pointee.sequence.store(sequence, ordering: .releasing)
    bell.wakeIfParked()
    return sequence
  }

  package override func released(_ lane: Int) -> UInt64 {
    let state = lanes + lane
    let sent = state.pointee.sent
    if state.pointee.releaseSeen == sent { return sent }
    var released = max(consumedByPeer(lane, as: .release), state.pointee.releaseSeen)
    // Copied segments are free wherever they are, but a count can only say so up to the first held one.
    while released < sent && state.pointee.heldFlags & (1 << UInt32(truncatingIfNeeded: (released &+ 1) & mask)) == 0 {
      released &+= 1
    }
    state.pointee.releaseSeen = released
    if released != sent && condition.pointee.load(ordering: .acquiring) != 0 {
      // The peer may have consumed the last ones after the look above and before it left.
      if state.pointee.outgoingReceiver.pointee.consumed.load(ordering: .acquiring) == sent { return sent }
      notice()
    }
    return released
  }

  @inline(__always)
  private func consumedByPeer(_ lane: Int, as view: InProcessFaultState.View) -> UInt64 {
    let consumed = lanes[lane].outgoingReceiver.pointee.consumed.load(ordering: .acquiring)
    guard let faults else { return consumed }
    return faults.delayed(consumed, lane, view)
  }

  // MARK: Receiving

  package override func peek(_ lane: Int) -> UnsafePointer<Arrival>? {
    if let faults { return peek(lane, faults) }
    guard let slot = next(lane) ?? lastLook(lane) else { return nil }
    return startReading(lane, slot) ? arrival(of: slot) : nil
  }

  package override func hasArrival(_ lane: Int) -> Bool {
    guard let slot = next(lane) else { return false }
    return !slot.pointee.held || condition.pointee.load(ordering: .acquiring) & peerClosed == 0
  }

  package override func consume(_ lane: Int) {
    let state = lanes + lane
    state.pointee.incomingReceiver.pointee.reading.store(0, ordering: .releasing)
    let consumed = state.pointee.consumed &+ 1
    state.pointee.consumed = consumed
    faults?.forget(lane)
    state.pointee.incomingReceiver.pointee.consumed.store(consumed, ordering: .releasing)
    bell.wakeIfParked()
  }

  /// The slot of the oldest segment that was published and not consumed.
  @inline(__always)
  func next(_ lane: Int) -> UnsafeMutablePointer<InProcessSlot>? {
    let state = lanes + lane
    let sequence = state.pointee.consumed &+ 1
    let slot = state.pointee.incoming + Int(truncatingIfNeeded: sequence & mask)
    return slot.pointee.sequence.load(ordering: .acquiring) == sequence ? slot : nil
  }

  /// Looks once more after nothing has come, and fails the link if nothing can come any more: the peer may have sent its
  /// last segment just before it left.
  @inline(__always)
  func lastLook(_ lane: Int) -> UnsafeMutablePointer<InProcessSlot>? {
    if condition.pointee.load(ordering: .acquiring) == 0 { return nil }
    if let slot = next(lane) { return slot }
    notice()
    return nil
  }

  /// Announces that the segment's payload is being read. Returns false when it is the source of a rank that has closed its
  /// end, and so may be gone. The other side of this is in `startClosing`.
  @inline(__always)
  func startReading(_ lane: Int, _ slot: UnsafeMutablePointer<InProcessSlot>) -> Bool {
    guard slot.pointee.held else { return true }
    let reading = lanes[lane].incomingReceiver
    reading.pointee.reading.store(1, ordering: .relaxed)
    tutti_compiler_fence()
    if condition.pointee.load(ordering: .acquiring) & peerClosed == 0 { return true }
    reading.pointee.reading.store(0, ordering: .releasing)
    notice()
    return false
  }

  @inline(__always)
  func arrival(of slot: UnsafeMutablePointer<InProcessSlot>) -> UnsafePointer<Arrival> {
    UnsafeRawPointer(slot).assumingMemoryBound(to: Arrival.self)
  }

  // MARK: The end

  private var peerClosed: UInt32 { 1 << UInt32(1 - side) }

  /// Whether a segment can still reach the other rank.
  @inline(__always)
  private func isHealthy() -> Bool {
    if condition.pointee.load(ordering: .acquiring) == 0 { return !status.pointee.failed }
    notice()
    return false
  }

  /// Fails the link because an end is closed or it was severed.
  @inline(never)
  private func notice() {
    let condition = condition.pointee.load(ordering: .acquiring)
    let what =
      condition & InProcessChannel.severed != 0 ? "the link to rank \(peer) was severed" : "rank \(peer) closed its link"
    fail(
      FailureReport(
        .peerLost, rank: rank, peer: peer, what, advice: "Look at what rank \(peer) reported for the cause",
        transport: transport.name))
  }

  /// Breaks the link at both ends, as a lost connection would.
  package func sever() {
    condition.pointee.bitwiseOr(InProcessChannel.severed, ordering: .acquiringAndReleasing)
    doorbell.ring()
    peerDoorbell.ring()
  }

  package override var maximumPark: UInt64 { faults == nil ? .max : InProcessFaults.maximumParkNanoseconds }

  package override func startClosing() {
    abortReading()
    condition.pointee.bitwiseOr(1 << UInt32(side), ordering: .sequentiallyConsistent)
    peerDoorbell.ring()
    // A reader announces itself with a plain store and then looks at `condition`; this barrier pays for both sides.
    // Where the kernel has none, a plain store is seen within a millisecond all the same.
    let isCertain = tutti_membarrier() == 0
    certainty.pointee = isCertain ? 0 : monotonicNanoseconds() + 1_000_000
  }

  /// Whether the other rank reads no source of this one. Segments sent as copies stay readable.
  package override func hasClosed() -> Bool {
    (certainty.pointee == 0 || monotonicNanoseconds() >= certainty.pointee) && !isBeingRead()
  }

  package override func abortReading() {
    for lane in 0..<Lane.count { lanes[lane].incomingReceiver.pointee.reading.store(0, ordering: .releasing) }
  }

  private func isBeingRead() -> Bool {
    for lane in 0..<Lane.count where lanes[lane].outgoingReceiver.pointee.reading.load(ordering: .acquiring) != 0 {
      return true
    }
    return false
  }
}
