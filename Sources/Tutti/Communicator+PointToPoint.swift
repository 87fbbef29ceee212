// Send and receive between two ranks of a communicator, blocking and started.

import TuttiEngine
import TuttiSystem

extension Communicator {
  // MARK: Send

  /// Sends `count` elements to rank `peer`, and returns once `pointer` may be written again.
  ///
  /// Messages are matched by order: the k-th send from one rank to another meets the k-th receive there from that rank, with the same count
  /// and type. Sends and receives are independent of the collectives in flight, and of those with other ranks. A small message does not wait
  /// for its receive while the link has room for it; the first one to a higher rank, between two ranks that have not exchanged anything yet,
  /// waits until that rank makes a call that needs the link, because the higher of two ranks opens it. A program must not rely on that: two ranks that both send before they receive may
  /// wait for each other. ``sendReceive(_:count:to:into:count:from:type:timeout:)`` is the remedy.
  ///
  /// A send to this rank itself waits for the receive, which must have been started, or be called by another thread: otherwise it ends
  /// with `.timeout`.
  ///
  /// - Parameters:
  ///   - pointer: Shape `[count]`; any alignment.
  ///   - count: Elements; may be 0.
  ///   - peer: In `0..<rankCount`.
  ///   - timeout: Wall-clock limit of the whole call; nil for the communicator's.
  /// - Throws: ``TuttiError`` with `.timeout`, `.peerLost`, `.transport`, or `.mismatch` when the receive has another count or type: the
  ///   communicator is then aborted. `.invalidArgument` and `.resources` (65,536 sends and receives are in flight) leave it as it was.
  /// - SeeAlso: `MPI_Send`, `ncclSend`.
  @available(*, noasync, message: "use startSend and 'try await work.value'")
  public func send(
    _ pointer: UnsafeRawPointer, count: Int, type: DataType, to peer: Int, timeout: Duration? = nil
  ) throws(TuttiError) {
    do throws(FailureReport) { try engine.run(try send(pointer, count, type, peer, timeout)) } catch {
      throw TuttiError(error)
    }
  }

  /// Sends an array to rank `peer`. See ``send(_:count:type:to:timeout:)``.
  @available(*, noasync, message: "use startSend and 'try await work.value'")
  public func send<Element: TuttiElement>(
    _ values: [Element], to peer: Int, timeout: Duration? = nil
  ) throws(TuttiError) {
    try values.withUnsafeBytes { bytes in run { () throws(FailureReport) in try send(bytes, Element.self, peer, timeout) } }
      .get()
  }

  /// Sends a span to rank `peer`. See ``send(_:count:type:to:timeout:)``.
  @available(*, noasync, message: "use startSend and 'try await work.value'")
  public func send<Element: TuttiElement>(
    _ values: Span<Element>, to peer: Int, timeout: Duration? = nil
  ) throws(TuttiError) {
    try values.withUnsafeBytes { bytes in run { () throws(FailureReport) in try send(bytes, Element.self, peer, timeout) } }
      .get()
  }

  /// Starts a send and returns at once. See ``send(_:count:type:to:timeout:)``.
  ///
  /// The memory belongs to the send until its ``Work`` is done: the caller keeps it alive, and does not write it.
  public func startSend(
    _ pointer: UnsafeRawPointer, count: Int, type: DataType, to peer: Int, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    do throws(FailureReport) {
      let ticket = try engine.begin(try send(pointer, count, type, peer, timeout), owner: nil)
      return Work(communicator: self, number: ticket)
    } catch { throw TuttiError(error) }
  }

  /// Starts a send of a buffer and returns at once. The send keeps the buffer alive until it ends.
  ///
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startSend<Element>(
    _ buffer: TuttiBuffer<Element>, to peer: Int, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    do throws(FailureReport) {
      let bytes = UnsafeRawBufferPointer(buffer.pointer)
      let ticket = try engine.begin(try send(bytes, Element.self, peer, timeout), owner: buffer)
      return Work(communicator: self, number: ticket)
    } catch { throw TuttiError(error) }
  }

  // MARK: Receive

  /// Receives `count` elements from rank `peer`, and returns once they are there. See ``send(_:count:type:to:timeout:)``.
  ///
  /// - Parameters:
  ///   - pointer: Shape `[count]`; any alignment.
  ///   - count: Elements, exactly as many as are sent; may be 0.
  ///   - peer: In `0..<rankCount`.
  ///   - timeout: Wall-clock limit of the whole call; nil for the communicator's.
  /// - Throws: ``TuttiError`` as of a send; the memory is then unspecified, and the communicator aborted but for `.invalidArgument` and
  ///   `.resources`.
  /// - SeeAlso: `MPI_Recv`, `ncclRecv`.
  @available(*, noasync, message: "use startReceive and 'try await work.value'")
  public func receive(
    into pointer: UnsafeMutableRawPointer, count: Int, type: DataType, from peer: Int, timeout: Duration? = nil
  ) throws(TuttiError) {
    do throws(FailureReport) { try engine.run(try receive(pointer, count, type, peer, timeout)) } catch {
      throw TuttiError(error)
    }
  }

  /// Receives as many elements from rank `peer` as the array has. See ``receive(into:count:type:from:timeout:)``.
  @available(*, noasync, message: "use startReceive and 'try await work.value'")
  public func receive<Element: TuttiElement>(
    into values: inout [Element], from peer: Int, timeout: Duration? = nil
  ) throws(TuttiError) {
    try values.withUnsafeMutableBytes { bytes in
      run { () throws(FailureReport) in try receive(bytes, Element.self, peer, timeout) }
    }.get()
  }

  /// Receives as many elements from rank `peer` as the span has. See ``receive(into:count:type:from:timeout:)``.
  @available(*, noasync, message: "use startReceive and 'try await work.value'")
  public func receive<Element: TuttiElement>(
    into values: inout MutableSpan<Element>, from peer: Int, timeout: Duration? = nil
  ) throws(TuttiError) {
    try values.withUnsafeMutableBytes { bytes in
      run { () throws(FailureReport) in try receive(bytes, Element.self, peer, timeout) }
    }.get()
  }

  /// Starts a receive and returns at once. See ``receive(into:count:type:from:timeout:)``.
  ///
  /// The memory belongs to the receive until its ``Work`` is done: the caller keeps it alive, and neither reads nor writes it.
  public func startReceive(
    into pointer: UnsafeMutableRawPointer, count: Int, type: DataType, from peer: Int, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    do throws(FailureReport) {
      let ticket = try engine.begin(try receive(pointer, count, type, peer, timeout), owner: nil)
      return Work(communicator: self, number: ticket)
    } catch { throw TuttiError(error) }
  }

  /// Starts a receive of as many elements as the buffer has and returns at once. The receive keeps the buffer alive until it ends.
  ///
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startReceive<Element>(
    into buffer: TuttiBuffer<Element>, from peer: Int, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    do throws(FailureReport) {
      let bytes = UnsafeMutableRawBufferPointer(buffer.pointer)
      let ticket = try engine.begin(try receive(bytes, Element.self, peer, timeout), owner: buffer)
      return Work(communicator: self, number: ticket)
    } catch { throw TuttiError(error) }
  }

  // MARK: Both at once

  /// Sends to one rank and receives from another, or the same, at the same time; returns once both have ended.
  ///
  /// Ranks that pass data round a ring, or exchange it, do not wait for each other's sends. The two counts may differ, and both ranks may
  /// be this one.
  ///
  /// - Parameters:
  ///   - pointer: Shape `[sendCount]`; not overlapping `destination`.
  ///   - destination: Shape `[receiveCount]`.
  ///   - type: Of both messages.
  ///   - timeout: Wall-clock limit of each of the two; nil for the communicator's.
  /// - Throws: ``TuttiError`` as of a send and a receive.
  /// - SeeAlso: `MPI_Sendrecv`.
  @available(*, noasync, message: "use startSend, startReceive and 'try await work.value'")
  public func sendReceive(
    _ pointer: UnsafeRawPointer, count sendCount: Int, to receiver: Int, into destination: UnsafeMutableRawPointer,
    count receiveCount: Int, from sender: Int, type: DataType, timeout: Duration? = nil
  ) throws(TuttiError) {
    do throws(FailureReport) {
      try engine.run(
        try send(pointer, sendCount, type, receiver, timeout),
        with: try receive(destination, receiveCount, type, sender, timeout))
    } catch { throw TuttiError(error) }
  }

  /// Sends an array to one rank, and receives as many elements from another, or the same, as `destination` has.
  /// See ``sendReceive(_:count:to:into:count:from:type:timeout:)``.
  @available(*, noasync, message: "use startSend, startReceive and 'try await work.value'")
  public func sendReceive<Element: TuttiElement>(
    _ values: [Element], to receiver: Int, into destination: inout [Element], from sender: Int, timeout: Duration? = nil
  ) throws(TuttiError) {
    try destination.withUnsafeMutableBytes { target in
      values.withUnsafeBytes { source in
        exchange(source, receiver, target, sender, Element.self, timeout)
      }
    }.get()
  }

  /// Sends a span to one rank, and receives as many elements from another, or the same, as `destination` has.
  /// See ``sendReceive(_:count:to:into:count:from:type:timeout:)``.
  @available(*, noasync, message: "use startSend, startReceive and 'try await work.value'")
  public func sendReceive<Element: TuttiElement>(
    _ values: Span<Element>, to receiver: Int, into destination: inout MutableSpan<Element>, from sender: Int,
    timeout: Duration? = nil
  ) throws(TuttiError) {
    try destination.withUnsafeMutableBytes { target in
      values.withUnsafeBytes { source in
        exchange(source, receiver, target, sender, Element.self, timeout)
      }
    }.get()
  }

  // MARK: Requests

  @inline(__always)
  private func transfer(
    isSend: Bool, _ memory: UnsafeMutableRawPointer, _ count: Int, _ type: DataType, _ peer: Int, _ timeout: Duration?
  ) throws(FailureReport) -> TransferRequest {
    try member.checkProcess()
    if peer < 0 || peer >= rankCount { throw badPeer(peer, isSend: isSend) }
    if count < 0 || count > Self.countMax { throw badCount(count) }
    return TransferRequest(
      isSend: isSend, peer: peer, memory: memory, count: UInt64(bitPattern: Int64(count)), elementBytes: type.size,
      dataType: type.rawValue,
      limit: TimeLimit(nanoseconds: timeout.map(Self.nanoseconds) ?? defaultTimeout))
  }

  @inline(never)
  private func badPeer(_ peer: Int, isSend: Bool) -> FailureReport {
    refused(
      "there is no rank \(peer) to \(isSend ? "send to" : "receive from")", "Ranks go from 0 to \(rankCount - 1)")
  }

  private func send(
    _ pointer: UnsafeRawPointer, _ count: Int, _ type: DataType, _ peer: Int, _ timeout: Duration?
  ) throws(FailureReport) -> TransferRequest {
    try transfer(isSend: true, UnsafeMutableRawPointer(mutating: pointer), count, type, peer, timeout)
  }

  private func receive(
    _ pointer: UnsafeMutableRawPointer, _ count: Int, _ type: DataType, _ peer: Int, _ timeout: Duration?
  ) throws(FailureReport) -> TransferRequest {
    try transfer(isSend: false, pointer, count, type, peer, timeout)
  }

  private func send<Element: TuttiElement>(
    _ bytes: UnsafeRawBufferPointer, _ element: Element.Type, _ peer: Int, _ timeout: Duration?
  ) throws(FailureReport) -> TransferRequest {
    try checkLayout(of: element)
    return try send(
      bytes.baseAddress ?? UnsafeRawPointer(Self.nowhere), bytes.count / MemoryLayout<Element>.stride, Element.dataType,
      peer,
      timeout)
  }

  private func receive<Element: TuttiElement>(
    _ bytes: UnsafeMutableRawBufferPointer, _ element: Element.Type, _ peer: Int, _ timeout: Duration?
  ) throws(FailureReport) -> TransferRequest {
    try checkLayout(of: element)
    return try receive(
      Self.address(bytes), bytes.count / MemoryLayout<Element>.stride, Element.dataType, peer, timeout)
  }

  @inline(__always)
  private func checkLayout<Element: TuttiElement>(of element: Element.Type) throws(FailureReport) {
    do throws(TuttiError) { try checkLayout(element) } catch { throw error.report }
  }

  /// A result, because closures of the standard library lose the error's type.
  @inline(__always)
  private func run(_ request: () throws(FailureReport) -> TransferRequest) -> Result<Void, TuttiError> {
    do throws(FailureReport) {
      try engine.run(try request())
      return .success(())
    } catch { return .failure(TuttiError(error)) }
  }

  private func exchange<Element: TuttiElement>(
    _ source: UnsafeRawBufferPointer, _ receiver: Int, _ target: UnsafeMutableRawBufferPointer, _ sender: Int,
    _ element: Element.Type, _ timeout: Duration?
  ) -> Result<Void, TuttiError> {
    do throws(FailureReport) {
      try engine.run(
        try send(source, element, receiver, timeout), with: try receive(target, element, sender, timeout))
      return .success(())
    } catch { return .failure(TuttiError(error)) }
  }
}
