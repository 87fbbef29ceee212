import TuttiSchedule

// The collectives that combine the data of all ranks: all-reduce, reduce, reduce-scatter. And the barrier, which has no
// data.

extension Communicator {
  // MARK: All-reduce

  /// Combines the memory of all ranks element-wise and leaves the result on every rank, in place.
  ///
  /// Every rank calls this in the same order with the same count, type, operation and algorithm. The result is bit-identical
  /// on all ranks and on every run; it may differ between algorithms.
  ///
  /// - Parameters:
  ///   - values: An array or mutable span, shape `[count]`; `count` may be 0 and need not divide by the rank count.
  ///   - operation: `.sum`, `.min`, ...; float16 and bfloat16 are combined in float32.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole call, opening links included; nil for the communicator's.
  /// - Throws: ``TuttiError`` with `.timeout`, `.peerLost`, `.transport`, or `.mismatch` (ranks disagree on count, type or
  ///   call): the communicator is then aborted and `values` unspecified. `.invalidArgument` changes nothing.
  /// - Complexity: Each rank sends about `2(n-1)/n x count x size` bytes with the bandwidth-optimal algorithms.
  /// - SeeAlso: `MPI_Allreduce`, `ncclAllReduce`; `docs/ALGORITHMS.md`.
  @inlinable
  @available(*, noasync, message: "use startAllReduce and 'try await work.finish()'")
  public func allReduce<Memory: WritableMemory & ~Copyable & ~Escapable>(
    _ values: inout Memory, _ operation: ReduceOp, algorithm: AlgorithmName = .automatic, timeout: Duration? = nil
  ) throws(TuttiError) {
    try values.withMutableRawMemory { memory in
      result { () throws(TuttiError) in
        try runAllReduce(memory, memory, operation, algorithm, timeout)
      }
    }.get()
  }

  /// Combines buffers or raw memory of all ranks element-wise and leaves the result in every rank's `output`.
  ///
  /// - Parameters:
  ///   - input: Shape `[count]`. Not written, unless it is the output.
  ///   - output: Shape `[count]`, apart from `input` or the same; nil for in place.
  ///   - operation: `.sum`, `.min`, ...; float16 and bfloat16 are combined in float32.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole call; nil for the communicator's.
  /// - Throws: ``TuttiError``, like ``allReduce(_:_:algorithm:timeout:)``.
  @inlinable
  @available(*, noasync, message: "use startAllReduce and 'try await work.finish()'")
  public func allReduce<Memory: LastingMemory>(
    _ input: Memory, to output: Memory? = nil, _ operation: ReduceOp, algorithm: AlgorithmName = .automatic,
    timeout: Duration? = nil
  ) throws(TuttiError) {
    // A buffer whose last use is this call could be freed as soon as its address is known.
    defer {
      withExtendedLifetime(input) {}
      withExtendedLifetime(output) {}
    }
    let source = input.rawMemory
    try runAllReduce(source, output?.rawMemory ?? source, operation, algorithm, timeout)
  }

  /// Starts an all-reduce and returns at once.
  ///
  /// The memory belongs to the operation until its ``Work`` is done: do not read or write it. A ``TuttiBuffer`` is kept
  /// alive until then; raw memory is for the caller to keep.
  ///
  /// - Parameters:
  ///   - input: Shape `[count]`.
  ///   - output: Shape `[count]`, apart from `input` or the same; nil for in place.
  ///   - operation: `.sum`, `.min`, ...
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole operation; nil for the communicator's.
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  @inlinable
  public func startAllReduce<Memory: LastingMemory>(
    _ input: Memory, to output: Memory? = nil, _ operation: ReduceOp, algorithm: AlgorithmName = .automatic,
    timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try start(
      .allReduce, input, output ?? input, .equal, operation, root: 0, algorithm, timeout)
  }

  // MARK: Reduce

  /// Combines the memory of all ranks element-wise; the root's becomes the result, the others' stay as they are.
  ///
  /// - Parameters:
  ///   - values: An array or mutable span, shape `[count]`, the same count on every rank.
  ///   - operation: `.sum`, `.min`, ...
  ///   - root: The rank that gets the result; the same on every rank.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole call; nil for the communicator's.
  /// - Throws: ``TuttiError``, like ``allReduce(_:_:algorithm:timeout:)``.
  /// - SeeAlso: `MPI_Reduce`, `ncclReduce`; `docs/ALGORITHMS.md`.
  @inlinable
  @available(*, noasync, message: "use startReduce and 'try await work.finish()'")
  public func reduce<Memory: WritableMemory & ~Copyable & ~Escapable>(
    _ values: inout Memory, _ operation: ReduceOp, root: Int, algorithm: AlgorithmName = .automatic,
    timeout: Duration? = nil
  ) throws(TuttiError) {
    try values.withMutableRawMemory { memory in
      result { () throws(TuttiError) in
        try run(.reduce, memory, memory, .equal, operation, root: root, algorithm, timeout)
      }
    }.get()
  }

  /// Combines buffers or raw memory of all ranks element-wise and leaves the result in the root's `output`.
  ///
  /// - Parameters:
  ///   - input: Shape `[count]`.
  ///   - output: Shape `[count]`; written on the root only, where it may be `input`, and ignored elsewhere. nil for in
  ///     place.
  ///   - operation: `.sum`, `.min`, ...
  ///   - root: The rank that gets the result; the same on every rank.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole call; nil for the communicator's.
  /// - Throws: ``TuttiError``, like ``allReduce(_:_:algorithm:timeout:)``.
  @inlinable
  @available(*, noasync, message: "use startReduce and 'try await work.finish()'")
  public func reduce<Memory: LastingMemory>(
    _ input: Memory, to output: Memory? = nil, _ operation: ReduceOp, root: Int, algorithm: AlgorithmName = .automatic,
    timeout: Duration? = nil
  ) throws(TuttiError) {
    try run(.reduce, lasting: input, output ?? input, .equal, operation, root: root, algorithm, timeout)
  }

  /// Starts a reduce and returns at once. The memory belongs to the operation until its ``Work`` is done.
  ///
  /// - Parameters:
  ///   - input: Shape `[count]`.
  ///   - output: Shape `[count]`; written on the root only. nil for in place.
  ///   - operation: `.sum`, `.min`, ...
  ///   - root: The rank that gets the result; the same on every rank.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole operation; nil for the communicator's.
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  @inlinable
  public func startReduce<Memory: LastingMemory>(
    _ input: Memory, to output: Memory? = nil, _ operation: ReduceOp, root: Int, algorithm: AlgorithmName = .automatic,
    timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try start(.reduce, input, output ?? input, .equal, operation, root: root, algorithm, timeout)
  }

  // MARK: Reduce-scatter

  /// Combines the memory of all ranks element-wise and returns this rank's block of the result.
  ///
  /// - Parameters:
  ///   - values: An array, shape: all ranks' blocks one after the other; the same on every rank.
  ///   - operation: `.sum`, `.min`, ...
  ///   - blocks: How the elements are divided.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole call; nil for the communicator's.
  /// - Throws: ``TuttiError``, like ``allReduce(_:_:algorithm:timeout:)``.
  /// - Complexity: Each rank sends about `(n-1) x count x size` bytes of blocks of `count`, in `log2 n` to `n - 1` rounds.
  /// - SeeAlso: `MPI_Reduce_scatter`, `ncclReduceScatter`; `docs/ALGORITHMS.md`.
  @inlinable
  @available(*, noasync, message: "use startReduceScatter and 'try await work.finish()'")
  public func reduceScatter<Element: TuttiElement>(
    _ values: [Element], _ operation: ReduceOp, blocks: BlockSizes = .equal, algorithm: AlgorithmName = .automatic,
    timeout: Duration? = nil
  ) throws(TuttiError) -> [Element] {
    try makeArray(count: try ownBlock(of: values.count, blocks), from: values) { input, output throws(TuttiError) in
      try run(.reduceScatter, input, output, blocks, operation, root: 0, algorithm, timeout)
    }
  }

  /// Combines buffers or raw memory of all ranks element-wise and leaves block r of the result in rank r's `output`.
  ///
  /// - Parameters:
  ///   - input: Shape: all ranks' blocks one after the other.
  ///   - output: Shape: this rank's block. It may be that block of `input`; the others are then left as they are.
  ///   - operation: `.sum`, `.min`, ...
  ///   - blocks: How the elements are divided.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole call; nil for the communicator's.
  /// - Throws: ``TuttiError``, like ``allReduce(_:_:algorithm:timeout:)``.
  @inlinable
  @available(*, noasync, message: "use startReduceScatter and 'try await work.finish()'")
  public func reduceScatter<Memory: LastingMemory>(
    _ input: Memory, to output: Memory, _ operation: ReduceOp, blocks: BlockSizes = .equal,
    algorithm: AlgorithmName = .automatic, timeout: Duration? = nil
  ) throws(TuttiError) {
    try run(.reduceScatter, lasting: input, output, blocks, operation, root: 0, algorithm, timeout)
  }

  /// Starts a reduce-scatter and returns at once. The memory belongs to the operation until its ``Work`` is done.
  ///
  /// - Parameters:
  ///   - input: Shape: all ranks' blocks one after the other.
  ///   - output: Shape: this rank's block.
  ///   - operation: `.sum`, `.min`, ...
  ///   - blocks: How the elements are divided.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole operation; nil for the communicator's.
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  @inlinable
  public func startReduceScatter<Memory: LastingMemory>(
    _ input: Memory, to output: Memory, _ operation: ReduceOp, blocks: BlockSizes = .equal,
    algorithm: AlgorithmName = .automatic, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try start(.reduceScatter, input, output, blocks, operation, root: 0, algorithm, timeout)
  }

  // MARK: Barrier

  /// Returns once every rank has called it.
  ///
  /// - Parameters:
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole call; nil for the communicator's.
  /// - Throws: ``TuttiError``, like any collective.
  /// - Complexity: Dissemination: `ceil(log2 n)` rounds of empty messages.
  @available(*, noasync, message: "use startBarrier and 'try await work.finish()'")
  public func barrier(algorithm: AlgorithmName = .automatic, timeout: Duration? = nil) throws(TuttiError) {
    try runWhole(.barrier, Self.nowhere, Self.nowhere, 0, .int32, .sum, algorithm, timeout)
  }

  /// Starts a barrier and returns at once: its ``Work`` is done once every rank has called or started it.
  ///
  /// - Parameters:
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole operation; nil for the communicator's.
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  /// - SeeAlso: `MPI_Ibarrier`.
  public func startBarrier(algorithm: AlgorithmName = .automatic, timeout: Duration? = nil) throws(TuttiError) -> Work {
    let none = RawMemory(Self.nowhere, count: 0, type: .int32)
    return try start(
      CollectiveCall(collective: .barrier, input: none, output: none, algorithm: algorithm, timeout: timeout))
  }
}
