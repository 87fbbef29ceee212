import TuttiSystem

/// One end of an ordered, reliable, two-way connection between two ranks of one communicator, with lanes.
///
/// The unit on a link is the *segment*: up to ``segmentBytesMax`` payload bytes and the call they belong to.
/// On each lane and direction segments arrive complete, once and in order. The receiver holds the credit: a sender has
/// at most ``Lane/credit`` segments outstanding on a lane, and a link always takes in what its credit allowed, whether or
/// not the engine asks for that lane, so that no lane can block another.
///
/// Threads: whoever holds the engine's lock calls; a link needs no locks of its own. Transports are `final` subclasses whose
/// hot state is raw memory; the engine keeps links unmanaged in raw memory, so that a call costs one indirect jump.
///
/// Public types and `open` members here are no API (no product has this module): Swift lets another module of the package
/// override nothing less than `open`.
///
/// Errors: a link never throws on the data path. It sets ``LinkStatus/failed`` and ``failure``; from then on it gives no
/// credit and takes nothing in, but what arrived in full before stays readable, so that a peer may finish and leave. The
/// engine looks at the status when it makes no progress.
open class Link {
  /// The rank at the other end.
  package let peer: Int
  package let transport: TransportKind
  /// The largest payload of one segment. The same at both ends.
  package let segmentBytesMax: Int
  /// Whether ``progress()`` must be called for segments to move. Shared memory needs no such call.
  package let needsProgress: Bool
  /// Whether the memory that ``reserve(_:_:)`` gives is the one the receiver reads, and ``send`` copies into it. Composing there
  /// then saves a pass even where the result is stored as well; elsewhere such a result is better sent from where it is stored.
  package let composesInPlace: Bool
  /// Links with the same non-zero group can hand one copy of a segment to several peers: see ``sendShared``.
  package let shareGroup: UInt32
  /// Whether ``sendRegistered(_:_:_:_:_:)``, ``grant(_:_:_:_:)`` and ``placement(_:_:)`` can be called: the peer reaches this rank's registered memory.
  package let reachesRegisteredMemory: Bool
  /// Whether they can also be called for memory of the caller's own that is registered (``InPlace/callers``).
  package let reachesCallersMemory: Bool
  /// Whether ``peek(_:)`` copies large segments from the peer's memory, so that an ``offer(_:_:_:_:_:)`` has to come before it.
  package let fetches: Bool
  /// State the engine reads without a call.
  package let status: UnsafeMutablePointer<LinkStatus>
  /// Why the link failed. Set before ``LinkStatus/failed``.
  package var failure: FailureReport?

  package init(
    peer: Int, transport: TransportKind, segmentBytesMax: Int, needsProgress: Bool, composesInPlace: Bool,
    shareGroup: UInt32 = 0, reachesRegisteredMemory: Bool = false,
    reachesCallersMemory: Bool = false, fetches: Bool = false
  ) {
    self.peer = peer
    self.transport = transport
    self.segmentBytesMax = segmentBytesMax
    self.needsProgress = needsProgress
    self.composesInPlace = composesInPlace
    self.shareGroup = shareGroup
    self.reachesRegisteredMemory = reachesRegisteredMemory
    self.reachesCallersMemory = reachesCallersMemory
    self.fetches = fetches
    status = .allocate(capacity: 1)
    status.initialize(to: LinkStatus())
  }

  deinit { status.deallocate() }

  /// Marks the link as failed; the first failure stays.
  package final func fail(_ report: FailureReport) {
    guard failure == nil else { return }
    failure = report
    status.pointee.failed = true
  }

  // MARK: The data path

  /// Moves bytes: flushes what is queued, reads what has come. Never blocks.
  open func progress() { fatalError("abstract") }

  /// Whether one more segment can be sent on `lane` now: credit is there and the transport has room.
  open func canSend(_ lane: Int) -> Bool { fatalError("abstract") }

  /// Sends one segment. Precondition: ``canSend(_:)``.
  ///
  /// `source` must stay unchanged until ``released(_:)`` reaches the returned sequence number.
  /// - Parameter copied: The source must become free without waiting for the receiver to consume the segment: a link that
  ///   would have the receiver read straight from `source` copies it instead.
  /// - Returns: The segment's sequence number on this lane and direction, from 1.
  open func send(
    _ lane: Int, _ call: CallSignature, _ count: UInt64, _ source: UnsafeRawPointer, _ bytes: Int, copied: Bool
  ) -> UInt64 { fatalError("abstract") }

  /// The number of segments sent on `lane` whose source is free.
  open func released(_ lane: Int) -> UInt64 { fatalError("abstract") }

  /// Memory in which to compose the next segment of `lane`, followed by ``commit``. Precondition: ``canSend(_:)``.
  ///
  /// Calling it again for the same size returns the same memory with what was written; one lane's memory is never another's. A
  /// reservation binds nobody: a ``send`` instead of the commit goes before it, and what was composed is lost.
  /// - Parameter bytes: The size of the segment; up to ``segmentBytesMax``, and the same as at the commit.
  /// - Returns: The link's own memory, aligned to 32 bytes. It can be read unchanged until the next call of `reserve` or a send
  ///   on this lane of this link, also after the commit. To send what was composed to further peers, reserve on each of their
  ///   links too, copy, and commit there (or ``sendShared``): a ``send`` from this memory would still read it after that.
  open func reserve(_ lane: Int, _ bytes: Int) -> UnsafeMutableRawPointer { fatalError("abstract") }

  /// Sends the segment composed in ``reserve(_:_:)``'s memory. Precondition: ``canSend(_:)``, which another lane's segment may
  /// have ended since.
  ///
  /// What it was composed from is free at once. ``released(_:)`` treats it like a copied ``send``: it does not wait for the
  /// receiver to consume, but where bytes must be flushed for the peer to get them, it says when they are.
  /// - Returns: The segment's sequence number on this lane and direction, from 1.
  open func commit(_ lane: Int, _ call: CallSignature, _ count: UInt64, _ bytes: Int) -> UInt64 {
    fatalError("abstract")
  }

  /// Sends to this link's peer the segment that `original`, of the same ``shareGroup``, has just sent on the same lane with
  /// the given sequence number, without another copy of the payload. Precondition: ``canSend(_:)``. The source is free when
  /// `original` and this link say so.
  open func sendShared(
    _ lane: Int, _ call: CallSignature, _ count: UInt64, _ bytes: Int, original: Link, originalSequence: UInt64
  ) -> UInt64 { fatalError("abstract") }

  // MARK: Registered memory

  /// Whether the next segment of `lane`, which lies in registered memory, had better wait a moment, because the peer is going to say where it
  /// may be written. Asks the peer, if it has not been asked.
  ///
  /// The peer answers as soon as the segment is the next of a receive that it has come to, with a grant or with
  /// ``declineGrants(_:_:)``: so whoever waits for that waits for no more than he would with a credit of one segment.
  open func awaitsGrant(_ lane: Int, _ bytes: Int) -> Bool { false }

  /// Answers a peer that has asked (``LinkStatus/asked``) for the next segment of `lane`: it and so many after it are to be sent as usual,
  /// except those that were granted before.
  open func declineGrants(_ lane: Int, _ segments: UInt64) {}

  /// Sends a segment that lies in this rank's ``RegisteredMemory``: the peer reads it where it is. Precondition: ``canSend(_:)``.
  ///
  /// - Parameter offset: Where it begins in the arena.
  /// - Returns: The segment's sequence number on this lane; its source is free when ``released(_:)`` reaches it.
  open func sendRegistered(
    _ lane: Int, _ call: CallSignature, _ count: UInt64, _ offset: UInt64, _ bytes: Int
  ) -> UInt64 { fatalError("abstract") }

  /// Lets the peer write a coming segment of `lane` into this rank's ``RegisteredMemory``. It may or may not; where it has, ``Arrival/placed``
  /// says so.
  ///
  /// - Parameters:
  ///   - ahead: Which segment: 0 for the next that ``peek(_:)`` shows, up to `Lane.credit - 1`; in this order.
  ///   - offset: Where its bytes are to lie in the arena. They are the peer's to write until the segment has arrived.
  open func grant(_ lane: Int, _ ahead: Int, _ offset: UInt64, _ bytes: Int) { fatalError("abstract") }

  /// The peer's memory for the next segment of `lane`, where it has granted that; nil otherwise. Precondition: ``canSend(_:)``. To be followed by
  /// ``commitPlacement(_:_:_:_:)`` or ``cancelPlacement(_:)`` at once, because the peer waits for it when it fails meanwhile.
  open func placement(_ lane: Int, _ bytes: Int) -> UnsafeMutableRawPointer? { fatalError("abstract") }

  /// Sends the segment that was written to the memory of ``placement(_:_:)``. Its sources are free at once.
  open func commitPlacement(_ lane: Int, _ call: CallSignature, _ count: UInt64, _ bytes: Int) -> UInt64 {
    fatalError("abstract")
  }

  /// Gives the memory of ``placement(_:_:)`` back: nothing is sent.
  open func cancelPlacement(_ lane: Int) { fatalError("abstract") }

  /// Whether what was read of an ``Arrival/borrowed`` segment is what its sender meant: false once the sender has taken its memory back, because
  /// it has failed; the link has then failed too. To be asked after the last read, and before anything made of it is passed on.
  open func isIntact(_ lane: Int) -> Bool { true }

  /// Ends the peer's access to callers' memory, after a failure: what it still reads of it, registered or the source of a held send, it will
  /// not use, and when this returns it writes no more, or has not answered within a bounded wait. Idempotent.
  ///
  /// - Parameter peerIsLost: It has died, and there is nothing to wait for.
  open func revoke(peerIsLost: Bool) {}

  // MARK: Receiving

  /// Offers the destination of the next segment on `lane`, so that bytes that have not come yet may be read straight into
  /// it.
  ///
  /// A hint, repeated as often as the engine looks. The link uses it only for a segment whose call, count and size are equal
  /// to these, and then says so in ``Arrival/placed``.
  open func offer(
    _ lane: Int, _ call: CallSignature, _ count: UInt64, _ destination: UnsafeMutableRawPointer, _ bytes: Int
  ) {}

  /// The oldest segment on `lane` that has arrived in full and was not consumed, or nil. The pointer, and the payload behind
  /// it, stay valid until ``consume(_:)``.
  open func peek(_ lane: Int) -> UnsafePointer<Arrival>? { fatalError("abstract") }

  /// Whether a segment has arrived on `lane` that ``peek(_:)`` shows now or will show later without the peer's help.
  open func hasArrival(_ lane: Int) -> Bool { peek(lane) != nil }

  /// Gives back the segment ``peek(_:)`` returned, and with it one credit. Its memory belongs to the link again.
  open func consume(_ lane: Int) { fatalError("abstract") }

  // MARK: Waiting and the end

  /// A descriptor to wait on (`poll`) for this link to make progress; -1 when the peer rings the doorbell instead.
  open var descriptor: Int32 { -1 }

  /// A waiter is about to sleep on ``descriptor``. Returns whether it may: not if something has come that the descriptor will not tell of, be it
  /// that the waiter's last look has taken it. Then it looks at its steps again, and asks again.
  open func prepareToPark() -> Bool { true }

  /// Whether output is queued, so that a waiter must also wait for the descriptor to become writable.
  open var wantsWrite: Bool { false }

  /// The longest a waiter may sleep before it calls ``progress()`` again, in nanoseconds. Finite only where arrivals are
  /// hidden on purpose, so that nothing wakes the waiter when one shows up.
  open var maximumPark: UInt64 { .max }

  /// Returns when what was sent will arrive though this process ends, or after a bounded wait. Where the kernel sends, that is at once.
  open func drain() {}

  /// Says that no arrival will be looked at any more, because the owner has failed: a peer that closes need not wait for that.
  open func abandonArrivals() {}

  /// Releases descriptors and mappings, and returns only when the peer no longer reads sources sent here, or after a bounded
  /// wait: a failed operation closes its links before it gives the caller's buffers back. Idempotent; no data-path call
  /// follows.
  open func close() {}
}

/// The part of a link's state that is read without a call.
@frozen @usableFromInline
package struct LinkStatus {
  @usableFromInline package var failed = false
  /// Lanes (bits) whose sender wants to know where a segment may be written: see ``Link/awaitsGrant(_:_:)``.
  @usableFromInline package var asked: UInt32 = 0
  @inlinable package init() {}
}

/// A segment that has arrived in full.
@frozen
public struct Arrival {
  /// The sender's call and its element count; the receiver compares them with its own.
  @usableFromInline package var call: CallSignature
  @usableFromInline package var count: UInt64
  /// Where the payload lies; undefined when ``placed``.
  @usableFromInline package var payload: UnsafeRawPointer
  @usableFromInline package var bytes: Int
  /// The payload is already in the destination last offered or granted.
  @usableFromInline package var placed: Bool
  /// The payload lies in the sender's registered memory: see ``Link/isIntact(_:)``.
  @usableFromInline package var borrowed: Bool

  @inlinable
  package init(
    call: CallSignature, count: UInt64, payload: UnsafeRawPointer, bytes: Int, placed: Bool, borrowed: Bool = false
  ) {
    self.call = call
    self.count = count
    self.payload = payload
    self.bytes = bytes
    self.placed = placed
    self.borrowed = borrowed
  }
}

/// The transports, by the names users type and read. Raw values travel between ranks.
package enum TransportKind: UInt8, Sendable, CaseIterable {
  case inProcess = 1
  case sharedMemory = 2
  case tcp = 3
  case rdma = 4

  package var name: String {
    switch self {
    case .inProcess: "inprocess"
    case .sharedMemory: "shm"
    case .tcp: "tcp"
    case .rdma: "rdma"
    }
  }
}
