#if RDMA
  import Synchronization
  import TuttiTransport

  /// What the two ends of a link tell each other of places in registered memory: grants, questions and answers.
  ///
  /// The receiver of a lane *grants* the sender places for coming segments, which it writes to the sender's table. A sender
  /// that finds no grant for its next segment may *ask*. It is *answered* by a grant, or by the number of the last segment
  /// that is *declined*, which lies behind the entries of the lane: that segment and all before it go to their slots.
  ///
  /// A link has one, and whoever holds the engine's lock uses it. The methods decide and write; what they return, the link
  /// sends. An entry of the table, little-endian:
  ///
  /// | offset | bits | field |
  /// | --- | --- | --- |
  /// | 0 | 64 | sequence of the segment |
  /// | 8 | 64 | address |
  /// | 16 | 32 | bytes |
  /// | 20 | 32 | key of the memory |
  /// | 32 | 64 | sequence, again |
  struct RDMAGrants {
    /// What is to be written to the peer's table, and where that is: an offset in the memory of the link.
    struct Line {
      let source: UnsafeMutableRawPointer
      let bytes: Int
      let offset: Int
    }

    private struct LaneState {
      /// The last segment the peer was asked about.
      var asked: UInt64 = 0
      /// The last segment that was granted, and that was declined, to the peer; and that it has asked about.
      var granted: UInt64 = 0
      var declined: UInt64 = 0
      var peerAsked: UInt64 = 0
    }

    /// Where the peer may write one segment.
    private struct Place {
      var sequence: UInt64 = 0
      var bytes = 0
    }

    private static let declinedOffset = Lane.credit * RDMALayout.grantBytes

    private let layout: RDMALayout
    /// The link's: the peer writes its part of the grants.
    private let memory: UnsafeMutableRawPointer
    private let lanes: UnsafeMutablePointer<LaneState>
    /// For each lane's ``Lane/credit`` slots: what was granted to the peer. The table is not believed: the peer could have
    /// altered it.
    private let places: UnsafeMutablePointer<Place>

    /// - Parameter memory: Of that layout, zero at first. It must outlive this.
    init(_ layout: RDMALayout, _ memory: UnsafeMutableRawPointer) {
      self.layout = layout
      self.memory = memory
      lanes = .allocate(capacity: Lane.count)
      lanes.initialize(repeating: LaneState(), count: Lane.count)
      places = .allocate(capacity: Lane.count * Lane.credit)
      places.initialize(repeating: Place(), count: Lane.count * Lane.credit)
    }

    func deallocate() {
      lanes.deallocate()
      places.deallocate()
    }

    // MARK: What the peer grants

    private func entry(_ lane: Int, _ sequence: UInt64) -> UnsafeMutableRawPointer {
      memory + layout.grants(lane) + RDMALayout.slotIndex(sequence) * RDMALayout.grantBytes
    }

    /// Whether the peer has granted a place for a segment, of whatever size.
    private func isGrantedByPeer(_ lane: Int, _ sequence: UInt64) -> Bool {
      let entry = entry(lane, sequence)
      // The number is at both ends, so that a partly written entry does not count.
      return Self.load(entry) == sequence && Self.load(entry + 32) == sequence
    }

    /// The memory that the peer has granted for a segment of this size.
    func peerPlace(_ lane: Int, _ sequence: UInt64, _ bytes: Int) -> (address: UInt64, key: UInt32)? {
      let entry = entry(lane, sequence)
      guard isGrantedByPeer(lane, sequence),
        entry.load(fromByteOffset: 16, as: UInt32.self) == UInt32(truncatingIfNeeded: bytes)
      else { return nil }
      return (entry.load(fromByteOffset: 8, as: UInt64.self), entry.load(fromByteOffset: 20, as: UInt32.self))
    }

    /// Whether the peer has said where a segment goes. A grant of another size is an answer too: the segment goes to its
    /// slot, and the peer reports what differs.
    func isAnswered(_ lane: Int, _ sequence: UInt64) -> Bool {
      isGrantedByPeer(lane, sequence) || Self.load(memory + layout.grants(lane) + Self.declinedOffset) >= sequence
    }

    /// Returns whether the peer has still to be asked about a segment. It then counts as asked.
    func ask(_ lane: Int, _ sequence: UInt64) -> Bool {
      if lanes[lane].asked >= sequence { return false }
      lanes[lane].asked = sequence
      return true
    }

    /// The last segment that the peer is asked about.
    func question(_ lane: Int) -> UInt64 { lanes[lane].asked }

    // MARK: What is granted to the peer

    /// Whether a segment may be granted: each is once, in order.
    func mayGrant(_ lane: Int, _ sequence: UInt64) -> Bool { sequence > lanes[lane].granted }

    /// Grants the place of a segment.
    func grant(_ lane: Int, _ sequence: UInt64, _ address: UInt64, _ bytes: Int, key: UInt32) -> Line {
      let slot = RDMALayout.slotIndex(sequence)
      lanes[lane].granted = sequence
      places[lane * Lane.credit + slot] = Place(sequence: sequence, bytes: bytes)
      let entry = memory + layout.ownGrants(lane) + slot * RDMALayout.grantBytes
      entry.storeBytes(of: sequence, as: UInt64.self)
      entry.storeBytes(of: address, toByteOffset: 8, as: UInt64.self)
      entry.storeBytes(of: UInt32(truncatingIfNeeded: bytes), toByteOffset: 16, as: UInt32.self)
      entry.storeBytes(of: key, toByteOffset: 20, as: UInt32.self)
      entry.storeBytes(of: sequence, toByteOffset: 32, as: UInt64.self)
      return Line(source: entry, bytes: 40, offset: layout.grants(lane) + slot * RDMALayout.grantBytes)
    }

    /// Whether a segment of this size may have come to a place that was granted.
    func isGranted(_ lane: Int, _ sequence: UInt64, _ bytes: Int) -> Bool {
      let place = places[lane * Lane.credit + RDMALayout.slotIndex(sequence)]
      return place.sequence == sequence && place.bytes == bytes
    }

    /// Whether the peer's last question is about this segment.
    func peerAsked(_ lane: Int, about sequence: UInt64) -> Bool { lanes[lane].peerAsked == sequence }

    /// Takes the peer's question about a segment. Returns whether the answer is known: a grant or a decline may have crossed
    /// the question.
    func takeQuestion(_ lane: Int, _ sequence: UInt64) -> Bool {
      lanes[lane].peerAsked = sequence
      return places[lane * Lane.credit + RDMALayout.slotIndex(sequence)].sequence == sequence
        || lanes[lane].declined >= sequence
    }

    /// Declines all segments up to this one. Returns whether that answers the peer's last question.
    func decline(_ lane: Int, through sequence: UInt64) -> Bool {
      lanes[lane].declined = max(lanes[lane].declined, sequence)
      return lanes[lane].declined >= lanes[lane].peerAsked
    }

    /// Writes which segments are declined. The peer sees grants by itself.
    func answer(_ lane: Int) -> Line {
      let line = memory + layout.ownGrants(lane) + Self.declinedOffset
      line.storeBytes(of: lanes[lane].declined, as: UInt64.self)
      return Line(source: line, bytes: 8, offset: layout.grants(lane) + Self.declinedOffset)
    }

    @inline(__always)
    private static func load(_ address: UnsafeMutableRawPointer) -> UInt64 {
      // The device writes there.
      address.assumingMemoryBound(to: DeviceWord.self).pointee.load(ordering: .acquiring)
    }
  }
#endif
