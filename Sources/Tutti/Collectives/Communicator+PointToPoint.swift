// Send and receive between two ranks of a communicator, blocking and started.

import TuttiEngine
import TuttiSystem

extension Communicator {
  // MARK: Send

  /// Sends elements to rank `peer`, and returns once `values` may be written again.
  ///
  /// Messages are matched by order: the k-th send from one rank to another meets the k-th receive there from that rank, with
  /// the same count and type. They do not depend on collectives in flight, nor on sends and receives with other ranks.
  ///
  /// A small message does not wait for its receive while the link has room for it, but a program must not rely on that: two
  /// ranks that both send before they receive may wait for each other. ``sendReceive(_:to:into:from:timeout:)`` is the
  /// remedy. The first message to a higher rank, where the two have exchanged nothing yet, waits until that rank makes a
  /// call that needs the link, because the higher of two ranks opens it.
  ///
  /// A send to this rank itself waits for the receive, which must have been started, or be called by another thread:
  /// otherwise it ends with `.timeout`.
  ///
  /// - Parameters:
  ///   - values: An array, span, ``TuttiBuffer`` or ``RawMemory``, shape `[count]`; may be empty.
  ///   - peer: In `0..<rankCount`.
  ///   - timeout: Limit of the whole call; nil for the communicator's.
  /// - Throws: ``TuttiError`` with `.timeout`, `.peerLost`, `.transport`, or `.mismatch` when the receive has another count
  ///   or type: the communicator is then aborted. `.invalidArgument` and `.resources` (65,536 sends and receives are in
  ///   flight) leave it as it was.
  /// - SeeAlso: `MPI_Send`, `ncclSend`.
  @inlinable
  @available(*, noasync, message: "use startSend and 'try await work.finish()'")
  public func send<Memory: ReadableMemory & ~Copyable & ~Escapable>(
    _ values: borrowing Memory, to peer: Int, timeout: Duration? = nil
  ) throws(TuttiError) {
    try values.withRawMemory { memory in
      result { () throws(TuttiError) in try runSend(memory, peer, timeout) }
    }.get()
  }

  /// Starts a send and returns at once.
  ///
  /// The memory belongs to the send until its ``Work`` is done: do not write it. A ``TuttiBuffer`` is kept alive until then;
  /// raw memory is for the caller to keep.
  ///
  /// - Parameters:
  ///   - values: Shape `[count]`; may be empty.
  ///   - peer: In `0..<rankCount`.
  ///   - timeout: Limit of the whole operation; nil for the communicator's.
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  @inlinable
  public func startSend<Memory: LastingMemory>(
    _ values: Memory, to peer: Int, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try startTransfer(isSend: true, values.rawMemory, peer, timeout, values.keeper)
  }

  // MARK: Receive

  /// Receives as many elements from rank `peer` as `values` has, and returns once they are there.
  ///
  /// - Parameters:
  ///   - values: An array or mutable span, shape `[count]`, exactly as many as are sent; may be empty.
  ///   - peer: In `0..<rankCount`.
  ///   - timeout: Limit of the whole call; nil for the communicator's.
  /// - Throws: ``TuttiError``, like ``send(_:to:timeout:)``; except after `.invalidArgument` and `.resources`, the memory is
  ///   then unspecified and the communicator aborted.
  /// - SeeAlso: `MPI_Recv`, `ncclRecv`.
  @inlinable
  @available(*, noasync, message: "use startReceive and 'try await work.finish()'")
  public func receive<Memory: WritableMemory & ~Copyable & ~Escapable>(
    into values: inout Memory, from peer: Int, timeout: Duration? = nil
  ) throws(TuttiError) {
    try values.withMutableRawMemory { memory in
      result { () throws(TuttiError) in try runReceive(memory, peer, timeout) }
    }.get()
  }

  /// Receives as many elements from rank `peer` as the buffer or raw memory has, and returns once they are there.
  ///
  /// - Parameters:
  ///   - memory: Shape `[count]`, exactly as many as are sent; may be empty.
  ///   - peer: In `0..<rankCount`.
  ///   - timeout: Limit of the whole call; nil for the communicator's.
  /// - Throws: ``TuttiError``, like ``receive(into:from:timeout:)``.
  @inlinable
  @available(*, noasync, message: "use startReceive and 'try await work.finish()'")
  public func receive<Memory: LastingMemory>(
    into memory: Memory, from peer: Int, timeout: Duration? = nil
  ) throws(TuttiError) {
    try memory.withRawMemory { memory in
      result { () throws(TuttiError) in try runReceive(memory, peer, timeout) }
    }.get()
  }

  /// Starts a receive and returns at once.
  ///
  /// The memory belongs to the receive until its ``Work`` is done: do not read or write it. A ``TuttiBuffer`` is kept alive
  /// until then; raw memory is for the caller to keep.
  ///
  /// - Parameters:
  ///   - memory: Shape `[count]`, exactly as many as are sent; may be empty.
  ///   - peer: In `0..<rankCount`.
  ///   - timeout: Limit of the whole operation; nil for the communicator's.
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  @inlinable
  public func startReceive<Memory: LastingMemory>(
    into memory: Memory, from peer: Int, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try startTransfer(isSend: false, memory.rawMemory, peer, timeout, memory.keeper)
  }

  // MARK: Both at once

  /// Sends to one rank and receives from another, or the same, at the same time; returns once both have ended.
  ///
  /// Ranks that pass data round a ring, or exchange it, do not wait for each other's sends. The two counts may differ, and
  /// both ranks may be this one.
  ///
  /// - Parameters:
  ///   - values: Shape `[sendCount]`; not overlapping `destination`.
  ///   - receiver: The rank to send to.
  ///   - destination: An array or mutable span, shape `[receiveCount]`.
  ///   - sender: The rank to receive from.
  ///   - timeout: Limit of each of the two; nil for the communicator's.
  /// - Throws: ``TuttiError``, like a send and a receive.
  /// - SeeAlso: `MPI_Sendrecv`.
  @inlinable
  @available(*, noasync, message: "use startSend, startReceive and 'try await work.finish()'")
  public func sendReceive<
    Input: ReadableMemory & ~Copyable & ~Escapable, Output: WritableMemory & ~Copyable & ~Escapable
  >(
    _ values: borrowing Input, to receiver: Int, into destination: inout Output, from sender: Int, timeout: Duration? = nil
  ) throws(TuttiError) {
    try destination.withMutableRawMemory { target in
      values.withRawMemory { source in
        result { () throws(TuttiError) in try runSendReceive(source, receiver, target, sender, timeout) }
      }
    }.get()
  }

  /// Sends a buffer or raw memory to one rank and receives another from another rank, or the same, at the same time; returns
  /// once both have ended.
  ///
  /// - Parameters:
  ///   - memory: Shape `[sendCount]`; not overlapping `destination`.
  ///   - receiver: The rank to send to.
  ///   - destination: Shape `[receiveCount]`.
  ///   - sender: The rank to receive from.
  ///   - timeout: Limit of each of the two; nil for the communicator's.
  /// - Throws: ``TuttiError``, like a send and a receive.
  @inlinable
  @available(*, noasync, message: "use startSend, startReceive and 'try await work.finish()'")
  public func sendReceive<Input: LastingMemory, Output: LastingMemory>(
    _ memory: Input, to receiver: Int, into destination: Output, from sender: Int, timeout: Duration? = nil
  ) throws(TuttiError) {
    try destination.withRawMemory { target in
      memory.withRawMemory { source in
        result { () throws(TuttiError) in try runSendReceive(source, receiver, target, sender, timeout) }
      }
    }.get()
  }

  // MARK: Requests

  @usableFromInline
  func runSend(_ memory: RawMemory, _ peer: Int, _ timeout: Duration?) throws(TuttiError) {
    do throws(FailureReport) { try engine.run(try transfer(isSend: true, memory, peer, timeout)) } catch {
      throw TuttiError(error)
    }
  }

  @usableFromInline
  func runReceive(_ memory: RawMemory, _ peer: Int, _ timeout: Duration?) throws(TuttiError) {
    do throws(FailureReport) { try engine.run(try transfer(isSend: false, memory, peer, timeout)) } catch {
      throw TuttiError(error)
    }
  }

  @usableFromInline
  func runSendReceive(
    _ source: RawMemory, _ receiver: Int, _ target: RawMemory, _ sender: Int, _ timeout: Duration?
  ) throws(TuttiError) {
    do throws(FailureReport) {
      try engine.run(
        try transfer(isSend: true, source, receiver, timeout), with: try transfer(isSend: false, target, sender, timeout))
    } catch { throw TuttiError(error) }
  }

  @usableFromInline
  func startTransfer(
    isSend: Bool, _ memory: RawMemory, _ peer: Int, _ timeout: Duration?, _ owner: AnyObject?
  ) throws(TuttiError) -> Work {
    do throws(FailureReport) {
      let ticket = try engine.begin(try transfer(isSend: isSend, memory, peer, timeout), owner: owner)
      return Work(communicator: self, number: ticket, call: nil)
    } catch { throw TuttiError(error) }
  }

  /// Checks a send or receive and translates it for the engine.
  @inline(__always)
  func transfer(
    isSend: Bool, _ memory: RawMemory, _ peer: Int, _ timeout: Duration?
  ) throws(FailureReport) -> TransferRequest {
    try member.checkProcess()
    if peer < 0 || peer >= rankCount { throw badPeer(peer, isSend: isSend) }
    if memory.count < 0 || memory.count > Self.countMax {
      throw memory.count == RawMemory.wrongLayout ? badLayout(memory.type) : badCount(memory.count)
    }
    if memory.address == nil && memory.count > 0 { throw nilMemory(memory, isSend: isSend) }
    return TransferRequest(
      isSend: isSend, peer: peer, memory: memory.address ?? Self.nowhere,
      count: UInt64(bitPattern: Int64(memory.count)), elementBytes: memory.type.size,
      dataType: memory.type.rawValue, limit: TimeLimit(nanoseconds: timeout.map(Self.nanoseconds) ?? defaultTimeout))
  }

  @inline(never)
  private func nilMemory(_ memory: RawMemory, isSend: Bool) -> FailureReport {
    refused(
      "the memory of \(memory.count) elements to \(isSend ? "send" : "receive") is nil on rank \(rank)",
      "Give this rank memory for them, or a count of 0")
  }

  @inline(never)
  private func badPeer(_ peer: Int, isSend: Bool) -> FailureReport {
    refused(
      "there is no rank \(peer) to \(isSend ? "send to" : "receive from")", "Ranks go from 0 to \(rankCount - 1)")
  }
}
