/// A schedule lowered for a number of elements: what the engine executes and the verifier checks.
///
/// Everything is in bytes, and nothing points anywhere: buffers are named by ``Plan/Memory``, peers by rank. A step moves
/// its bytes as a stream, segment by segment, with one cursor; it is not unrolled. Segment boundaries follow from the
/// message's range sizes and ``segmentBytes`` alone, so both ends of a message agree on them.
///
/// The engine reads these very types in its loop, from raw memory: enumerations are frozen, and compared by `case`, since
/// `==` of another module's enumeration is a call.
package struct Plan: Hashable, Sendable {
  /// The number of a buffer: 0 is the input, 1 the output, 2 and up scratch. The last number stands for what is forwarded,
  /// which is stored nowhere.
  package typealias Memory = UInt32

  /// The part of a buffer's layout for which there is memory.
  package struct BufferRange: Hashable, Sendable {
    /// Byte offset in the layout of the first byte. Extents count from it.
    package var base: UInt64 = 0
    package var bytes: UInt64 = 0
  }

  @frozen @usableFromInline
  package enum Kind: UInt8, Sendable {
    /// Reads its stream and sends it to each of its peers.
    case send
    /// Receives into its stream.
    case receive
    /// Combines its sources into its stream.
    case combine
  }

  /// A contiguous part of a step's stream.
  package struct Extent: Hashable, Sendable {
    package var memory: Memory
    /// Byte offset in the buffer.
    package var offset: UInt64
    package var bytes: UInt64
  }

  package struct Step: Hashable, Sendable {
    package var kind: Kind
    /// The schedule's channel; ``Channel/lane(_:)`` gives its lane among those of the operation.
    package var channel: UInt8
    /// Send: ``SourceLifetime/copied``.
    package var copied = false
    /// Combine, receive: nothing reads the destination soon, so it may be stored past the cache.
    package var streaming = false
    /// Total bytes of the stream.
    package var bytes: UInt64 = 0
    /// Segments of the stream; at least 1: an empty message is one empty segment.
    package var segmentCount: UInt64 = 1
    /// Extents of the stream: the destination, or what a send reads.
    package var extents: Range<Int32> = 0..<0
    /// Send: ranks in `peers`. Receive: one rank.
    package var peers: Range<Int32> = 0..<0
    /// Combine: operands, in order.
    package var sources: Range<Int32> = 0..<0
    /// Combine: parts of the stream, where contributions are divided as they enter; otherwise empty.
    package var parts: Range<Int32> = 0..<0
    /// Combine of three or more operands: they are folded as ``FoldOrder/balanced`` says, and not left to right.
    package var isBalanced = false
    /// What must have happened before a segment may be executed.
    package var edges: Range<Int32> = 0..<0
    /// Combine: the send that next reads exactly this step's destination, and may send each segment in the pass that makes
    /// it; or -1.
    package var fusedSend: Int32 = -1
    /// Combine and its fused send: the data is stored nowhere, so each segment is combined when it can be sent, and not
    /// before.
    package var forwarded = false
    /// Combine: the result has every rank's contribution.
    package var completes = false
    /// The queue that the step is in.
    package var queue: Int32 = -1
    /// The schedule's step this came from, for messages.
    package var origin: Int32
  }

  @frozen @usableFromInline
  package enum SourceKind: UInt8, Sendable { case memory, slot }

  /// An operand of a combine: memory with extents of the same sizes as the destination's, or the link it arrives on.
  package struct Source: Hashable, Sendable {
    package var kind: SourceKind
    /// First of its extents.
    package var extent: Int32 = 0
    /// The rank it arrives from.
    package var peer: Int32 = -1
  }

  /// A part of a combine's stream, up to `end`, in which the same operands are contributions that nothing was combined with
  /// before.
  package struct Part: Hashable, Sendable {
    /// Its end as a position in the stream.
    package var end: UInt64
    /// First of its entries in ``Plan/divisions``, one for each source.
    package var divisions: Int32
    /// Whether all operands are contributions and the result has every rank's: dividing their sum once rounds less.
    package var dividesSum: Bool
  }

  @frozen @usableFromInline
  package enum EdgeKind: UInt8, Sendable {
    /// `step` must have executed its stream up to a position.
    case executed
    /// The receivers must have released `step`'s stream up to a position (write after the read of a send).
    case released
    /// `step` must have executed all its segments (order on a link that is not the step's own queue).
    case completed
  }

  /// A dependency on an earlier step of the same rank.
  ///
  /// A segment that ends at stream position `y` of the dependent step, with `y > lower`, needs position
  /// `min(y, upper) + delta` of `step`.
  package struct Edge: Hashable, Sendable {
    package var kind: EdgeKind
    package var step: Int32
    package var lower: UInt64 = 0
    package var upper: UInt64 = 0
    package var delta: Int64 = 0
  }

  /// Steps that are executed in order, because they use the same link, direction and channel, or because they only touch
  /// memory.
  package typealias Queue = Range<Int32>

  package var rank: Int
  package var rankCount: Int
  package var channelCount: Int
  /// Input, output and scratch. In place, the input is empty, and the output is the larger of both.
  package var buffers: [BufferRange] = []
  /// Bytes of all that is forwarded.
  package var forwardedBytes: UInt64 = 0
  /// The largest segment.
  package var segmentBytes: Int
  package var steps: [Step] = []
  package var extents: [Extent] = []
  package var peers: [Int32] = []
  package var sources: [Source] = []
  package var parts: [Part] = []
  /// Whether an operand is a contribution, which an average divides as it enters.
  package var divisions: [Bool] = []
  package var edges: [Edge] = []
  /// Slices of `queueSteps`: step indices in the order they execute. Sends first.
  package var queues: [Queue] = []
  package var queueSteps: [Int32] = []
  /// All ranks the plan talks to, ascending.
  package var allPeers: [Int32] = []

  /// The number of what is forwarded.
  package var forwardedMemory: Memory { Memory(buffers.count) }
}
