/// The memory a chunk lies in. Every buffer has the layout of the schedule's chunk map, but the caller's have room only for the chunks
/// that the collective gives them on this rank: an all-gather's input only for the rank's own block.
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
public struct Message: Hashable, Sendable {
  /// Indices into ``Schedule/ranges``.
  public var ranges: Range<Int>

  /// - Parameter ranges: Indices into ``Schedule/ranges``.
  public init(ranges: Range<Int>) { self.ranges = ranges }
}

/// A message that was received but not placed: it is borrowed from the transport until the one reduce that reads it.
public struct Slot: Hashable, Sendable {
  /// Counts the slots of a schedule from 0, in the order they are received.
  public var index: Int

  /// - Parameter index: Its number in its schedule.
  public init(index: Int) { self.index = index }
}

/// An operand of a reduce.
public enum Source: Hashable, Sendable {
  case chunks(Message)
  case slot(Slot)
}

/// When the memory a send reads is free again.
public enum SourceLifetime: UInt8, Hashable, Sendable {
  /// When the receiver has consumed the message: nothing is copied on the way where the transport can do without.
  case held
  /// As soon as the message is on its way, whatever the receiver does: for exchanges in which both sides overwrite what they
  /// send with what they receive.
  case copied
}

/// One instruction of one rank. Program order fixes only the order of messages on a link's channel; everything else follows
/// from data dependencies.
public enum Step: Hashable, Sendable {
  /// Sends the message to each of the peers, reading it once.
  case send(Message, to: [Int], channel: Int, SourceLifetime)
  /// Receives a message into chunks.
  case receive(Message, from: Int, channel: Int)
  /// Receives a message, with the sizes of the given chunks, to be read by one later reduce. The buffer of its ranges says
  /// nothing.
  case receiveSlot(Message, Slot, from: Int, channel: Int)
  /// Combines the sources in the order given, left to right, into chunks. One source is a copy; a slot must be read exactly
  /// once. The destination may be the same chunks as one of the sources. `completes` says that the result has every rank's
  /// contribution: an average is divided there.
  case reduce(Message, [Source], completes: Bool, channel: Int)
  /// Combines the sources as ``reduce(_:_:completes:channel:)`` does and sends the result to each of the peers, without storing it. The
  /// buffer of its ranges says nothing.
  case forward(Message, [Source], to: [Int], completes: Bool, channel: Int)
}
