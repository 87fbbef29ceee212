import CTuttiLinux
import Glibc
import Synchronization
import TuttiSystem
import TuttiTransport

// Segments that go through no window. The receiver may copy one from the sender's process, or read it in the sender's
// registered memory; and it may let the sender write into its own. A slot of the ring says which was done. Neither rank
// waits for the other: without a grant, a segment goes through a window.
//
// After a failure a rank's caller may reuse its memory at once, so the rank first takes it back (``takeBack(_:)``). A reader
// checks after reading whether that has happened, and then does not use what it read. A writer announces that it is writing,
// then checks; the owner takes its memory back, then waits for whoever is writing.

extension SharedMemoryLink {
  private typealias Grants = SharedMemoryGeometry.Grants
  private typealias Reference = SharedMemoryGeometry.Reference

  @inline(__always)
  private func word(_ address: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Atomic<UInt64>> {
    address.assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  // MARK: Sending

  /// Whether the peer can copy from this rank's process. It says so when it has opened its end.
  @inline(__always)
  func peerReadsSources() -> Bool {
    if !peerReads { peerReads = word(lanes[0].peerGrants + Grants.reads).pointee.load(ordering: .acquiring) == 1 }
    return peerReads
  }

  /// Sends a segment that the peer reads where this rank has it; its source is not free before that.
  func publishHeld(_ lane: Int, _ call: CallSignature, _ count: UInt64, _ bytes: Int, _ reference: UInt64) -> UInt64 {
    let sequence = publishReference(lane, call, count, bytes, reference)
    lanes[lane].lastHeld = sequence
    return sequence
  }

  @inline(__always)
  private func publishReference(
    _ lane: Int, _ call: CallSignature, _ count: UInt64, _ bytes: Int, _ reference: UInt64
  ) -> UInt64 {
    let state = lanes + lane
    let line = state.pointee.outgoing + Self.slotIndex(state.pointee.sent + 1) * SharedMemoryGeometry.slotBytes
    (line + SharedMemoryGeometry.slotHeaderBytes).storeBytes(of: reference, as: UInt64.self)
    return publish(state, line, call, count, bytes)
  }

  /// Gives the value of ``released(_:)`` while the peer may be reading this rank's memory.
  @inline(never)
  func releasedSlowly(_ state: UnsafeMutablePointer<LaneState>) -> UInt64 {
    takeAcknowledgements(state)
    if state.pointee.acknowledged >= state.pointee.lastHeld { return state.pointee.sent }
    if peerRegion.closed.pointee.load(ordering: .acquiring) != 0 {
      // What the peer consumed before it closed is there by now.
      takeAcknowledgements(state)
      if state.pointee.acknowledged >= state.pointee.lastHeld { return state.pointee.sent }
      noticeClosing()
    }
    return state.pointee.acknowledged
  }

  func beginPlacement(_ lane: Int, _ bytes: Int) -> UnsafeMutableRawPointer? {
    let state = lanes + lane
    let sequence = state.pointee.sent + 1
    let entry = state.pointee.peerGrants + Self.slotIndex(sequence) * Grants.entryBytes
    guard word(entry).pointee.load(ordering: .acquiring) == sequence,
      entry.load(fromByteOffset: 16, as: UInt64.self) == UInt64(bytes)
    else { return nil }
    let offset = entry.load(fromByteOffset: 8, as: UInt64.self)
    // Where the peer's memory cannot be mapped, a window will do.
    guard let memory = (try? peerMemory?.pointee.address(of: offset, bytes: bytes)) ?? nil else { return nil }
    let writing = word(state.pointee.grants + Grants.writing)
    writing.pointee.store(1, ordering: .sequentiallyConsistent)
    if peerRegion.revoked.pointee.load(ordering: .sequentiallyConsistent) == 0 { return memory }
    dropPlacement(lane)
    return nil
  }

  func endPlacement(
    _ lane: Int, _ call: CallSignature, _ count: UInt64, _ bytes: Int
  ) -> UInt64 {
    let sequence = publishReference(lane, call, count, bytes, Reference.placed)
    dropPlacement(lane)
    return sequence
  }

  func dropPlacement(_ lane: Int) {
    word(lanes[lane].grants + Grants.writing).pointee.store(0, ordering: .releasing)
  }

  // MARK: Receiving

  func giveGrant(_ lane: Int, _ ahead: Int, _ offset: UInt64, _ bytes: Int) {
    let state = lanes + lane
    let sequence = state.pointee.consumed + 1 + UInt64(ahead)
    if isRevoked || sequence <= state.pointee.granted { return }
    let entry = state.pointee.grants + Self.slotIndex(sequence) * Grants.entryBytes
    entry.storeBytes(of: offset, toByteOffset: 8, as: UInt64.self)
    entry.storeBytes(of: UInt64(bytes), toByteOffset: 16, as: UInt64.self)
    word(entry).pointee.store(sequence, ordering: .releasing)
    state.pointee.granted = sequence
  }

  /// The payload of a segment that went through no window. Fails the link and returns nil when the slot's word is
  /// impossible.
  @inline(never)
  func payload(
    _ state: UnsafeMutablePointer<LaneState>, _ reference: UInt64, _ sequence: UInt64, _ bytes: Int
  ) -> UnsafeRawPointer? {
    if reference < Reference.placed { return fetch(state, reference & ~Reference.address, sequence, bytes) }
    if reference & Reference.registered != 0 {
      if !wasIntact() { return nil }
      let memory: UnsafeMutableRawPointer?
      do throws(FailureReport) {
        memory = try peerMemory?.pointee.address(of: reference & ~Reference.registered, bytes: bytes)
      } catch {
        fail(error)
        return nil
      }
      guard let memory, bytes <= segmentBytesMax else {
        failCorrupt(bytes <= segmentBytesMax ? .outsideRegisteredMemory : .tooLong, bytes)
        return nil
      }
      state.pointee.arrival.borrowed = true
      return UnsafeRawPointer(memory)
    }
    let entry = state.pointee.grants + Self.slotIndex(sequence) * Grants.entryBytes
    guard sequence <= state.pointee.granted, word(entry).pointee.load(ordering: .relaxed) == sequence,
      entry.load(fromByteOffset: 16, as: UInt64.self) == UInt64(bytes)
    else {
      failCorrupt(.notGranted, bytes)
      return nil
    }
    state.pointee.arrival.placed = true
    // Nobody looks at the payload of what is placed.
    return UnsafeRawPointer(entry)
  }

  /// Copies a segment from the peer's process to the destination that was offered, or to this rank's staging memory. It does
  /// so once: a segment stays there until it is consumed.
  private func fetch(
    _ state: UnsafeMutablePointer<LaneState>, _ address: UInt64, _ sequence: UInt64, _ bytes: Int
  ) -> UnsafeRawPointer? {
    if state.pointee.fetched != sequence {
      guard let peerProcess, bytes <= segmentBytesMax else {
        failCorrupt(bytes <= segmentBytesMax ? .unreachable : .tooLong, bytes)
        return nil
      }
      let line = state.pointee.incoming + Self.slotIndex(sequence) * SharedMemoryGeometry.slotBytes
      let offer = state.pointee.offer
      let isOffered =
        offer.bytes == bytes && offer.call.rawValue == line.load(fromByteOffset: 8, as: UInt64.self)
        && offer.count == line.load(fromByteOffset: 16, as: UInt64.self)
      let destination = isOffered ? offer.destination : stagingMemory(state)
      let code = peerProcess.read(address, into: destination, bytes: bytes)
      if code != 0 {
        failUnreadable(code)
        return nil
      }
      if !wasIntact() { return nil }
      state.pointee.fetched = sequence
      state.pointee.fetchedTo = destination
      state.pointee.isFetchedInPlace = isOffered
    }
    state.pointee.arrival.placed = state.pointee.isFetchedInPlace
    return UnsafeRawPointer(state.pointee.fetchedTo)
  }

  @inline(never)
  private func stagingMemory(_ state: UnsafeMutablePointer<LaneState>) -> UnsafeMutableRawPointer {
    if let known = state.pointee.staging { return known }
    let memory = UnsafeMutableRawPointer.allocate(byteCount: segmentBytesMax, alignment: 4096)
    state.pointee.staging = memory
    return memory
  }

  @inline(never)
  private func failUnreadable(_ code: Int32) {
    if code == ESRCH {
      return fail(
        FailureReport(
          .peerLost, rank: endpoint.rank, peer: peer, "the process of rank \(peer) is gone",
          advice: "Look at what rank \(peer) reported for the cause", transport: transport.name, systemError: code))
    }
    fail(
      FailureReport(
        .transport, rank: endpoint.rank, peer: peer, "rank \(endpoint.rank) cannot copy from the memory of rank \(peer)",
        advice: "That buffer may be device memory, or rank \(peer) has changed who may trace it: set TUTTI_SINGLE_COPY=off",
        transport: transport.name, systemError: code))
  }

  func wasIntact() -> Bool {
    // The reads of the payload come before this one.
    atomicMemoryFence(ordering: .acquiring)
    if peerRegion.revoked.pointee.load(ordering: .acquiring) == 0 { return true }
    failRevoked()
    return false
  }

  @inline(never)
  private func failRevoked() {
    fail(
      FailureReport(
        .peerLost, rank: endpoint.rank, peer: peer, "rank \(peer) failed while rank \(endpoint.rank) read its memory",
        advice: "Look at what rank \(peer) reported for the cause", transport: transport.name))
  }

  // MARK: The end

  /// Whether the peer is writing into this rank's registered memory.
  func isBeingWritten() -> Bool {
    if peerRegion.closed.pointee.load(ordering: .acquiring) != 0 { return false }
    for lane in 0..<Lane.count {
      let flag = word(lanes[lane].peerGrants + Grants.writing)
      if flag.pointee.load(ordering: .sequentiallyConsistent) != 0 { return true }
    }
    return false
  }
}
