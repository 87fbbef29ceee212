import CTuttiLinux
import CTuttiTLS
import Glibc
import TuttiSystem
import TuttiTransport

/// A link over one connected TCP socket that carries all lanes.
///
/// Owns the socket, and the memory that arrivals lie in and segments are composed in. Invariants: at most one frame is
/// partly written, and nothing is written before it is complete; whatever the peer sends, memory and work are bounded by the
/// credit granted to it, because a frame beyond the credit, the size or the order agreed on ends the link.
///
/// One system call sends a segment and, while the receiver keeps up, one receives it. Large segments are read straight into
/// the destination offered for them, or into a slot. Consumed segments are acknowledged in the headers of data going the
/// other way, or by a frame of their own once half the credit is owed.
package final class TCPLink: Link, @unchecked Sendable {
  // @unchecked: whoever holds the engine's lock calls; all memory below is owned by this object until deinit.

  /// This end's rank, for messages.
  let rank: Int
  /// What the kernel granted.
  package let socketOptions: TCPSocketOptions
  let socket: Int32
  /// The owner of `socket`; nil once the link is closed.
  private var owner: OwnedDescriptor?
  /// The TLS session, and its address for the shims: it lives as long as this link. nil where the link is in the clear.
  private let session: TLSSession?
  let tls: OpaquePointer?
  let credit: UInt64
  let laneCount: Int
  /// Both per lane and sequence number modulo the credit. Homes say what an arrival occupies: see ``Home``.
  let arrivals: UnsafeMutablePointer<Arrival>
  let homes: UnsafeMutablePointer<Int32>
  let lanes: UnsafeMutablePointer<TCPLane>
  let state: UnsafeMutablePointer<TCPLinkState>
  let memory: TCPLinkMemory
  /// A header and, for a small segment, its payload; or the credit frames of all lanes.
  let output: UnsafeMutableRawPointer

  /// Segments up to this size are copied behind their header, which is cheaper than gathering two pieces.
  static let copiedBytesMax = 4096

  /// - Parameters:
  ///   - connection: Connected and authenticated.
  ///   - peer: The rank at the other end.
  ///   - rank: The rank at this end.
  ///   - segmentBytesMax: The largest payload; equal at both ends, below 4 GiB.
  ///   - patience: How long the network may carry nothing.
  /// - Throws: `.transport` when the socket refuses an option, `.resources` when address space runs out.
  package init(
    connection: consuming Connection, peer: Int, rank: Int, segmentBytesMax: Int, patience: LinkPatience = .standard
  ) throws(FailureReport) {
    precondition(Lane.count <= 16 && Lane.count * Lane.credit < 64 && Lane.credit & (Lane.credit - 1) == 0)
    precondition(segmentBytesMax >= 0 && segmentBytesMax <= Int(UInt32.max))
    let raw = connection.raw
    session = connection.tls
    tls = connection.tls?.raw
    tutti_register_descriptor(raw)
    socketOptions = try TCPSocketOptions.apply(to: raw, patience: patience)
    memory = try TCPLinkMemory(
      laneCount: Lane.count, outstandingMax: Lane.count * Lane.credit, segmentBytesMax: segmentBytesMax)
    self.socket = raw
    owner = connection.release()
    self.rank = rank
    credit = UInt64(Lane.credit)
    laneCount = Lane.count
    let outstandingMax = Lane.count * Lane.credit
    let nothing = Arrival(call: CallSignature(rawValue: 0), count: 0, payload: memory.base, bytes: 0, placed: false)
    arrivals = .allocate(capacity: outstandingMax)
    arrivals.initialize(repeating: nothing, count: outstandingMax)
    homes = .allocate(capacity: outstandingMax)
    homes.initialize(repeating: Home.destination, count: outstandingMax)
    lanes = .allocate(capacity: Lane.count)
    lanes.initialize(repeating: TCPLane(), count: Lane.count)
    state = .allocate(capacity: 1)
    state.initialize(to: TCPLinkState(restArrival: nothing, freeSlots: (1 << UInt64(outstandingMax)) - 1))
    output = .allocate(
      byteCount: max(TCPFrame.headerBytes + Self.copiedBytesMax, Lane.count * TCPFrame.headerBytes), alignment: 64)
    super.init(peer: peer, transport: TCPTransport.kind, segmentBytesMax: segmentBytesMax, needsProgress: true)
  }

  deinit {
    close()
    memory.deallocate()
    arrivals.deallocate()
    homes.deallocate()
    lanes.deallocate()
    state.deallocate()
    output.deallocate()
  }

  /// What an arrival occupies until it is consumed: a slot (its index), a chunk (its index from `firstChunk`), or neither.
  enum Home {
    static let destination: Int32 = -1
    static let firstChunk: Int32 = 64
  }

  @inline(__always) func index(_ lane: Int, _ sequence: UInt64) -> Int {
    lane * Int(credit) + Int(truncatingIfNeeded: sequence & (credit - 1))
  }

  // MARK: Sending

  package override func canSend(_ lane: Int) -> Bool {
    state.pointee.canWrite && lanes[lane].sent &- lanes[lane].acknowledged < credit && !status.pointee.failed
  }

  /// A source counts as free once the kernel has all of it, so `copied` makes no difference. Small segments are copied at
  /// once, but count as free no earlier: whoever waits for the release thereby flushes what the peer is waiting for.
  package override func send(
    _ lane: Int, _ call: CallSignature, _ count: UInt64, _ source: UnsafeRawPointer, _ bytes: Int, copied: Bool
  ) -> UInt64 {
    precondition(bytes >= 0 && bytes <= segmentBytesMax && state.pointee.canWrite, "send without canSend")
    let sequence = beginFrame(output, lane, call, count, bytes)
    if bytes <= Self.copiedBytesMax {
      memcpy(output + TCPFrame.headerBytes, source, bytes)
      let length = TCPFrame.headerBytes + bytes
      let moved = tutti_stream_send(socket, tls, output, length, nil, 0)
      if moved != length { keep(moved: moved, output, length, nil, 0, lane: lane) }
    } else {
      let moved = tutti_stream_send(socket, tls, output, TCPFrame.headerBytes, source, bytes)
      if moved != TCPFrame.headerBytes + bytes {
        keep(moved: moved, output, TCPFrame.headerBytes, source, bytes, lane: lane)
      }
    }
    return sequence
  }

  /// Nothing of this link is unfinished, so the kernel has all that was composed here before.
  package override func reserve(_ lane: Int, _ bytes: Int) -> UnsafeMutableRawPointer {
    precondition(bytes >= 0 && bytes <= segmentBytesMax && state.pointee.canWrite, "reserve without canSend")
    return memory.composed(lane)
  }

  /// Header and payload lie together, so that a segment of any size goes in one piece.
  package override func commit(_ lane: Int, _ call: CallSignature, _ count: UInt64, _ bytes: Int) -> UInt64 {
    precondition(bytes >= 0 && bytes <= segmentBytesMax && state.pointee.canWrite, "commit without canSend")
    let frame = memory.composed(lane) - TCPFrame.headerBytes
    let sequence = beginFrame(frame, lane, call, count, bytes)
    let length = TCPFrame.headerBytes + bytes
    let moved = tutti_stream_send(socket, tls, frame, length, nil, 0)
    if moved != length { keep(moved: moved, frame, length, nil, 0, lane: lane) }
    return sequence
  }

  package override func released(_ lane: Int) -> UInt64 {
    lanes[lane].sent &- (state.pointee.pendingLane == lane ? 1 : 0)
  }

  // MARK: Receiving what has come

  package override func offer(
    _ lane: Int, _ call: CallSignature, _ count: UInt64, _ destination: UnsafeMutableRawPointer, _ bytes: Int
  ) {
    let state = lanes + lane
    // An offer is for one sequence number: left over, it must not catch the segment after.
    state.pointee.offeredSequence = state.pointee.consumed &+ 1
    state.pointee.offeredCall = call.rawValue
    state.pointee.offeredCount = count
    state.pointee.offeredBytes = bytes
    state.pointee.offeredDestination = destination
  }

  package override func peek(_ lane: Int) -> UnsafePointer<Arrival>? {
    let state = lanes + lane
    let consumed = state.pointee.consumed
    if state.pointee.received == consumed { return nil }
    return UnsafePointer(arrivals + index(lane, consumed &+ 1))
  }

  package override func consume(_ lane: Int) {
    let state = lanes + lane
    precondition(state.pointee.consumed != state.pointee.received, "nothing to consume")
    let sequence = state.pointee.consumed &+ 1
    let home = homes[index(lane, sequence)]
    if home >= Home.firstChunk {
      memory.chunkUse[Int(home &- Home.firstChunk)] &-= 1
    } else if home >= 0 {
      self.state.pointee.freeSlots |= 1 << UInt64(home)
    }
    state.pointee.consumed = sequence
    if sequence &- state.pointee.announced >= credit / 2 { self.state.pointee.creditDue |= 1 << UInt32(lane) }
  }

  // MARK: Waiting and the end

  /// A call that completes a large segment returns at once, even if more has come, so that the engine can offer a
  /// destination for the next one first; call again before parking.
  package override func progress() {
    if status.pointee.failed { return }
    if !state.pointee.canWrite || state.pointee.creditDue != 0 { flush() }
    receive()
  }

  package override var descriptor: Int32 { state.pointee.closed ? -1 : socket }

  package override func prepareToPark() -> Bool {
    // What the session has taken from the socket already wakes nobody.
    if let session, !session.isDry { return false }
    wakeForWholeSegment()
    return true
  }

  package override var wantsWrite: Bool { state.pointee.pendingHeadBytes + state.pointee.pendingBodyBytes > 0 }

  package override var undelivered: Int {
    if state.pointee.closed || status.pointee.failed { return 0 }
    return state.pointee.pendingHeadBytes + state.pointee.pendingBodyBytes + Int(tutti_socket_undelivered(socket))
  }

  /// A connection that is closed, by hand or with its process, answers what still comes with a reset, at which both kernels
  /// forget what is on its way. So all of it must have arrived before. The end of the stream goes along: where both sides
  /// close, each acknowledges at once what the other sent.
  package override func drain() -> Bool {
    if state.pointee.closed || status.pointee.failed || state.pointee.sendError != 0 { return true }
    flush()
    discardInput()
    guard state.pointee.canWrite else { return state.pointee.sendError != 0 }
    if !state.pointee.hasEnded {
      state.pointee.hasEnded = true
      if let tls { tutti_tls_end(tls) }
      shutdown(socket, Int32(SHUT_WR))
    }
    return tutti_socket_undelivered(socket) == 0
  }

  package override func startClosing() {
    if state.pointee.closed { return }
    if !status.pointee.failed { discardInput() }
    state.pointee.closed = true
    state.pointee.canWrite = false
    owner = nil
  }

  /// How often a segment must have been sent again before the way is blamed: a lost one is acknowledged before that.
  private static let retransmissionsMin: UInt32 = 3

  package override func troubleOnTheWay() -> String? {
    var way = tutti_tcp_way()
    guard !state.pointee.closed, tutti_tcp_way_of(socket, &way) == 0, way.unacknowledged > 0,
      way.retransmissions >= Self.retransmissionsMin
    else { return nil }
    return "has sent a packet of \(way.segment_bytes) bytes to rank \(peer) \(way.retransmissions + 1) times unacknowledged"
  }

  /// Reads and drops what has come: unread input would make the kernel reset the connection on close.
  private func discardInput() {
    let chunk = memory.freeChunk(besides: -1)
    for _ in 0..<1024 {
      if tutti_stream_receive(socket, tls, memory.chunk(chunk), TCPLinkMemory.chunkBytes, nil, 0) <= 0 { return }
    }
  }
}
