import TuttiSystem

/// One end of an ordered, reliable, two-way connection between two ranks of one communicator, with lanes.
///
/// The unit on a link is the *segment*: up to ``segmentBytesMax`` payload bytes and the call they belong to.
/// On each lane and direction segments arrive complete, once and in order. The receiver holds the credit: a sender has
/// at most ``Lane/credit`` segments outstanding on a lane, and a link always takes in what its credit allowed, whether or
/// not the engine asks for that lane, so that no lane can block another.
///
/// This class has what every link does; ``InPlaceLink`` adds what only links do whose peer reaches memory where it lies. By
/// itself it is a link that carries nothing: it never gives credit and nothing arrives. A transport overrides
/// ``canSend(_:)``, ``send(_:_:_:_:_:copied:)``, ``released(_:)``, ``peek(_:)`` and ``consume(_:)``, and what else its kind
/// of connection needs.
///
/// Threads: whoever holds the engine's lock calls; a link needs no locks of its own. Transports are `final` subclasses whose
/// hot state is raw memory; the engine keeps links unmanaged in raw memory, so that a call costs one indirect jump.
///
/// Public types and `open` members here are no API, because no product has this module: Swift lets another module of the
/// package override only what is `open`.
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
  /// Whether the memory that ``reserve(_:_:)`` gives is the one the receiver reads, and ``send`` copies into it. Composing
  /// there then saves a pass even where the result is stored as well; elsewhere such a result is better sent from where it
  /// is stored.
  package let composesInPlace: Bool
  /// What the link can do with memory in place. A link with any such ability is an ``InPlaceLink``.
  package let inPlace: InPlaceAbilities
  /// State the engine reads without a call.
  package let status: UnsafeMutablePointer<LinkStatus>
  /// Why the link failed. Set before ``LinkStatus/failed``.
  package var failure: FailureReport?
  /// Whether it has been closed. `close` sets it.
  final var isEnded = false
  /// Memory in which a link without a better place composes, for each lane; made when first needed.
  private var composed: UnsafeMutableRawPointer?

  package init(
    peer: Int, transport: TransportKind, segmentBytesMax: Int, needsProgress: Bool, composesInPlace: Bool = false
  ) {
    self.peer = peer
    self.transport = transport
    self.segmentBytesMax = segmentBytesMax
    self.needsProgress = needsProgress
    self.composesInPlace = composesInPlace
    inPlace = InPlaceAbilities()
    status = .allocate(capacity: 1)
    status.initialize(to: LinkStatus())
  }

  /// Only for ``InPlaceLink``: whoever sees an ability takes the link for one.
  init(
    inPlace: InPlaceAbilities, peer: Int, transport: TransportKind, segmentBytesMax: Int, needsProgress: Bool,
    composesInPlace: Bool
  ) {
    self.peer = peer
    self.transport = transport
    self.segmentBytesMax = segmentBytesMax
    self.needsProgress = needsProgress
    self.composesInPlace = composesInPlace
    self.inPlace = inPlace
    status = .allocate(capacity: 1)
    status.initialize(to: LinkStatus())
  }

  deinit {
    status.deallocate()
    composed?.deallocate()
  }

  /// Marks the link as failed; the first failure stays.
  package final func fail(_ report: FailureReport) {
    guard failure == nil else { return }
    failure = report
    status.pointee.failed = true
  }

  /// Fails the link because its transport was asked for something that it cannot do.
  @inline(never)
  final func failIncapable(_ what: StaticString) -> UInt64 {
    fail(
      FailureReport(
        .transport, peer: peer, "the link to rank \(peer) was asked to \(what), which its transport cannot do",
        advice: "This is a defect of that transport: choose another one", transport: transport.name))
    return 0
  }

  // MARK: The data path

  /// Moves bytes: flushes what is queued, reads what has come. Never blocks.
  open func progress() {}

  /// Whether one more segment can be sent on `lane` now, because there is credit and the transport has room.
  open func canSend(_ lane: Int) -> Bool { false }

  /// Sends one segment. Precondition: ``canSend(_:)``.
  ///
  /// `source` must stay unchanged until ``released(_:)`` reaches the returned sequence number.
  /// - Parameter copied: The source must become free without waiting for the receiver to consume the segment: a link that
  ///   would have the receiver read straight from `source` copies it instead.
  /// - Returns: The segment's sequence number on this lane and direction, from 1.
  open func send(
    _ lane: Int, _ call: CallSignature, _ count: UInt64, _ source: UnsafeRawPointer, _ bytes: Int, copied: Bool
  ) -> UInt64 { failIncapable("send") }

  /// What is known to be wrong with the way to the peer: a clause that can follow "rank 0". Asked when a call's limit is
  /// near; nil where nothing is known.
  open func troubleOnTheWay() -> String? { nil }

  /// The number of segments sent on `lane` whose source is free.
  open func released(_ lane: Int) -> UInt64 { 0 }

  /// Memory in which to compose the next segment of `lane`, followed by ``commit``. Precondition: ``canSend(_:)``.
  ///
  /// Calling it again for the same size returns the same memory with what was written; one lane's memory is never another's.
  /// A reservation need not be committed: a ``send`` instead of the commit is allowed, and what was composed is lost.
  /// - Parameter bytes: The size of the segment; up to ``segmentBytesMax``, and the same as at the commit.
  /// - Returns: The link's own memory, aligned to 32 bytes. It can be read unchanged until the next call of `reserve` or a
  ///   send on this lane of this link, also after the commit. To send what was composed to further peers, reserve on each of
  ///   their links too, copy, and commit there (or ``InPlaceLink/sendShared``): a ``send`` from this memory would still read
  ///   it after that.
  open func reserve(_ lane: Int, _ bytes: Int) -> UnsafeMutableRawPointer {
    precondition(bytes >= 0 && bytes <= segmentBytesMax, "segment larger than the link takes")
    let stride = (segmentBytesMax + 63) & ~63
    if let composed { return composed + lane * stride }
    let memory = UnsafeMutableRawPointer.allocate(byteCount: max(64, Lane.count * stride), alignment: 64)
    composed = memory
    return memory + lane * stride
  }

  /// Sends the segment composed in ``reserve(_:_:)``'s memory. Precondition: ``canSend(_:)``, which another lane's segment
  /// may have ended since.
  ///
  /// What it was composed from is free at once. ``released(_:)`` treats it like a copied ``send``: it does not wait for the
  /// receiver to consume, but where bytes must be flushed for the peer to get them, it says when they are.
  /// - Returns: The segment's sequence number on this lane and direction, from 1.
  open func commit(_ lane: Int, _ call: CallSignature, _ count: UInt64, _ bytes: Int) -> UInt64 {
    send(lane, call, count, reserve(lane, bytes), bytes, copied: true)
  }

  // MARK: Receiving

  /// Offers the destination of the next segment on `lane`, so that bytes that have not come yet may be read straight into
  /// it.
  ///
  /// This is a hint, repeated as often as the engine looks. The link uses it only for a segment whose call, count and size
  /// are equal to these, and then says so in ``Arrival/placed``.
  open func offer(
    _ lane: Int, _ call: CallSignature, _ count: UInt64, _ destination: UnsafeMutableRawPointer, _ bytes: Int
  ) {}

  /// The oldest segment on `lane` that has arrived in full and was not consumed, or nil. The pointer, and the payload behind
  /// it, stay valid until ``consume(_:)``.
  open func peek(_ lane: Int) -> UnsafePointer<Arrival>? { nil }

  /// Whether a segment has arrived on `lane` that ``peek(_:)`` shows now or will show later without the peer's help.
  open func hasArrival(_ lane: Int) -> Bool { peek(lane) != nil }

  /// Gives back the segment ``peek(_:)`` returned, and with it one credit. Its memory belongs to the link again.
  open func consume(_ lane: Int) {}

  // MARK: Waiting

  /// A descriptor to wait on (`poll`) for this link to make progress; -1 when the peer rings the doorbell instead.
  open var descriptor: Int32 { -1 }

  /// Returns whether a waiter may sleep on ``descriptor``. It may not when something has come that the descriptor will not
  /// report, even if the waiter's last look has taken it in. The waiter then looks at its steps again, and asks again.
  open func prepareToPark() -> Bool { true }

  /// Whether output is queued, so that a waiter must also wait for the descriptor to become writable.
  open var wantsWrite: Bool { false }

  /// The longest a waiter may sleep before it calls ``progress()`` again, in nanoseconds. Finite only where arrivals are
  /// hidden on purpose, so that nothing wakes the waiter when one shows up.
  open var maximumPark: UInt64 { .max }

  // MARK: The end: see `Link+Close.swift`, which goes through these for many links at once

  /// Moves what was sent towards the peer. Returns whether all of it will arrive even if this process ends. Never
  /// blocks; the caller asks again, for a bounded time.
  open func drain() -> Bool { true }

  /// What was sent and has not arrived, in any unit: while it shrinks, a slow network is given its time.
  open var undelivered: Int { 0 }

  /// Ends the link in good order before it is closed: the peer gets what was sent, and hears that no more will come. Returns
  /// whether that is done, or has become impossible. Never blocks; the caller asks again, for a bounded time.
  open func windDown() -> Bool { drain() }

  /// Tells the link that the engine is aborted and looks at no arrival any more, so that a peer that revokes its memory need
  /// not wait for that.
  open func abortReading() {}

  /// Begins to release descriptors and mappings. Idempotent and never blocks; no data-path call follows.
  open func startClosing() {}

  /// Whether the peer no longer reads sources sent here, and everything that ``startClosing()`` began to release is
  /// released. A failed operation closes its links before it gives the caller's buffers back. Never blocks; the caller asks
  /// again, for a bounded time.
  open func hasClosed() -> Bool { true }
}

/// The part of a link's state that is read without a call.
@frozen @usableFromInline
package struct LinkStatus {
  @usableFromInline package var failed = false
  /// The lanes (bits) whose sender asks where a segment may be written: see ``InPlaceLink/awaitsGrant(_:_:)``. Only in-place
  /// links ask.
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
  /// The payload lies in the sender's registered memory: see ``InPlaceLink/isIntact(_:)``.
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
