// The collective calls of a communicator, blocking and started.

import TuttiEngine
import TuttiSchedule
import TuttiSystem

extension Communicator {
  // MARK: All-reduce

  /// Combines `input` element-wise across all ranks and leaves the result in every rank's `output`.
  ///
  /// Every rank calls this in the same order with the same count, type, operation and algorithm. The result is bit-identical on all ranks
  /// and on every run; it may differ between algorithms.
  ///
  /// - Parameters:
  ///   - input: Shape `[count]`; any alignment. Not written, unless it is `output`: then the call is in place.
  ///   - output: Shape `[count]`; equal to `input`, or not overlapping it.
  ///   - count: Elements; may be 0 and need not divide by the rank count.
  ///   - algorithm: A name of `collbench list`; nil or `auto` for the communicator's own choice. The same on every rank.
  ///   - timeout: Wall-clock limit of the whole operation; nil for the communicator's.
  /// - Throws: ``TuttiError`` with `.timeout`, `.peerLost`, `.transport`, `.mismatch`: the communicator is then aborted and `output`
  ///   unspecified. `.invalidArgument` leaves the communicator as it was.
  /// - Complexity: Each rank sends about `2(n-1)/n x count x size` bytes with the bandwidth-optimal algorithms.
  /// - SeeAlso: `docs/ALGORITHMS.md`.
  @available(*, noasync, message: "use startAllReduce and 'try await work.value'")
  public func allReduce(
    from input: UnsafeRawPointer, to output: UnsafeMutableRawPointer, count: Int, type: DataType, _ operation: ReduceOp,
    algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) {
    try run(
      CollectiveCall(
        collective: .allReduce, input: input, output: output, sizes: .each(count), type: type, operation: operation,
        algorithm: algorithm, timeout: timeout))
  }

  /// Combines an array element-wise across all ranks, in place.
  ///
  /// - Parameter values: Shape `[count]`, the same on every rank; `count` may be 0 and need not divide by the rank count.
  /// - Throws: As ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  @available(*, noasync, message: "use startAllReduce and 'try await work.value'")
  public func allReduce<Element: TuttiElement>(
    _ values: inout [Element], _ operation: ReduceOp, algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) {
    try values.withUnsafeMutableBytes { bytes in
      inPlace(bytes, Element.self, operation, algorithm, timeout)
    }.get()
  }

  /// Combines a span element-wise across all ranks, in place.
  ///
  /// - Parameter values: Shape `[count]`, the same on every rank; `count` may be 0 and need not divide by the rank count.
  /// - Throws: As ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  @available(*, noasync, message: "use startAllReduce and 'try await work.value'")
  public func allReduce<Element: TuttiElement>(
    _ values: inout MutableSpan<Element>, _ operation: ReduceOp, algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) {
    try values.withUnsafeMutableBytes { bytes in
      inPlace(bytes, Element.self, operation, algorithm, timeout)
    }.get()
  }

  /// A result, because closures of the standard library lose the error's type.
  private func inPlace<Element: TuttiElement>(
    _ bytes: UnsafeMutableRawBufferPointer, _ element: Element.Type, _ operation: ReduceOp, _ algorithm: String?,
    _ timeout: Duration?
  ) -> Result<Void, TuttiError> {
    let base = Self.address(bytes)
    do throws(TuttiError) {
      try checkLayout(element)
      try allReduce(
        from: base, to: base, count: bytes.count / MemoryLayout<Element>.stride, type: Element.dataType, operation,
        algorithm: algorithm, timeout: timeout)
      return .success(())
    } catch { return .failure(error) }
  }

  /// Starts an all-reduce and returns at once. See ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  ///
  /// The memory belongs to the operation until its ``Work`` is done: the caller keeps it alive, and neither reads nor writes it.
  public func startAllReduce(
    from input: UnsafeRawPointer, to output: UnsafeMutableRawPointer, count: Int, type: DataType, _ operation: ReduceOp,
    algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try start(
      CollectiveCall(
        collective: .allReduce, input: input, output: output, sizes: .each(count), type: type, operation: operation,
        algorithm: algorithm, timeout: timeout))
  }

  /// Starts an all-reduce of a buffer in place and returns at once. The operation keeps the buffer alive until it ends.
  ///
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startAllReduce<Element>(
    _ buffer: TuttiBuffer<Element>, _ operation: ReduceOp, algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try checkLayout(Element.self)
    let base = buffer.mutableMemory
    return try start(
      CollectiveCall(
        collective: .allReduce, input: base, output: base, sizes: .each(buffer.count), type: Element.dataType,
        operation: operation, algorithm: algorithm, timeout: timeout),
      owner: buffer)
  }

  /// Refuses a type that says it is another one than it is.
  @inline(__always)
  func checkLayout<Element: TuttiElement>(_ element: Element.Type) throws(TuttiError) {
    if MemoryLayout<Element>.stride != Element.dataType.size {
      throw TuttiError(
        FailureReport(
          .invalidArgument, rank: rank,
          "\(element) has elements of \(MemoryLayout<Element>.stride) bytes, but says it is \(Element.dataType)",
          advice: "Correct its conformance to TuttiElement"))
    }
  }

  // MARK: Barrier

  /// Returns once every rank has called it.
  ///
  /// - Throws: ``TuttiError`` as of any collective.
  /// - Complexity: Dissemination: `ceil(log2 n)` rounds of empty messages.
  @available(*, noasync, message: "a barrier blocks its thread")
  public func barrier(algorithm: String? = nil, timeout: Duration? = nil) throws(TuttiError) {
    try run(
      CollectiveCall(
        collective: .barrier, input: Self.nowhere, output: Self.nowhere, sizes: .each(0), type: .int32, algorithm: algorithm,
        timeout: timeout))
  }
}
