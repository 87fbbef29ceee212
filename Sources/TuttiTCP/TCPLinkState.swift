import Glibc
import TuttiSystem
import TuttiTransport

/// One lane's counters, both directions. Plain memory: only whoever holds the engine's lock touches it.
///
/// Invariant: `acknowledged <= sent <= acknowledged + credit`, `announced <= consumed <= received <= announced + credit`.
struct TCPLane {
  // Segments going out.
  var sent: UInt64 = 0
  /// How many of them the peer said it has consumed.
  var acknowledged: UInt64 = 0

  // Segments coming in.
  var received: UInt64 = 0
  var consumed: UInt64 = 0
  /// How many of the consumed ones the peer has been told of.
  var announced: UInt64 = 0

  /// The sequence number of the segment that the engine offered a destination for; 0 when nothing is offered.
  var offeredSequence: UInt64 = 0
  var offeredCall: UInt64 = 0
  var offeredCount: UInt64 = 0
  var offeredBytes = 0
  var offeredDestination: UnsafeMutableRawPointer?
}

/// What is in the middle of being written or read.
struct TCPLinkState {
  // Writing. At most one piece is unfinished; nothing else is sent before it.
  /// Nothing is unfinished, and the connection takes output.
  var canWrite = true
  var pendingHead: UnsafeRawPointer?
  var pendingHeadBytes = 0
  var pendingBody: UnsafeRawPointer?
  var pendingBodyBytes = 0
  /// The lane whose segment is unfinished; -1 when none is.
  var pendingLane = -1
  /// The cause (`errno`) once output failed. What the peer sent before is still read, and only then the link fails.
  var sendError: Int32 = 0
  /// Lanes (bits) on which half the credit or more has not been given back.
  var creditDue: UInt32 = 0

  // Reading. `start..<end` of the current chunk has come and was not parsed.
  var chunk = 0
  var start = 0
  var end = 0
  /// Read headers alone, because the last segment was large and the next is probably large too.
  var exactHeaders = false
  /// Bytes of the current large segment that have not come; 0 when there is none.
  var restBytes = 0
  var restTarget: UnsafeMutableRawPointer?
  var restLane = 0
  var restHome: Int32 = 0
  var restArrival: Arrival

  /// Bytes that must have come before the socket counts as readable.
  var wakingBytes: Int32 = 1

  /// Staging slots (bits) that hold nothing.
  var freeSlots: UInt64
  /// The peer has been told that no more will come.
  var hasEnded = false
  var closed = false
}

/// The memory of a link. Its arrivals lie in chunks, into which small segments are read many at a time, and in slots of one
/// large segment each. Its own segments are composed in one frame for each lane.
///
/// All of it is reserved as one mapping, so that memory is only spent on what is used, and none is allocated later; the
/// lowest free chunk and slot are used first, so that a receiver that keeps up stays within memory that is in its cache. An
/// arrival never moves. There are never fewer free than needed: the receiver grants `outstandingMax` segments, each of which
/// holds one slot or keeps one chunk in use, and two more chunks are there: the current one, and one to go on in. A lane
/// needs no more than one frame to compose in, whatever its credit: nothing is reserved while a frame is partly written, and
/// the kernel copies what it takes.
struct TCPLinkMemory {
  static let chunkBytes = 64 << 10
  /// Segments up to this size are read together with their neighbours and stay where they were read.
  static let smallBytesMax = 16 << 10
  /// The bytes before a composed payload: padding that aligns it and, right before it, its header.
  private static let frameLeadBytes = 64

  let base: UnsafeMutableRawPointer
  let mappedBytes: Int
  let chunkCount: Int
  let slotBytes: Int
  private let frameBytes: Int
  private let outstandingMax: Int
  /// Arrivals not yet consumed, per chunk.
  let chunkUse: UnsafeMutablePointer<Int32>

  init(laneCount: Int, outstandingMax: Int, segmentBytesMax: Int) throws(FailureReport) {
    let page = 4096
    self.outstandingMax = outstandingMax
    // Each arrival may pin a chunk of its own, one more holds the beginning of the next frame, and one is read into.
    chunkCount = outstandingMax + 2
    slotBytes = (max(segmentBytesMax, 1) + page - 1) / page * page
    frameBytes = slotBytes + page
    mappedBytes = chunkCount * Self.chunkBytes + outstandingMax * slotBytes + laneCount * frameBytes
    let protection = PROT_READ | PROT_WRITE
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    guard let mapped = mmap(nil, mappedBytes, protection, flags, -1, 0), mapped != MAP_FAILED else {
      throw FailureReport(
        .resources, "cannot reserve \(mappedBytes) bytes of address space for a link's segments",
        advice: "Raise the address space limit (ulimit -v)", transport: TCPTransport.kind.name, systemError: errno)
    }
    base = mapped
    chunkUse = .allocate(capacity: chunkCount)
    chunkUse.initialize(repeating: 0, count: chunkCount)
  }

  func deallocate() {
    munmap(base, mappedBytes)
    chunkUse.deallocate()
  }

  @inline(__always) func chunk(_ index: Int) -> UnsafeMutableRawPointer { base + index * Self.chunkBytes }
  @inline(__always) func slot(_ index: Int) -> UnsafeMutableRawPointer {
    base + (chunkCount * Self.chunkBytes + index * slotBytes)
  }

  /// Where the payload of a lane's composed frame lies; its header goes right before it.
  @inline(__always) func composed(_ lane: Int) -> UnsafeMutableRawPointer {
    slot(outstandingMax) + (lane * frameBytes + Self.frameLeadBytes)
  }

  /// A chunk that holds no arrival, other than `current`.
  func freeChunk(besides current: Int) -> Int {
    for index in 0..<chunkCount where chunkUse[index] == 0 && index != current { return index }
    preconditionFailure("more arrivals than granted")
  }
}
