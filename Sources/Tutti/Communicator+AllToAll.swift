// All-to-all: every rank has a block for every rank.

extension Communicator {
  /// Leaves block r of rank s's `input` as block s of rank r's `output`.
  ///
  /// - Parameters:
  ///   - input: Shape `[rankCount x count]`; any alignment. Block r goes to rank r.
  ///   - output: Shape `[rankCount x count]`; equal to `input`, or not overlapping it. Block s comes from rank s.
  ///   - count: Elements of each block; may be 0.
  ///   - algorithm: A name of `collbench list`; nil or `auto` for the communicator's own choice. The same on every rank.
  ///   - timeout: Wall-clock limit of the whole operation; nil for the communicator's.
  /// - Throws: As ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  /// - Complexity: Each rank sends `(n-1) x count x size` bytes in n - 1 messages, or `log2 n / 2` times as many in `log2 n`.
  /// - SeeAlso: `MPI_Alltoall`; `docs/ALGORITHMS.md`.
  @available(*, noasync, message: "use startAllToAll and 'try await work.value'")
  public func allToAll(
    from input: UnsafeRawPointer, to output: UnsafeMutableRawPointer, count: Int, type: DataType, algorithm: String? = nil,
    timeout: Duration? = nil
  ) throws(TuttiError) {
    try run(
      CollectiveCall(
        collective: .allToAll, input: input, output: output, sizes: .each(count), type: type, algorithm: algorithm,
        timeout: timeout))
  }

  /// The same with blocks of different sizes: the v-form. Not in place.
  ///
  /// - Parameters:
  ///   - sendCounts: Elements that go to each rank: `input` has their sum.
  ///   - receiveCounts: Elements that come from each rank, as many as that rank sends to this one: `output` has their sum.
  ///   - algorithm: One that serves unequal blocks: `pairwise` or `direct`.
  /// - Throws: As ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  /// - SeeAlso: `MPI_Alltoallv`.
  @available(*, noasync, message: "use startAllToAll and 'try await work.value'")
  public func allToAll(
    from input: UnsafeRawPointer, sendCounts: [Int], to output: UnsafeMutableRawPointer, receiveCounts: [Int],
    type: DataType, algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) {
    try run(
      CollectiveCall(
        collective: .allToAll, input: input, output: output, sizes: .exchange(send: sendCounts, receive: receiveCounts),
        type: type, algorithm: algorithm, timeout: timeout))
  }

  /// Returns the blocks that all ranks have for this one, in rank order.
  ///
  /// - Parameter values: Shape `[rankCount x count]`, the same on every rank.
  /// - Throws: As ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  @available(*, noasync, message: "use startAllToAll and 'try await work.value'")
  public func allToAll<Element: TuttiElement>(
    _ values: [Element], algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) -> [Element] {
    let count = try block(of: values.count)
    return try makeArray(count: values.count) { output throws(TuttiError) in
      try withBytes(values) { input throws(TuttiError) in
        try allToAll(
          from: input, to: output, count: count, type: Element.dataType, algorithm: algorithm, timeout: timeout)
      }
    }
  }

  /// Starts an all-to-all and returns at once. The memory belongs to the operation until its ``Work`` is done.
  ///
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startAllToAll(
    from input: UnsafeRawPointer, to output: UnsafeMutableRawPointer, count: Int, type: DataType, algorithm: String? = nil,
    timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try start(
      CollectiveCall(
        collective: .allToAll, input: input, output: output, sizes: .each(count), type: type, algorithm: algorithm,
        timeout: timeout))
  }

  /// Starts the v-form and returns at once. The memory belongs to the operation until its ``Work`` is done.
  ///
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startAllToAll(
    from input: UnsafeRawPointer, sendCounts: [Int], to output: UnsafeMutableRawPointer, receiveCounts: [Int],
    type: DataType, algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try start(
      CollectiveCall(
        collective: .allToAll, input: input, output: output, sizes: .exchange(send: sendCounts, receive: receiveCounts),
        type: type, algorithm: algorithm, timeout: timeout))
  }

  /// Starts an all-to-all of buffers, which the operation keeps alive until it ends.
  ///
  /// - Parameters:
  ///   - input: Shape `[rankCount x count]`.
  ///   - output: The same shape.
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startAllToAll<Element>(
    _ input: TuttiBuffer<Element>, to output: TuttiBuffer<Element>, algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try check(output, holds: 1, times: input)
    return try start(
      CollectiveCall(
        collective: .allToAll, input: input.memory, output: output.mutableMemory,
        sizes: .each(try block(of: input.count)), type: Element.dataType, algorithm: algorithm, timeout: timeout),
      owner: BufferPair(input, output))
  }
}
