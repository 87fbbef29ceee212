// Messages with tags, and receives from any rank.

import Synchronization
import TuttiEngine
import TuttiSystem

/// Which rank a message may be from.
public enum MessageSource: Hashable, Sendable {
  /// The rank of this number only.
  case rank(Int)
  /// Any rank, this one included.
  case any
}

/// A started receive of a message with a tag.
public struct IncomingMessage: Sendable {
  /// The receive.
  public let work: Work
  fileprivate let sender: Sender

  /// The rank that the message is from, once ``work`` has ended well; nil before.
  public var source: Int? {
    let rank = sender.rank.load(ordering: .acquiring)
    return rank >= 0 ? rank : nil
  }
}

private final class Sender: Sendable {
  let rank = Atomic(-1)
}

extension Communicator {
  // MARK: Send

  /// Sends elements with a tag to rank `peer`, and returns once `values` may be written again.
  ///
  /// The receiver chooses among incoming messages by tag: those from one rank with one tag are received in the order in
  /// which they were sent, others in any order. A message that arrives while the receiver waits for another one of this rank
  /// is kept at the receiver, up to 256 MiB of such messages; otherwise all but small messages wait at the sender.
  ///
  /// Two ranks of a communicator exchange either messages with tags or messages without: where they mix both, a send meets a
  /// receive of the other kind, which is an error. For both kinds, make a second communicator with ``duplicate(timeout:)``.
  ///
  /// - Parameters:
  ///   - values: An array, span, ``TuttiBuffer`` or ``RawMemory``, shape `[count]`; may be empty.
  ///   - peer: In `0..<rankCount`.
  ///   - tag: Any number.
  ///   - timeout: Limit of the whole call; nil for the communicator's.
  /// - Throws: ``TuttiError``, like ``send(_:to:timeout:)``.
  /// - SeeAlso: `MPI_Send`; `docs/decisions/0035-tagged-messages.md`.
  @inlinable
  @available(*, noasync, message: "use startSend and 'try await work.finish()'")
  public func send<Memory: ReadableMemory & ~Copyable & ~Escapable>(
    _ values: borrowing Memory, to peer: Int, tag: Int, timeout: Duration? = nil
  ) throws(TuttiError) {
    try values.withRawMemory { memory in
      result { () throws(TuttiError) in try startTaggedSend(memory, peer, tag, timeout, nil).wait() }
    }.get()
  }

  /// Starts to send elements with a tag, and returns at once.
  ///
  /// The memory belongs to the send until its ``Work`` is done. A ``TuttiBuffer`` is kept alive until then; raw memory is
  /// for the caller to keep.
  ///
  /// - Parameters:
  ///   - values: Shape `[count]`; may be empty.
  ///   - peer: In `0..<rankCount`.
  ///   - tag: Any number.
  ///   - timeout: Limit of the whole operation; nil for the communicator's.
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  @inlinable
  public func startSend<Memory: LastingMemory>(
    _ values: Memory, to peer: Int, tag: Int, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try startTaggedSend(values.rawMemory, peer, tag, timeout, values.keeper)
  }

  @usableFromInline
  func startTaggedSend(
    _ memory: RawMemory, _ peer: Int, _ tag: Int, _ timeout: Duration?, _ owner: AnyObject?
  ) throws(TuttiError) -> Work {
    do throws(FailureReport) {
      let request = try transfer(isSend: true, memory, peer, timeout)
      return Work(communicator: self, number: try mailbox.send(request, tag: tag, owner: owner), call: nil)
    } catch { throw TuttiError(error) }
  }

  // MARK: Receive

  /// Receives a message with a tag, from one rank or from any, and returns once it is there.
  ///
  /// - Parameters:
  ///   - values: An array or mutable span, shape `[count]`, exactly as many as are sent; may be empty.
  ///   - source: The rank that it is from, or any.
  ///   - tag: The message's.
  ///   - timeout: Limit of the whole call; nil for the communicator's.
  /// - Returns: The rank that it is from.
  /// - Throws: ``TuttiError``, like ``receive(into:from:timeout:)-(Memory,_,_)``. Where messages of a rank that have other
  ///   tags take more than 256 MiB, `.resources`.
  @inlinable
  @available(*, noasync, message: "use startReceive and 'try await work.finish()'")
  @discardableResult
  public func receive<Memory: WritableMemory & ~Copyable & ~Escapable>(
    into values: inout Memory, from source: MessageSource, tag: Int, timeout: Duration? = nil
  ) throws(TuttiError) -> Int {
    try values.withMutableRawMemory { memory in
      Result<Int, TuttiError> { () throws(TuttiError) in try receiveTagged(memory, source, tag, timeout) }
    }.get()
  }

  /// Receives a message with a tag into a buffer or raw memory, from one rank or from any, and returns once it is there.
  ///
  /// - Parameters:
  ///   - memory: Shape `[count]`, exactly as many as are sent; may be empty.
  ///   - source: The rank that it is from, or any.
  ///   - tag: The message's.
  ///   - timeout: Limit of the whole call; nil for the communicator's.
  /// - Returns: The rank that it is from.
  /// - Throws: ``TuttiError``, like the form for arrays.
  @inlinable
  @available(*, noasync, message: "use startReceive and 'try await work.finish()'")
  @discardableResult
  public func receive<Memory: LastingMemory>(
    into memory: Memory, from source: MessageSource, tag: Int, timeout: Duration? = nil
  ) throws(TuttiError) -> Int {
    try memory.withRawMemory { memory in
      Result<Int, TuttiError> { () throws(TuttiError) in try receiveTagged(memory, source, tag, timeout) }
    }.get()
  }

  /// Starts to receive a message with a tag, from one rank or from any, and returns at once.
  ///
  /// The memory belongs to the receive until its ``Work`` is done.
  ///
  /// - Parameters:
  ///   - memory: Shape `[count]`, exactly as many as are sent; may be empty.
  ///   - source: The rank that it is from, or any.
  ///   - tag: The message's.
  ///   - timeout: Limit of the whole operation; nil for the communicator's.
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  @inlinable
  public func startReceive<Memory: LastingMemory>(
    into memory: Memory, from source: MessageSource, tag: Int, timeout: Duration? = nil
  ) throws(TuttiError) -> IncomingMessage {
    try startTaggedReceive(memory.rawMemory, source, tag, timeout, memory.keeper)
  }

  @usableFromInline
  func receiveTagged(
    _ memory: RawMemory, _ source: MessageSource, _ tag: Int, _ timeout: Duration?
  ) throws(TuttiError) -> Int {
    let message = try startTaggedReceive(memory, source, tag, timeout, nil)
    try message.work.wait()
    return message.sender.rank.load(ordering: .acquiring)
  }

  @usableFromInline
  func startTaggedReceive(
    _ memory: RawMemory, _ source: MessageSource, _ tag: Int, _ timeout: Duration?, _ owner: AnyObject?
  ) throws(TuttiError) -> IncomingMessage {
    let sender = Sender()
    let work = try startTaggedReceive(memory, source, tag, timeout, owner) { peer in
      sender.rank.store(peer, ordering: .releasing)
    }
    return IncomingMessage(work: work, sender: sender)
  }

  /// Starts a receive, which calls `onMatch` with the rank that its message is from before it is done.
  package func startTaggedReceive(
    _ memory: RawMemory, _ source: MessageSource, _ tag: Int, _ timeout: Duration?, _ owner: AnyObject?,
    onMatch: @escaping @Sendable (Int) -> Void
  ) throws(TuttiError) -> Work {
    let peer: Int? = if case .rank(let rank) = source { rank } else { nil }
    do throws(FailureReport) {
      // The memory and the rank are checked as for a receive without a tag.
      let request = try transfer(isSend: false, memory, peer ?? rank, timeout)
      let number = try mailbox.receive(
        RawMemory(memory.address, count: Int(request.count), type: memory.type), from: peer, tag: tag,
        limit: request.limit, owner: owner, onMatch: onMatch)
      return Work(communicator: self, number: number, call: nil)
    } catch { throw TuttiError(error) }
  }
}
