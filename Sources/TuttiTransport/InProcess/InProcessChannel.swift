import CTuttiLinux
import Glibc
import Synchronization
import TuttiSystem

/// What the two ends of an in-process link share: a ring of descriptors for each direction and lane, and the windows in
/// which copied and composed segments travel.
///
/// Owned by both ends together and freed with the second. A *side* is 0 or 1; side s sends in direction s. Invariants: a
/// slot is written by the sender only while its sequence number is consumed or never used, and published by storing its
/// number with release order; the receiver gives it back by storing its count of consumed segments with release order.
final class InProcessChannel: @unchecked Sendable {
  // @unchecked: shared fields are atomic; every other field of a slot is handed over by an atomic store and load.

  /// Whether an end is closed (bits 0 and 1, by side) or the link was severed.
  let condition: UnsafeMutablePointer<Atomic<UInt32>>
  static let severed: UInt32 = 4
  let credit: Int
  let segmentBytesMax: Int
  private let slots: UnsafeMutablePointer<InProcessSlot>
  private let receivers: UnsafeMutablePointer<InProcessReceiver>
  private let windows: UnsafeMutableRawPointer
  private let windowBytes: Int
  private let mappedBytes: Int
  private static let laneCount = 2 * Lane.count

  init(segmentBytesMax: Int) throws(FailureReport) {
    precondition(MemoryLayout<InProcessSlot>.stride == 64 && MemoryLayout<InProcessReceiver>.stride == 128)
    precondition(Lane.credit & (Lane.credit - 1) == 0 && Lane.credit <= 32, "slots are found by masking, flags by shifting")
    credit = Lane.credit
    self.segmentBytesMax = segmentBytesMax
    let page = 4096
    windowBytes = (max(segmentBytesMax, 1) + page - 1) / page * page
    mappedBytes = Self.laneCount * Lane.credit * windowBytes
    // The memory is only reserved: a window costs memory once something is written into it.
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    guard let mapped = mmap(nil, mappedBytes, PROT_READ | PROT_WRITE, flags, -1, 0), mapped != MAP_FAILED else {
      throw FailureReport(
        .resources, "cannot reserve \(mappedBytes) bytes of address space for a link's windows",
        advice: "Raise the address space limit (ulimit -v)", transport: TransportKind.inProcess.name, systemError: errno)
    }
    windows = mapped
    // 128: x86 fetches cache lines in pairs.
    let conditionBytes = UnsafeMutableRawPointer.allocate(byteCount: 128, alignment: 128)
    condition = conditionBytes.bindMemory(to: Atomic<UInt32>.self, capacity: 1)
    condition.initialize(to: Atomic(0))
    let slotBytes = UnsafeMutableRawPointer.allocate(byteCount: Self.laneCount * Lane.credit * 64, alignment: 128)
    slots = slotBytes.bindMemory(to: InProcessSlot.self, capacity: Self.laneCount * Lane.credit)
    for index in 0..<Self.laneCount * Lane.credit { (slots + index).initialize(to: InProcessSlot(payload: mapped)) }
    let receiverBytes = UnsafeMutableRawPointer.allocate(byteCount: Self.laneCount * 128, alignment: 128)
    receivers = receiverBytes.bindMemory(to: InProcessReceiver.self, capacity: Self.laneCount)
    for index in 0..<Self.laneCount { (receivers + index).initialize(to: InProcessReceiver()) }
  }

  deinit {
    munmap(windows, mappedBytes)
    condition.deinitialize(count: 1)
    UnsafeMutableRawPointer(condition).deallocate()
    slots.deinitialize(count: Self.laneCount * credit)
    UnsafeMutableRawPointer(slots).deallocate()
    receivers.deinitialize(count: Self.laneCount)
    UnsafeMutableRawPointer(receivers).deallocate()
  }

  /// The ring of a direction's lane: `credit` slots.
  func ring(direction: Int, lane: Int) -> UnsafeMutablePointer<InProcessSlot> {
    slots + (direction * Lane.count + lane) * credit
  }

  /// What the receiver of a direction's lane tells its sender.
  func receiver(direction: Int, lane: Int) -> UnsafeMutablePointer<InProcessReceiver> {
    receivers + (direction * Lane.count + lane)
  }

  /// The windows of a direction's lane: `credit` of them, `windowStride` apart.
  func window(direction: Int, lane: Int) -> UnsafeMutableRawPointer {
    windows + (direction * Lane.count + lane) * credit * windowBytes
  }

  var windowStride: Int { windowBytes }
}

/// One segment's descriptor, in a cache line of its own together with the flag that publishes it.
struct InProcessSlot: ~Copyable {
  /// First, so that a pointer to the slot is a pointer to it.
  var arrival: Arrival
  /// The sequence number of the segment described above; 0 before the first.
  let sequence = Atomic<UInt64>(0)
  /// The payload is the sender's source, not a window.
  var held = false
  private let padding: UInt64 = 0

  init(payload: UnsafeRawPointer) {
    arrival = Arrival(call: CallSignature(rawValue: 0), count: 0, payload: payload, bytes: 0, placed: false)
  }
}

/// What a receiver tells its sender, apart from everything the sender writes.
struct InProcessReceiver: ~Copyable {
  /// Segments of this lane and direction that were consumed.
  let consumed = Atomic<UInt64>(0)
  /// Whether the receiver may be reading the sender's source.
  let reading = Atomic<UInt32>(0)
  private let padding: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0)
  private let neighbour: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0)
}

/// One end's view of a lane, both directions. Plain memory that only this end touches; the pointers lead into the channel.
struct InProcessLane {
  let outgoing: UnsafeMutablePointer<InProcessSlot>
  let outgoingReceiver: UnsafeMutablePointer<InProcessReceiver>
  let window: UnsafeMutableRawPointer
  let windowStride: Int
  let incoming: UnsafeMutablePointer<InProcessSlot>
  let incomingReceiver: UnsafeMutablePointer<InProcessReceiver>
  var sent: UInt64 = 0
  /// Consumed segments as last seen, so that the peer's cache line is only read when credit seems to be used up.
  var creditSeen: UInt64 = 0
  var releaseSeen: UInt64 = 0
  /// By slot (bits): whether the segment last sent there reads its source.
  var heldFlags: UInt32 = 0
  /// Incoming segments consumed.
  var consumed: UInt64 = 0

  init(_ channel: InProcessChannel, side: Int, lane: Int) {
    outgoing = channel.ring(direction: side, lane: lane)
    outgoingReceiver = channel.receiver(direction: side, lane: lane)
    window = channel.window(direction: side, lane: lane)
    windowStride = channel.windowStride
    incoming = channel.ring(direction: 1 - side, lane: lane)
    incomingReceiver = channel.receiver(direction: 1 - side, lane: lane)
  }
}
