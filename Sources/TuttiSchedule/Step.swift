/// The memory a chunk lies in. Every buffer has the layout of the schedule's chunk map, but the caller's buffers have room
/// only for the chunks that the collective gives them on this rank: the input of an all-gather, for example, only for the
/// rank's own block.
public enum Buffer: Hashable, Sendable {
  /// What the caller gives. Never written, except that it is the same memory as `output` when a call is in place.
  case input
  /// What the caller gets.
  case output
  /// The engine's own memory, for each index below ``Schedule/scratchCount``: as much of the layout as the steps touch.
  case scratch(Int)
}

/// Consecutive chunks of one buffer: contiguous memory.
public struct ChunkRange: Hashable, Sendable {
  /// The memory they lie in.
  public var buffer: Buffer
  /// Their numbers, in `0..<chunkCount` of the schedule; may be empty.
  public var chunks: Range<Int>

  /// - Parameter chunks: Consecutive numbers of chunks.
  public init(_ buffer: Buffer, _ chunks: Range<Int>) {
    self.buffer = buffer
    self.chunks = chunks
  }

  /// One chunk.
  public init(_ buffer: Buffer, _ chunk: Int) { self.init(buffer, chunk..<chunk + 1) }
}

/// An ordered list of chunk ranges that travels as one: a slice of ``Schedule/ranges``.
///
/// The message a rank sends and the message its peer receives have the same list of range sizes.
package struct Message: Hashable, Sendable {
  /// Indices into ``Schedule/ranges``.
  package var ranges: Range<Int>

  package init(ranges: Range<Int>) { self.ranges = ranges }
}

/// A message that was received but not placed: it is borrowed from the transport until the one reduce that reads it.
package struct Slot: Hashable, Sendable {
  /// Counts the slots of a schedule from 0, in the order they are received.
  package var index: Int

  package init(index: Int) { self.index = index }
}

/// An operand of a combine.
package enum Source: Hashable, Sendable {
  case chunks(Message)
  case slot(Slot)
}

/// The order in which a combine of three or more operands folds them. Two operands leave no choice.
public enum FoldOrder: UInt8, Hashable, Sendable, CaseIterable {
  /// `((a + b) + c) + d`. 16-bit floats are added as float32 and rounded once, at the end.
  case leftToRight
  /// `(a + b) + (c + d)`, as combines of two each, one after the other: 16-bit floats are rounded after each.
  ///
  /// Where the number of operands is no power of two, neighbours at the front are combined first, as many as leave a power
  /// of two: of six, `((a + b) + (c + d)) + (e + f)`.
  case balanced
}

/// What a combine makes of its operands. With one operand, it copies.
package struct Fold: Hashable, Sendable {
  package var sources: [Source]
  package var order: FoldOrder
  /// Whether the result has every rank's contribution: an average is divided there.
  package var completes: Bool

  package init(_ sources: [Source], order: FoldOrder, completes: Bool) {
    self.sources = sources
    self.order = order
    self.completes = completes
  }
}

/// When the memory a send reads is free again.
public enum SourceLifetime: UInt8, Hashable, Sendable {
  /// It is free when the receiver has consumed the message. Nothing is copied on the way where the transport can avoid it.
  case held
  /// It is free as soon as the message is on its way, whatever the receiver does. Exchanges need it in which both sides
  /// overwrite what they send with what they receive.
  case copied
}

/// One instruction of one rank. Program order fixes only the order of messages on a link's channel; everything else follows
/// from data dependencies.
package enum Step: Hashable, Sendable {
  /// Sends the message to each of the peers, reading it once.
  case send(Message, to: [Int], channel: Int, SourceLifetime)
  /// Receives a message into chunks.
  case receive(Message, from: Int, channel: Int)
  /// Receives a message, with the sizes of the given chunks, to be read by one later combine. The buffer of its ranges has
  /// no meaning.
  case receiveSlot(Message, Slot, from: Int, channel: Int)
  /// Combines into chunks. A slot must be read exactly once. The destination may be the same chunks as one of the sources.
  case reduce(Message, Fold, channel: Int)
  /// Combines as ``reduce(_:_:channel:)`` does and sends the result to each of the peers, without storing it. The buffer of
  /// its ranges has no meaning.
  case forward(Message, Fold, to: [Int], channel: Int)
}
