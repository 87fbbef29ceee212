import CTuttiLinux
import Glibc
import Synchronization
import TuttiSystem
import TuttiTransport

/// A link between two ranks of one host: slots and windows of the sender's region, read in place by the receiver.
///
/// A segment of up to ``SharedMemoryGeometry/inlineBytes`` rides in its slot; the sequence number that publishes it is in
/// the same cache line as its first bytes. A larger one lies in a window, which several peers may read (``sendShared``). The
/// receiver counts what it has consumed in its own region and repeats the count in the slots it sends, so that an exchange
/// never reads a third line. Nothing a peer writes is trusted as an index or a length without a check.
///
/// A large segment may instead be copied straight from the sender's process, and one in registered memory is read, or
/// written, where it is: see `SharedMemoryLink+InPlace.swift`.
package final class SharedMemoryLink: InPlaceLink {
  let endpoint: SharedMemoryEndpoint
  let peerRegion: SharedMemoryRegion
  private var peerDoorbellDescriptor: OwnedDescriptor?
  private let peerDoorbell: DoorbellView
  /// The state of each lane; owned.
  let lanes: UnsafeMutablePointer<LaneState>
  /// The peers that still read a window: `Lane.count * Lane.credit * host ranks`; owned.
  private let readers: UnsafeMutablePointer<Reader>
  private let readersPerSlot: Int
  /// The peer's registered memory; nil where it has none, and after closing. Owned. It is behind a pointer, so that access
  /// is not checked for exclusivity.
  var peerMemory: UnsafeMutablePointer<PeerMemory>?
  /// Whether the peer has said that it can copy from this rank's process.
  var peerReads = false
  /// The peer's process, if this rank can read its memory.
  let peerProcess: PeerProcess?

  /// A process, and how to check that it is still the same one.
  struct PeerProcess {
    var pid: pid_t
    /// The address at which it holds a known number, and the number.
    var probeAddress: UInt64
    var probe: UInt64

    /// Copies from its memory. Returns 0, or an `errno` value.
    func read(_ address: UInt64, into destination: UnsafeMutableRawPointer, bytes: Int) -> Int32 {
      tutti_read_process(pid, destination, address, bytes, probeAddress, probe)
    }
  }

  /// A peer that was handed one of this link's windows.
  private struct Reader {
    var link: Unmanaged<SharedMemoryLink>
    var sequence: UInt64
  }

  struct LaneState {
    /// This rank's slots and windows towards the peer.
    var outgoing: UnsafeMutableRawPointer
    var windows: UnsafeMutableRawPointer
    /// The peer's slots towards this rank.
    var incoming: UnsafeMutableRawPointer
    /// Where this rank counts what it has consumed, and where the peer does.
    var consumedCount: UnsafeMutablePointer<Atomic<UInt64>>
    var peerConsumedCount: UnsafeMutablePointer<Atomic<UInt64>>
    var sent: UInt64 = 0
    /// Segments the peer is known to have consumed.
    var acknowledged: UInt64 = 0
    /// The last segment sent that the peer reads where this rank has it.
    var lastHeld: UInt64 = 0
    /// The line in which this rank grants the peer its registered memory, the last segment it has granted, and the line in
    /// which the peer grants its own.
    var grants: UnsafeMutableRawPointer
    var granted: UInt64 = 0
    var peerGrants: UnsafeMutableRawPointer
    var consumed: UInt64 = 0
    /// The offered destination of the next segment, and what that segment must be; 0 bytes when nothing is offered.
    var offer = (
      call: CallSignature(rawValue: 0), count: UInt64(0), bytes: 0, destination: UnsafeMutableRawPointer(bitPattern: 16)!
    )
    /// The last segment that was copied from the peer's memory, where to, and whether that is what was offered.
    var fetched: UInt64 = 0
    var fetchedTo = UnsafeMutableRawPointer(bitPattern: 16)!
    var isFetchedInPlace = false
    /// Memory for a segment that is combined, made when first needed; owned.
    var staging: UnsafeMutableRawPointer?
    /// The number of readers of each of the `Lane.credit` windows.
    var readerCounts: (UInt16, UInt16, UInt16, UInt16) = (0, 0, 0, 0)
    var arrival = Arrival(
      call: CallSignature(rawValue: 0), count: 0, payload: UnsafeRawPointer(bitPattern: 16)!, bytes: 0, placed: false)
  }

  /// - Parameter peerDoorbell: The peer's eventfd.
  init(
    peer: Int, endpoint: SharedMemoryEndpoint, peerRegion: SharedMemoryRegion, peerIndex: Int,
    peerDoorbell: consuming OwnedDescriptor,
    peerMemory: consuming PeerMemory?, peerProcess: PeerProcess?
  ) {
    let geometry = endpoint.region.geometry
    self.endpoint = endpoint
    self.peerRegion = peerRegion
    self.peerDoorbell = DoorbellView(descriptor: peerDoorbell.raw, parked: peerRegion.parked)
    peerDoorbellDescriptor = consume peerDoorbell
    readersPerSlot = geometry.rankCount
    lanes = .allocate(capacity: Lane.count)
    readers = .allocate(capacity: Lane.count * Lane.credit * readersPerSlot)
    for lane in 0..<Lane.count {
      lanes.advanced(by: lane).initialize(
        to: LaneState(
          outgoing: endpoint.region.base + geometry.slots(peer: peerIndex, lane: lane),
          windows: endpoint.region.base + geometry.windows(peer: peerIndex, lane: lane),
          incoming: peerRegion.base + geometry.slots(peer: endpoint.localIndex, lane: lane),
          consumedCount: endpoint.region.word(geometry.acknowledgement(peer: peerIndex, lane: lane)),
          peerConsumedCount: peerRegion.word(geometry.acknowledgement(peer: endpoint.localIndex, lane: lane)),
          grants: endpoint.region.base + geometry.grants(peer: peerIndex, lane: lane),
          peerGrants: peerRegion.base + geometry.grants(peer: endpoint.localIndex, lane: lane)))
    }
    // Each end must see the other's memory.
    let reaches = peerMemory != nil && endpoint.registered != nil
    if let peerMemory {
      self.peerMemory = .allocate(capacity: 1)
      self.peerMemory?.initialize(to: peerMemory)
    }
    self.peerProcess = peerProcess
    super.init(
      peer: peer, transport: SharedMemoryTransport.kind, segmentBytesMax: geometry.windowBytes, needsProgress: false,
      composesInPlace: true,
      abilities: InPlaceAbilities(
        shareGroup: 1, reachesRegisteredMemory: reaches, fetches: peerProcess != nil,
        ways: endpoint.settings.ways))
    if peerProcess != nil {
      endpoint.region.word(geometry.grants(peer: peerIndex, lane: 0) + SharedMemoryGeometry.Grants.reads).pointee.store(
        1, ordering: .releasing)
    }
  }

  deinit {
    close()
    for lane in 0..<Lane.count { lanes[lane].staging?.deallocate() }
    lanes.deallocate()
    readers.deallocate()
  }

  package override func startClosing() {
    guard peerDoorbellDescriptor != nil else { return }
    endpoint.region.closed.pointee.store(1, ordering: .releasing)
    peerDoorbell.ring()
    peerDoorbellDescriptor = nil
    peerMemory?.deinitialize(count: 1)
    peerMemory?.deallocate()
    peerMemory = nil
  }

  // MARK: Sending

  @inline(__always)
  static func slotIndex(_ sequence: UInt64) -> Int { Int((sequence &- 1) & UInt64(Lane.credit - 1)) }

  package override func canSend(_ lane: Int) -> Bool {
    let state = lanes + lane
    if status.pointee.failed { return false }
    if state.pointee.sent &- state.pointee.acknowledged >= UInt64(Lane.credit) {
      takeAcknowledgements(state)
      if state.pointee.sent &- state.pointee.acknowledged >= UInt64(Lane.credit) {
        noticeClosing()
        return false
      }
    }
    let slot = Self.slotIndex(state.pointee.sent + 1)
    return readerCount(state, slot) == 0 || readersAreDone(lane, slot)
  }

  @inline(__always)
  func takeAcknowledgements(_ state: UnsafeMutablePointer<LaneState>) {
    let count = state.pointee.peerConsumedCount.pointee.load(ordering: .acquiring)
    // Never more than was sent, whatever the peer wrote.
    if count <= state.pointee.sent { state.pointee.acknowledged = max(state.pointee.acknowledged, count) }
  }

  @inline(__always)
  private func readerCount(_ state: UnsafeMutablePointer<LaneState>, _ slot: Int) -> Int {
    withUnsafeBytes(of: &state.pointee.readerCounts) { Int($0.load(fromByteOffset: slot * 2, as: UInt16.self)) }
  }

  @inline(__always)
  private func setReaderCount(_ state: UnsafeMutablePointer<LaneState>, _ slot: Int, _ count: Int) {
    withUnsafeMutableBytes(of: &state.pointee.readerCounts) {
      $0.storeBytes(of: UInt16(count), toByteOffset: slot * 2, as: UInt16.self)
    }
  }

  private func readersAreDone(_ lane: Int, _ slot: Int) -> Bool {
    let state = lanes + lane
    let list = readers + (lane * Lane.credit + slot) * readersPerSlot
    var left = readerCount(state, slot)
    while left > 0 {
      let reader = list[left - 1]
      let isDone = reader.link._withUnsafeGuaranteedRef { link in
        link.lanes[lane].peerConsumedCount.pointee.load(ordering: .acquiring) >= reader.sequence
      }
      if !isDone { break }
      left -= 1
    }
    setReaderCount(state, slot, left)
    return left == 0
  }

  package override func send(
    _ lane: Int, _ call: CallSignature, _ count: UInt64, _ source: UnsafeRawPointer, _ bytes: Int, copied: Bool
  ) -> UInt64 {
    let state = lanes + lane
    let slot = Self.slotIndex(state.pointee.sent + 1)
    let line = state.pointee.outgoing + slot * SharedMemoryGeometry.slotBytes
    if bytes <= SharedMemoryGeometry.inlineBytes {
      let payload = line + SharedMemoryGeometry.slotHeaderBytes
      if bytes == 8 {
        payload.storeBytes(of: source.loadUnaligned(as: UInt64.self), as: UInt64.self)
      } else if bytes > 0 {
        payload.copyMemory(from: source, byteCount: bytes)
      }
      return publish(state, line, call, count, bytes)
    }
    if !copied && bytes >= InPlace.segmentBytesMin && peerReadsSources() {
      let address = UInt64(UInt(bitPattern: source))
      return publishHeld(lane, call, count, bytes, address | SharedMemoryGeometry.Reference.address)
    }
    (state.pointee.windows + slot * segmentBytesMax).copyMemory(from: source, byteCount: bytes)
    return publishWindow(
      state, line, call, count, bytes, windowOffset: state.pointee.windows + slot * segmentBytesMax - endpoint.region.base)
  }

  package override func reserve(_ lane: Int, _ bytes: Int) -> UnsafeMutableRawPointer {
    precondition(bytes >= 0 && bytes <= segmentBytesMax, "segment larger than the link takes")
    let state = lanes + lane
    let slot = Self.slotIndex(state.pointee.sent + 1)
    // The receiver polls the slot's line meanwhile, as it does while `send` copies there. It must only read no other line.
    if bytes <= SharedMemoryGeometry.inlineBytes {
      return state.pointee.outgoing + slot * SharedMemoryGeometry.slotBytes + SharedMemoryGeometry.slotHeaderBytes
    }
    return state.pointee.windows + slot * segmentBytesMax
  }

  package override func commit(_ lane: Int, _ call: CallSignature, _ count: UInt64, _ bytes: Int) -> UInt64 {
    let state = lanes + lane
    let slot = Self.slotIndex(state.pointee.sent + 1)
    let line = state.pointee.outgoing + slot * SharedMemoryGeometry.slotBytes
    if bytes <= SharedMemoryGeometry.inlineBytes { return publish(state, line, call, count, bytes) }
    return publishWindow(
      state, line, call, count, bytes,
      windowOffset: state.pointee.windows + slot * segmentBytesMax - endpoint.region.base)
  }

  package override func sendShared(
    _ lane: Int, _ call: CallSignature, _ count: UInt64, _ bytes: Int, original: Link, originalSequence: UInt64
  ) -> UInt64 {
    // Links of a share group are all of this class.
    let owner = unsafeDowncast(original, to: SharedMemoryLink.self)
    let ownerState = owner.lanes + lane
    let ownerSlot = Self.slotIndex(originalSequence)
    let state = lanes + lane
    let line = state.pointee.outgoing + Self.slotIndex(state.pointee.sent + 1) * SharedMemoryGeometry.slotBytes
    if bytes <= SharedMemoryGeometry.inlineBytes {
      let payload =
        ownerState.pointee.outgoing + ownerSlot * SharedMemoryGeometry.slotBytes + SharedMemoryGeometry.slotHeaderBytes
      (line + SharedMemoryGeometry.slotHeaderBytes).copyMemory(from: payload, byteCount: bytes)
      return publish(state, line, call, count, bytes)
    }
    let reference = (ownerState.pointee.outgoing + ownerSlot * SharedMemoryGeometry.slotBytes).load(
      fromByteOffset: SharedMemoryGeometry.slotHeaderBytes, as: UInt64.self)
    let isSource = reference >= SharedMemoryGeometry.Reference.address && reference < SharedMemoryGeometry.Reference.placed
    if isSource {
      let address = reference & ~SharedMemoryGeometry.Reference.address
      let source = UnsafeRawPointer(bitPattern: UInt(address)).unsafelyUnwrapped
      return send(lane, call, count, source, bytes, copied: false)
    }
    let sequence = publishWindow(
      state, line, call, count, bytes,
      windowOffset: ownerState.pointee.windows + ownerSlot * segmentBytesMax - endpoint.region.base)
    let readerCount = owner.readerCount(ownerState, ownerSlot)
    owner.readers[(lane * Lane.credit + ownerSlot) * readersPerSlot + readerCount] = Reader(
      link: Unmanaged.passUnretained(self), sequence: sequence)
    owner.setReaderCount(ownerState, ownerSlot, readerCount + 1)
    return sequence
  }

  /// Publishes a slot whose payload area holds the offset of its window in this rank's region.
  @inline(__always)
  private func publishWindow(
    _ state: UnsafeMutablePointer<LaneState>, _ line: UnsafeMutableRawPointer, _ call: CallSignature, _ count: UInt64,
    _ bytes: Int, windowOffset: Int
  ) -> UInt64 {
    (line + SharedMemoryGeometry.slotHeaderBytes).storeBytes(of: UInt64(windowOffset), as: UInt64.self)
    return publish(state, line, call, count, bytes)
  }

  @inline(__always)
  func publish(
    _ state: UnsafeMutablePointer<LaneState>, _ line: UnsafeMutableRawPointer, _ call: CallSignature, _ count: UInt64,
    _ bytes: Int
  ) -> UInt64 {
    let sequence = state.pointee.sent + 1
    state.pointee.sent = sequence
    line.storeBytes(of: call.rawValue, toByteOffset: 8, as: UInt64.self)
    line.storeBytes(of: count, toByteOffset: 16, as: UInt64.self)
    let sizes = UInt64(UInt32(truncatingIfNeeded: bytes)) | UInt64(UInt32(truncatingIfNeeded: state.pointee.consumed)) << 32
    line.storeBytes(of: sizes, toByteOffset: 24, as: UInt64.self)
    line.assumingMemoryBound(to: Atomic<UInt64>.self).pointee.store(sequence, ordering: .releasing)
    peerDoorbell.wakeIfParked()
    return sequence
  }

  /// Payloads are copied before they are published, except those that the peer reads where this rank has them.
  package override func released(_ lane: Int) -> UInt64 {
    let state = lanes + lane
    return state.pointee.acknowledged >= state.pointee.lastHeld ? state.pointee.sent : releasedSlowly(state)
  }

  // MARK: Registered memory

  package override func sendRegistered(
    _ lane: Int, _ call: CallSignature, _ count: UInt64, _ offset: UInt64, _ bytes: Int
  ) -> UInt64 { publishHeld(lane, call, count, bytes, offset | SharedMemoryGeometry.Reference.registered) }

  package override func placement(_ lane: Int, _ bytes: Int) -> UnsafeMutableRawPointer? { beginPlacement(lane, bytes) }

  package override func commitPlacement(
    _ lane: Int, _ call: CallSignature, _ count: UInt64, _ bytes: Int
  ) -> UInt64 { endPlacement(lane, call, count, bytes) }

  package override func cancelPlacement(_ lane: Int) { dropPlacement(lane) }

  package override func grant(_ lane: Int, _ ahead: Int, _ offset: UInt64, _ bytes: Int) {
    giveGrant(lane, ahead, offset, bytes)
  }

  package override func isIntact(_ lane: Int) -> Bool { wasIntact() }

  package override func startRevoking() {
    endpoint.region.revoked.pointee.store(1, ordering: .sequentiallyConsistent)
  }

  package override func hasRevoked(peerIsLost: Bool) -> Bool { peerIsLost || !isBeingWritten() }

  package override func offer(
    _ lane: Int, _ call: CallSignature, _ count: UInt64, _ destination: UnsafeMutableRawPointer, _ bytes: Int
  ) {
    lanes[lane].offer = (call, count, bytes, destination)
  }

  // MARK: The end

  /// Fails the link once the peer has closed its end. Nothing is sent any more, and what the peer sent before stays
  /// readable.
  @inline(never)
  func noticeClosing() {
    guard peerRegion.closed.pointee.load(ordering: .acquiring) != 0 else { return }
    fail(
      FailureReport(
        .peerLost, rank: endpoint.rank, peer: peer, "rank \(peer) closed its link",
        advice: "Look at what rank \(peer) reported for the cause", transport: transport.name))
  }

  // MARK: Receiving

  package override func peek(_ lane: Int) -> UnsafePointer<Arrival>? {
    let state = lanes + lane
    let expected = state.pointee.consumed + 1
    let line = state.pointee.incoming + Self.slotIndex(expected) * SharedMemoryGeometry.slotBytes
    let sequence = line.assumingMemoryBound(to: Atomic<UInt64>.self).pointee.load(ordering: .acquiring)
    if sequence != expected {
      if peerRegion.closed.pointee.load(ordering: .acquiring) == 0 { return nil }
      // Everything that the peer published before it closed is there by now.
      if line.assumingMemoryBound(to: Atomic<UInt64>.self).pointee.load(ordering: .acquiring) == expected {
        return peek(lane)
      }
      noticeClosing()
      return nil
    }
    let sizes = line.load(fromByteOffset: 24, as: UInt64.self)
    let bytes = Int(sizes & 0xFFFF_FFFF)
    // The peer's count of what it consumed from us, widened to 64 bits; never beyond what was sent.
    let advance = UInt32(truncatingIfNeeded: sizes >> 32) &- UInt32(truncatingIfNeeded: state.pointee.acknowledged)
    let acknowledged = state.pointee.acknowledged + UInt64(advance)
    if acknowledged <= state.pointee.sent { state.pointee.acknowledged = acknowledged }
    var payload = UnsafeRawPointer(line + SharedMemoryGeometry.slotHeaderBytes)
    let arrival = withUnsafeMutablePointer(to: &state.pointee.arrival) { $0 }
    arrival.pointee.placed = false
    arrival.pointee.borrowed = false
    if bytes > SharedMemoryGeometry.inlineBytes {
      let reference = payload.load(as: UInt64.self)
      if reference >= SharedMemoryGeometry.Reference.address {
        guard let found = self.payload(state, reference, expected, bytes) else { return nil }
        payload = found
      } else {
        guard bytes <= segmentBytesMax, reference <= UInt64(peerRegion.geometry.regionBytes - bytes) else {
          failCorrupt(bytes <= segmentBytesMax ? .outsideRegion : .tooLong, bytes)
          return nil
        }
        payload = UnsafeRawPointer(peerRegion.base + Int(reference))
      }
    }
    arrival.pointee.call = CallSignature(rawValue: line.load(fromByteOffset: 8, as: UInt64.self))
    arrival.pointee.count = line.load(fromByteOffset: 16, as: UInt64.self)
    arrival.pointee.payload = payload
    arrival.pointee.bytes = bytes
    return UnsafePointer(arrival)
  }

  package override func consume(_ lane: Int) {
    let state = lanes + lane
    state.pointee.consumed += 1
    state.pointee.offer.bytes = 0
    state.pointee.consumedCount.pointee.store(state.pointee.consumed, ordering: .releasing)
    peerDoorbell.wakeIfParked()
  }
}
