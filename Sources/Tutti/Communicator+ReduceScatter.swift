import TuttiSystem

// Reduce-scatter and all-gather: the two halves of an all-reduce.

extension Communicator {
  // MARK: Reduce-scatter

  /// Combines `input` element-wise across all ranks and leaves block r of the result in rank r's `output`.
  ///
  /// In place when `output` is this rank's block of `input`; the other blocks are then left as they are.
  ///
  /// - Parameters:
  ///   - input: Shape `[rankCount x count]`; any alignment.
  ///   - output: Shape `[count]`.
  ///   - count: Elements of each rank's block; may be 0.
  ///   - algorithm: A name of `collbench list`; nil or `auto` for the communicator's own choice. The same on every rank.
  ///   - timeout: Wall-clock limit of the whole operation; nil for the communicator's.
  /// - Throws: As ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  /// - Complexity: Each rank sends about `(n-1) x count x size` bytes, in `log2 n` to `n - 1` rounds.
  /// - SeeAlso: `MPI_Reduce_scatter_block`, `ncclReduceScatter`; `docs/ALGORITHMS.md`.
  @available(*, noasync, message: "use startReduceScatter and 'try await work.value'")
  public func reduceScatter(
    from input: UnsafeRawPointer, to output: UnsafeMutableRawPointer, count: Int, type: DataType, _ operation: ReduceOp,
    algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) {
    try run(
      CollectiveCall(
        collective: .reduceScatter, input: input, output: output, sizes: .each(count), type: type, operation: operation,
        algorithm: algorithm, timeout: timeout))
  }

  /// The same with blocks of different sizes: the v-form.
  ///
  /// - Parameter counts: Elements of each rank's block, all on every rank; `input` has their sum, `output` this rank's.
  /// - Throws: As ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  /// - SeeAlso: `MPI_Reduce_scatter`.
  @available(*, noasync, message: "use startReduceScatter and 'try await work.value'")
  public func reduceScatter(
    from input: UnsafeRawPointer, to output: UnsafeMutableRawPointer, counts: [Int], type: DataType, _ operation: ReduceOp,
    algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) {
    try run(
      CollectiveCall(
        collective: .reduceScatter, input: input, output: output, sizes: .blocks(counts), type: type, operation: operation,
        algorithm: algorithm, timeout: timeout))
  }

  /// Combines arrays element-wise across all ranks and returns this rank's block of the result.
  ///
  /// - Parameter values: Shape `[rankCount x count]`, the same on every rank.
  /// - Throws: As ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  @available(*, noasync, message: "use startReduceScatter and 'try await work.value'")
  public func reduceScatter<Element: TuttiElement>(
    _ values: [Element], _ operation: ReduceOp, algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) -> [Element] {
    let count = try block(of: values.count)
    return try makeArray(count: count) { output throws(TuttiError) in
      try withBytes(values) { input throws(TuttiError) in
        try reduceScatter(
          from: input, to: output, count: count, type: Element.dataType, operation, algorithm: algorithm, timeout: timeout)
      }
    }
  }

  /// Starts a reduce-scatter and returns at once. The memory belongs to the operation until its ``Work`` is done.
  ///
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startReduceScatter(
    from input: UnsafeRawPointer, to output: UnsafeMutableRawPointer, count: Int, type: DataType, _ operation: ReduceOp,
    algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try start(
      CollectiveCall(
        collective: .reduceScatter, input: input, output: output, sizes: .each(count), type: type, operation: operation,
        algorithm: algorithm, timeout: timeout))
  }

  /// Starts the v-form and returns at once. The memory belongs to the operation until its ``Work`` is done.
  ///
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startReduceScatter(
    from input: UnsafeRawPointer, to output: UnsafeMutableRawPointer, counts: [Int], type: DataType, _ operation: ReduceOp,
    algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try start(
      CollectiveCall(
        collective: .reduceScatter, input: input, output: output, sizes: .blocks(counts), type: type, operation: operation,
        algorithm: algorithm, timeout: timeout))
  }

  /// Starts a reduce-scatter of buffers, which the operation keeps alive until it ends.
  ///
  /// - Parameters:
  ///   - input: Shape `[rankCount x count]`.
  ///   - output: Shape `[count]`.
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startReduceScatter<Element>(
    _ input: TuttiBuffer<Element>, to output: TuttiBuffer<Element>, _ operation: ReduceOp, algorithm: String? = nil,
    timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try check(input, holds: rankCount, times: output)
    return try start(
      CollectiveCall(
        collective: .reduceScatter, input: input.memory, output: output.mutableMemory, sizes: .each(output.count),
        type: Element.dataType, operation: operation, algorithm: algorithm, timeout: timeout),
      owner: BufferPair(input, output))
  }

  // MARK: All-gather

  /// Leaves all ranks' blocks, in rank order, in every rank's `output`.
  ///
  /// In place when `input` is this rank's block of `output`.
  ///
  /// - Parameters:
  ///   - input: Shape `[count]`; any alignment.
  ///   - output: Shape `[rankCount x count]`.
  ///   - count: Elements of each rank's block; may be 0.
  ///   - algorithm: A name of `collbench list`; nil or `auto` for the communicator's own choice. The same on every rank.
  ///   - timeout: Wall-clock limit of the whole operation; nil for the communicator's.
  /// - Throws: As ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  /// - Complexity: Each rank sends or passes on about `(n-1) x count x size` bytes, in `log2 n` to `n - 1` rounds.
  /// - SeeAlso: `MPI_Allgather`, `ncclAllGather`; `docs/ALGORITHMS.md`.
  @available(*, noasync, message: "use startAllGather and 'try await work.value'")
  public func allGather(
    from input: UnsafeRawPointer, to output: UnsafeMutableRawPointer, count: Int, type: DataType, algorithm: String? = nil,
    timeout: Duration? = nil
  ) throws(TuttiError) {
    try run(
      CollectiveCall(
        collective: .allGather, input: input, output: output, sizes: .each(count), type: type, algorithm: algorithm,
        timeout: timeout))
  }

  /// The same with blocks of different sizes: the v-form.
  ///
  /// - Parameter counts: Elements of each rank's block, all on every rank; `output` has their sum, `input` this rank's.
  /// - Throws: As ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  /// - SeeAlso: `MPI_Allgatherv`.
  @available(*, noasync, message: "use startAllGather and 'try await work.value'")
  public func allGather(
    from input: UnsafeRawPointer, to output: UnsafeMutableRawPointer, counts: [Int], type: DataType,
    algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) {
    try run(
      CollectiveCall(
        collective: .allGather, input: input, output: output, sizes: .blocks(counts), type: type, algorithm: algorithm,
        timeout: timeout))
  }

  /// Returns all ranks' arrays, one after the other.
  ///
  /// - Parameters:
  ///   - values: Shape `[count]`; the same count on every rank, unless `counts` says otherwise.
  ///   - counts: Elements of each rank's array, where they differ.
  /// - Throws: As ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  @available(*, noasync, message: "use startAllGather and 'try await work.value'")
  public func allGather<Element: TuttiElement>(
    _ values: [Element], counts: [Int]? = nil, algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) -> [Element] {
    let total = try total(of: counts, own: values.count)
    return try makeArray(count: total) { output throws(TuttiError) in
      try withBytes(values) { input throws(TuttiError) in
        try run(
          CollectiveCall(
            collective: .allGather, input: input, output: output,
            sizes: counts.map { .blocks($0) } ?? .each(values.count), type: Element.dataType, algorithm: algorithm,
            timeout: timeout))
      }
    }
  }

  /// Starts an all-gather and returns at once. The memory belongs to the operation until its ``Work`` is done.
  ///
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startAllGather(
    from input: UnsafeRawPointer, to output: UnsafeMutableRawPointer, count: Int, type: DataType, algorithm: String? = nil,
    timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try start(
      CollectiveCall(
        collective: .allGather, input: input, output: output, sizes: .each(count), type: type, algorithm: algorithm,
        timeout: timeout))
  }

  /// Starts the v-form and returns at once. The memory belongs to the operation until its ``Work`` is done.
  ///
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startAllGather(
    from input: UnsafeRawPointer, to output: UnsafeMutableRawPointer, counts: [Int], type: DataType,
    algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try start(
      CollectiveCall(
        collective: .allGather, input: input, output: output, sizes: .blocks(counts), type: type, algorithm: algorithm,
        timeout: timeout))
  }

  /// Starts an all-gather of buffers, which the operation keeps alive until it ends.
  ///
  /// - Parameters:
  ///   - input: Shape `[count]`.
  ///   - output: Shape `[rankCount x count]`.
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startAllGather<Element>(
    _ input: TuttiBuffer<Element>, to output: TuttiBuffer<Element>, algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try check(output, holds: rankCount, times: input)
    return try start(
      CollectiveCall(
        collective: .allGather, input: input.memory, output: output.mutableMemory, sizes: .each(input.count),
        type: Element.dataType, algorithm: algorithm, timeout: timeout),
      owner: BufferPair(input, output))
  }

  // MARK: Checks

  /// Refuses buffers of which one is not `times` the other.
  func check<Element>(
    _ larger: TuttiBuffer<Element>, holds times: Int, times smaller: TuttiBuffer<Element>
  ) throws(TuttiError) {
    try checkLayout(Element.self)
    if larger.count != smaller.count * times {
      throw TuttiError(
        refused(
          "a buffer of \(larger.count) elements was given where \(smaller.count * times) are needed",
          "Make it \(smaller.count * times) elements long"))
    }
  }

  /// Elements of all ranks' blocks; refuses an array that has not the length that `counts` says of this rank's.
  func total(of counts: [Int]?, own count: Int) throws(TuttiError) -> Int {
    guard let counts else { return count * rankCount }
    do throws(FailureReport) {
      let total = try sum(counts)
      if counts[rank] == count { return total }
      throw refused(
        "rank \(rank) gives \(count) elements, where the counts say \(counts[rank])",
        "Give the counts of all ranks, as they are")
    } catch { throw TuttiError(error) }
  }
}

extension TuttiBuffer {
  var mutableMemory: UnsafeMutableRawPointer { UnsafeMutableRawPointer(pointer.baseAddress!) }
  var memory: UnsafeRawPointer { UnsafeRawPointer(pointer.baseAddress!) }
}
