import TuttiSystem

/// What an ``InPlaceLink`` can do with memory in place.
@frozen
public struct InPlaceAbilities: Sendable {
  /// Whether ``InPlaceLink/sendRegistered(_:_:_:_:_:)``, ``InPlaceLink/grant(_:_:_:_:)`` and ``InPlaceLink/placement(_:_:)``
  /// can be called: the peer reaches this rank's registered memory.
  @usableFromInline package var reachesRegisteredMemory = false
  /// Whether they can also be called for memory of the caller's own that is registered (``InPlace/callers``).
  @usableFromInline package var reachesCallersMemory = false
  /// Whether ``Link/peek(_:)`` copies large segments from the peer's memory, so that an ``Link/offer(_:_:_:_:_:)`` has to
  /// come before it.
  @usableFromInline package var fetches = false
  /// Links with the same non-zero group can hand one copy of a segment to several peers: see ``InPlaceLink/sendShared``.
  @usableFromInline package var shareGroup: UInt32 = 0
  /// The ways that a large segment may travel, whichever is fastest. Without ``SegmentWays/held``, those to one peer stay
  /// where they are, if the peer can read them there.
  @usableFromInline package var ways: SegmentWays = []

  @inlinable package init() {}

  @inlinable
  package init(
    shareGroup: UInt32 = 0, reachesRegisteredMemory: Bool = false, reachesCallersMemory: Bool = false, fetches: Bool = false,
    ways: SegmentWays = []
  ) {
    self.reachesRegisteredMemory = reachesRegisteredMemory
    self.reachesCallersMemory = reachesCallersMemory
    self.fetches = fetches
    self.shareGroup = shareGroup
    self.ways = ways
  }
}

/// A link whose peer reads or writes memory where it lies: registered memory, the sources of segments, or one copy that
/// several peers share.
///
/// The engine calls what an ability of ``Link/inPlace`` stands for, and nothing else, so a subclass overrides what it
/// claims.
open class InPlaceLink: Link {
  /// Whether callers' memory has been taken back. ``Link/revoke(_:lost:)`` sets it.
  package internal(set) final var isRevoked = false

  package init(
    peer: Int, transport: TransportKind, segmentBytesMax: Int, needsProgress: Bool, composesInPlace: Bool,
    abilities: InPlaceAbilities
  ) {
    super.init(
      inPlace: abilities, peer: peer, transport: transport, segmentBytesMax: segmentBytesMax, needsProgress: needsProgress,
      composesInPlace: composesInPlace)
  }

  /// Sends to this link's peer the segment that `original`, of the same ``InPlaceAbilities/shareGroup``, has just sent on
  /// the same lane with the given sequence number, without another copy of the payload. Precondition: ``Link/canSend(_:)``.
  /// The source is free when `original` and this link say so.
  open func sendShared(
    _ lane: Int, _ call: CallSignature, _ count: UInt64, _ bytes: Int, original: Link, originalSequence: UInt64
  ) -> UInt64 { failIncapable("share a segment") }

  // MARK: Registered memory

  /// Whether the next segment of `lane`, which lies in registered memory, should wait a moment because the peer will say
  /// where it may be written. Asks the peer, if it has not been asked.
  ///
  /// The peer answers as soon as the segment is the next of a receive that it has come to, with a grant or with
  /// ``declineGrants(_:_:)``: so the sender waits no longer than it would with a credit of one segment.
  open func awaitsGrant(_ lane: Int, _ bytes: Int) -> Bool { false }

  /// Answers a peer that has asked (``LinkStatus/asked``) for the next segment of `lane`: the sender sends it and the
  /// `segments - 1` that follow as usual, except those that were granted before.
  open func declineGrants(_ lane: Int, _ segments: UInt64) {}

  /// Sends a segment that lies in this rank's ``RegisteredMemory``: the peer reads it where it is. Precondition:
  /// ``Link/canSend(_:)``.
  ///
  /// - Parameter offset: Where it begins in the arena.
  /// - Returns: The segment's sequence number on this lane; its source is free when ``Link/released(_:)`` reaches it.
  open func sendRegistered(
    _ lane: Int, _ call: CallSignature, _ count: UInt64, _ offset: UInt64, _ bytes: Int
  ) -> UInt64 { failIncapable("send registered memory") }

  /// Lets the peer write a coming segment of `lane` into this rank's ``RegisteredMemory``. The peer may do so or not; where
  /// it has, ``Arrival/placed`` says so.
  ///
  /// - Parameters:
  ///   - ahead: Which segment: 0 for the next that ``Link/peek(_:)`` shows, up to `Lane.credit - 1`; in this order.
  ///   - offset: Where its bytes go in the arena. The peer may write them until the segment has arrived.
  open func grant(_ lane: Int, _ ahead: Int, _ offset: UInt64, _ bytes: Int) {}

  /// The peer's memory for the next segment of `lane`, where it has granted that and this rank can write there by itself;
  /// nil otherwise. Precondition: ``Link/canSend(_:)``. Call ``commitPlacement(_:_:_:_:)`` or ``cancelPlacement(_:)`` right
  /// after it: a peer that fails meanwhile waits for that.
  open func placement(_ lane: Int, _ bytes: Int) -> UnsafeMutableRawPointer? { nil }

  /// Sends the segment that was written to the memory of ``placement(_:_:)``. Its sources are free at once.
  open func commitPlacement(_ lane: Int, _ call: CallSignature, _ count: UInt64, _ bytes: Int) -> UInt64 {
    failIncapable("send what was placed")
  }

  /// Gives the memory of ``placement(_:_:)`` back: nothing is sent.
  open func cancelPlacement(_ lane: Int) {}

  /// Whether what was read of an ``Arrival/borrowed`` segment is what its sender meant. It is false once the sender has
  /// failed and taken its memory back; the link has then failed too. Ask after the last read, and before passing on anything
  /// made from it.
  open func isIntact(_ lane: Int) -> Bool { true }

  // MARK: After a failure

  /// Begins to end the peer's access to callers' memory after a failure. The peer will not use what it still reads of that
  /// memory, registered or the source of a held send. Called once; never blocks.
  open func startRevoking() {}

  /// Whether the peer writes no more. Never blocks; the caller asks again, for a bounded time.
  ///
  /// - Parameter peerIsLost: Whether the peer has died, and so does nothing more by itself.
  open func hasRevoked(peerIsLost: Bool) -> Bool { true }
}
