import TuttiTransport

/// The layout of a link's memory, the same at both ends, so that an offset here is an offset there:
/// - the *inbox*: for each lane ``Lane/credit`` slots, which the peer writes;
/// - the *outbox*: as many slots, from which this rank sends;
/// - the *grants*: for each lane ``Lane/credit`` entries and a count, which the peer writes; and this rank's own of these,
///   to be sent from.
///
/// A slot holds a ``RDMAHeader`` and, right behind it, the payload, aligned to 64 bytes.
struct RDMALayout: Equatable, Sendable {
  static let payloadOffset = 64
  static let headerOffset = payloadOffset - RDMAHeader.byteCount
  static let grantBytes = 64
  /// The bytes of a lane's entries and of the line that says what was declined.
  static let grantLaneBytes = (Lane.credit + 1) * grantBytes

  /// The slot of a segment among its lane's.
  @inline(__always)
  static func slotIndex(_ sequence: UInt64) -> Int { Int((sequence &- 1) & UInt64(Lane.credit - 1)) }

  /// The most queue pairs of a link.
  static let queuePairsMax = 8

  let segmentBytesMax: Int
  let slotBytes: Int

  init(segmentBytesMax: Int) {
    self.segmentBytesMax = segmentBytesMax
    slotBytes = (Self.payloadOffset + segmentBytesMax + 63) & ~63
  }

  /// The largest segment between `rankCount` ranks: a link takes pinned memory for 40 of them.
  static func segmentBytesMax(rankCount: Int) -> Int {
    let budget = 128 << 20
    var bytes = 256 << 10
    while bytes > 8 << 10, bytes * 2 * Lane.count * Lane.credit * (rankCount - 1) > budget { bytes /= 2 }
    return bytes
  }

  private var boxBytes: Int { Lane.count * Lane.credit * slotBytes }
  private var grantsOffset: Int { 2 * boxBytes }

  func inbox(_ lane: Int, _ slot: Int) -> Int { (lane * Lane.credit + slot) * slotBytes }
  func outbox(_ lane: Int, _ slot: Int) -> Int { boxBytes + inbox(lane, slot) }
  /// The offset of what the peer has granted.
  func grants(_ lane: Int) -> Int { grantsOffset + lane * Self.grantLaneBytes }
  /// The offset of what this rank is about to tell the peer of grants.
  func ownGrants(_ lane: Int) -> Int { grantsOffset + (Lane.count + lane) * Self.grantLaneBytes }

  var totalBytes: Int { (grantsOffset + 2 * Lane.count * Self.grantLaneBytes + 4095) & ~4095 }
}

/// The header of 32 bytes, little-endian, that precedes a segment's payload.
///
/// | offset | bits | field |
/// | --- | --- | --- |
/// | 0 | 64 | call signature |
/// | 8 | 64 | element count |
/// | 16 | 32 | payload bytes |
/// | 20 | 32 | acknowledged: segments of this lane that the sender has consumed, modulo 2^32 |
/// | 24 | 32 | sequence on this lane and direction, from 1, modulo 2^32 |
/// | 28 | 32 | 0: the payload follows; 1: it lies where the receiver has granted it |
enum RDMAHeader {
  static let byteCount = 32
  static let follows: UInt32 = 0
  static let granted: UInt32 = 1
}

/// The 32 bits that tell the receiver what has come: kind (4 bits), lane (4 bits), and a number modulo 2^24.
struct RDMAImmediate: Equatable {
  enum Kind: UInt32 {
    /// A segment: its sequence.
    case data = 1
    /// The number of segments of the lane that the sender of this has consumed.
    case credit = 2
    /// The sender asks where the segment with this sequence may be written.
    case question = 3
    /// The answer is in the grants.
    case answer = 4
    /// The last message: the sender has closed its end, and everything it sent has arrived.
    case goodbye = 5
  }

  static let numberMask: UInt64 = 0xFF_FFFF

  var rawValue: UInt32

  init(rawValue: UInt32) { self.rawValue = rawValue }

  init(_ kind: Kind, lane: Int, number: UInt64) {
    rawValue =
      kind.rawValue << 28 | UInt32(truncatingIfNeeded: lane) << 24 | UInt32(truncatingIfNeeded: number & Self.numberMask)
  }

  var kind: Kind? { Kind(rawValue: rawValue >> 28) }
  var lane: Int { Int(rawValue >> 24 & 15) }
  /// The full number that is at or after `base`, less than 2^24 away.
  func number(from base: UInt64) -> UInt64 { base &+ ((UInt64(rawValue) &- base) & Self.numberMask) }
}
