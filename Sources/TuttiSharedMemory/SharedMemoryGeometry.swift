import TuttiTransport

/// The layout of a rank's shared region: a pure function of the number of ranks on the host, equal on all of them.
///
/// Only its owner writes a region, and the others map it read-only, so that no peer can damage what a rank publishes. It
/// holds, from offset 0:
/// - the header: the owner's parked flag, whether it has closed its links, and whether it has taken its registered memory
///   back;
/// - for each (peer, lane) a *ring*: ``Lane/credit`` slots of 128 bytes, the line in which the owner counts what it has
///   consumed from that peer on that lane, and the line of its ``Grants``;
/// - for each (peer, lane) ``Lane/credit`` *windows* of ``windowBytes`` for payloads that do not fit a slot.
package struct SharedMemoryGeometry: Equatable, Sendable {
  /// Two cache lines: neighbouring slots do not share what the adjacent-line prefetcher fetches.
  package static let slotBytes = 128
  /// Sequence, call, count, size and acknowledgement.
  package static let slotHeaderBytes = 32
  /// The bytes of payload that ride in the slot, the first 32 of them in the flag's own cache line.
  package static let inlineBytes = slotBytes - slotHeaderBytes
  package static let headerBytes = 4096
  package static let ringBytes = Lane.count * laneBytes
  private static let laneBytes = (Lane.credit + 2) * slotBytes

  /// The line in which the owner says where a peer may write coming segments, and that it is writing one into the peer's
  /// memory: for each slot the number of the segment (stored last), the offset in the owner's registered memory, and the
  /// bytes; then the writing flag.
  package enum Grants {
    package static let entryBytes = 24
    package static let writing = Lane.credit * entryBytes
    /// On lane 0, a word that says that the owner can read the peer's memory with process_vm_readv(2).
    package static let reads = writing + 8
  }

  /// The word in a slot that does not hold the segment itself. It is the offset of a window in the sender's region; or, with
  /// a bit set, the offset in the sender's registered memory, the address in its process, or the statement that the segment
  /// lies where the receiver has granted it.
  package enum Reference {
    package static let registered: UInt64 = 1 << 63
    package static let placed: UInt64 = 1 << 62
    /// The other bits are an address in the sender's process.
    package static let address: UInt64 = 1 << 61
  }

  /// The number of ranks on this host, including the owner.
  package let rankCount: Int
  /// The largest payload of a segment.
  package let windowBytes: Int

  /// - Parameter windowBytesMax: An upper bound on the window, for tests and tuning; a power of two.
  package init(rankCount: Int, windowBytesMax: Int = 256 << 10) {
    self.rankCount = rankCount
    // Windows must stay in cache, and a rank's own memory small with many peers. The lane of send and receive does not
    // count: it must not shrink the windows of the collectives, and whoever does not use it never touches its pages.
    let budget = 6 << 20
    let windowCount = max(1, rankCount - 1) * Lane.pointToPoint * Lane.credit
    // The size is a power of two, or halfway to the next.
    var bytes = 4096
    while bytes < windowBytesMax {
      let next =
        bytes.nonzeroBitCount == 1 && bytes >= 8192 ? bytes / 2 * 3 : bytes.nonzeroBitCount == 1 ? bytes * 2 : bytes / 3 * 4
      if next * windowCount > budget { break }
      bytes = next
    }
    windowBytes = bytes
  }

  /// The bytes of the whole region, which is touched only as far as it is used.
  package var regionBytes: Int { windowsOffset + rankCount * Lane.count * Lane.credit * windowBytes }

  private var windowsOffset: Int {
    (Self.headerBytes + rankCount * Self.ringBytes + 4095) & ~4095
  }

  /// Offset of the slots the owner writes for `peer` (an index among the host's ranks) on `lane`.
  package func slots(peer: Int, lane: Int) -> Int {
    Self.headerBytes + peer * Self.ringBytes + lane * Self.laneBytes
  }

  /// Offset of the owner's count of segments it has consumed from `peer` on `lane`.
  package func acknowledgement(peer: Int, lane: Int) -> Int {
    slots(peer: peer, lane: lane) + Lane.credit * Self.slotBytes
  }

  /// Offset of the owner's grants to `peer` on `lane`, see ``Grants``.
  package func grants(peer: Int, lane: Int) -> Int {
    acknowledgement(peer: peer, lane: lane) + Self.slotBytes
  }

  /// Offset of the owner's windows for `peer` on `lane`.
  package func windows(peer: Int, lane: Int) -> Int {
    windowsOffset + (peer * Lane.count + lane) * Lane.credit * windowBytes
  }
}
