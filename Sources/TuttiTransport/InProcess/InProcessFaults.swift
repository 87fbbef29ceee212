import Glibc
import TuttiSystem

/// Says how an in-process link misbehaves. Everything it does is allowed by ``Link``'s contract; an engine or a schedule
/// that breaks under it has relied on luck.
///
/// What happens to a segment is a function of the seed, the two ranks, direction, lane and sequence number alone, so a
/// failing run is replayed by its seed. A *poll* is a call that looks for progress on the lane.
package struct InProcessFaults: Sendable {
  package var seed: UInt64
  /// A late arrival stays hidden for up to this many polls. One arrival in four is late.
  package var latePollsMax = 40
  /// Another one in eight stays hidden for up to this time instead.
  package var lateMicrosecondsMax = 200
  /// Payloads are read in up to this many pieces, one a poll, so the sender's source is read late.
  package var piecesMax = 4
  /// The sender sees one credit or released source in four late, by up to this many polls.
  package var returnPollsMax = 20
  /// One link in this many is slow; 0 for none.
  package var slowOneIn = 4
  /// What delays are multiplied by on a slow link.
  package var slowFactor = 10
  /// The link breaks when an end is about to send its segment of this number, counted over all lanes from 1.
  package var severAtSegment: UInt64?

  package init(seed: UInt64) { self.seed = seed }

  /// The longest a waiter may sleep: nothing rings when a hidden arrival shows up.
  static let maximumParkNanoseconds: UInt64 = 1_000_000

  /// Mixes its arguments into one number (SplitMix64's finaliser over each in turn).
  static func mix(_ first: UInt64, _ second: UInt64, _ third: UInt64) -> UInt64 {
    func step(_ state: UInt64, _ value: UInt64) -> UInt64 {
      SeededGenerator.mixed((state ^ value) &+ 0x9E37_79B9_7F4A_7C15)
    }
    return step(step(step(0, first), second), third)
  }
}

/// One end's faults: the segments being taken in piece by piece, and how far behind the sender's view is.
///
/// Owned by the link; used under the same lock. Delays of credit and release are at the end that waits for them, never
/// at the end that grants them, because a rank that has finished its part no longer polls.
final class InProcessFaultState {
  enum View { case credit, release }

  private let faults: InProcessFaults
  private let factor: UInt64
  private let outgoingSeed: UInt64
  private let incomingSeed: UInt64
  private let lanes: UnsafeMutablePointer<InProcessFaultLane>
  private let staging: UnsafeMutableRawPointer
  private let segmentBytesMax: Int
  private var segmentsSent: UInt64 = 0

  init(_ faults: InProcessFaults, rank: Int, peer: Int, segmentBytesMax: Int) {
    self.faults = faults
    self.segmentBytesMax = segmentBytesMax
    let (low, high) = (UInt64(min(rank, peer)), UInt64(max(rank, peer)))
    let link = InProcessFaults.mix(faults.seed, low, high)
    let isSlow = faults.slowOneIn > 0 && link % UInt64(faults.slowOneIn) == 0
    factor = isSlow ? UInt64(faults.slowFactor) : 1
    outgoingSeed = InProcessFaults.mix(link, UInt64(rank), 0)
    incomingSeed = InProcessFaults.mix(link, UInt64(peer), 0)
    staging = .allocate(byteCount: max(1, Lane.count * segmentBytesMax), alignment: 64)
    lanes = .allocate(capacity: Lane.count)
    let nothing = Arrival(call: CallSignature(rawValue: 0), count: 0, payload: staging, bytes: 0, placed: false)
    lanes.initialize(repeating: InProcessFaultLane(arrival: nothing), count: Lane.count)
  }

  deinit {
    lanes.deallocate()
    staging.deallocate()
  }

  /// Counts a segment about to be sent. Returns whether the link breaks here.
  func countSeverance() -> Bool {
    segmentsSent += 1
    return segmentsSent == faults.severAtSegment
  }

  /// How many of the `consumed` segments the sender sees in this poll.
  func delayed(_ consumed: UInt64, _ lane: Int, _ view: View) -> UInt64 {
    let state = lanes + lane
    return view == .credit
      ? follow(consumed, seen: &state.pointee.creditSeen, polls: &state.pointee.creditPolls, salt: UInt64(lane) << 1)
      : follow(consumed, seen: &state.pointee.releaseSeen, polls: &state.pointee.releasePolls, salt: UInt64(lane) << 1 | 1)
  }

  /// `polls` counts down to showing one more; -1 before its delay was drawn.
  private func follow(_ actual: UInt64, seen: inout UInt64, polls: inout Int, salt: UInt64) -> UInt64 {
    while seen < actual {
      if polls < 0 {
        let draw = InProcessFaults.mix(outgoingSeed, salt, seen)
        polls = draw & 3 == 0 ? Int((draw >> 8) % UInt64(faults.returnPollsMax + 1) * factor) : 0
      }
      if polls > 0 {
        polls -= 1
        break
      }
      polls = -1
      seen += 1
    }
    return seen
  }

  /// What happened to the segment being taken in.
  enum Intake {
    case hidden, shown
    /// The caller has to copy the next piece of the payload now.
    case piece(into: UnsafeMutableRawPointer, from: Int, bytes: Int)
  }

  /// One poll for segment `sequence` of `lane`, which the slot describes.
  func poll(_ lane: Int, _ sequence: UInt64, _ described: Arrival) -> Intake {
    let state = lanes + lane
    let target = staging + lane * segmentBytesMax
    if state.pointee.sequence != sequence { begin(lane, sequence, described, target) }
    if state.pointee.polls > 0 {
      state.pointee.polls -= 1
      return .hidden
    }
    if state.pointee.notBefore != 0 {
      if monotonicNanoseconds() < state.pointee.notBefore { return .hidden }
      state.pointee.notBefore = 0
    }
    let from = state.pointee.copied
    if from == described.bytes { return .shown }
    let bytes = min(state.pointee.pieceBytes, described.bytes - from)
    state.pointee.copied = from + bytes
    return .piece(into: target + from, from: from, bytes: bytes)
  }

  private func begin(_ lane: Int, _ sequence: UInt64, _ described: Arrival, _ target: UnsafeMutableRawPointer) {
    let state = lanes + lane
    let draw = InProcessFaults.mix(incomingSeed, UInt64(lane), sequence)
    state.pointee.sequence = sequence
    state.pointee.copied = 0
    state.pointee.polls = draw & 3 == 0 ? Int((draw >> 8 & 0xFFFF) % UInt64(faults.latePollsMax + 1) * factor) : 0
    let microseconds = (draw >> 24 & 0xFFFF) % UInt64(faults.lateMicrosecondsMax + 1) * factor
    state.pointee.notBefore = draw & 7 == 1 ? monotonicNanoseconds() + microseconds * 1000 : 0
    let pieces = Int((draw >> 40) % UInt64(max(1, faults.piecesMax))) + 1
    state.pointee.pieceBytes = max(1, (described.bytes + pieces - 1) / pieces)
    state.pointee.arrival = described
    state.pointee.arrival.payload = UnsafeRawPointer(target)
  }

  /// The segment that was taken in. Its payload lies in this object's memory.
  func arrival(_ lane: Int) -> UnsafePointer<Arrival> {
    UnsafeRawPointer(lanes + lane).assumingMemoryBound(to: Arrival.self)
  }

  /// Forgets a segment that was consumed, so that the next one's faults are drawn.
  func forget(_ lane: Int) { lanes[lane].sequence = 0 }
}

/// One lane's share of ``InProcessFaultState``.
struct InProcessFaultLane {
  /// The segment as it is shown. First, so that a pointer to the lane is a pointer to it.
  var arrival: Arrival
  /// The segment being taken in; 0 when none is.
  var sequence: UInt64 = 0
  var polls = 0
  /// Hidden until this time (monotonic nanoseconds); 0 for no such limit.
  var notBefore: UInt64 = 0
  var copied = 0
  var pieceBytes = 1
  var creditSeen: UInt64 = 0
  var creditPolls = -1
  var releaseSeen: UInt64 = 0
  var releasePolls = -1

  init(arrival: Arrival) { self.arrival = arrival }
}

extension InProcessLink {
  /// Polls every lane once, so that hidden segments of a lane nobody looks at come nearer too.
  func progress(_ faults: InProcessFaultState) {
    for lane in 0..<Lane.count { _ = peek(lane, faults) }
  }

  /// Polls once: takes in a piece of the oldest segment, and shows it once all of it is in and its time has come.
  func peek(_ lane: Int, _ faults: InProcessFaultState) -> UnsafePointer<Arrival>? {
    guard let slot = next(lane) ?? lastLook(lane) else { return nil }
    switch faults.poll(lane, lanes[lane].consumed &+ 1, slot.pointee.arrival) {
    case .shown: return faults.arrival(lane)
    case .hidden: return nil
    case .piece(let target, let from, let bytes):
      guard startReading(lane, slot) else { return nil }
      memcpy(target, slot.pointee.arrival.payload + from, bytes)
      lanes[lane].incomingReceiver.pointee.reading.store(0, ordering: .releasing)
      return nil
    }
  }
}
