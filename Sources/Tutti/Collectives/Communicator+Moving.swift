import TuttiSchedule

// The collectives that only move data: broadcast, gather, scatter, all-gather, all-to-all.

extension Communicator {
  // MARK: Broadcast

  /// Leaves the root's memory in every rank's.
  ///
  /// - Parameters:
  ///   - values: An array or mutable span, shape `[count]`, the same count on every rank. Read on the root, written on the
  ///     others.
  ///   - root: The rank that has the data; the same on every rank.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole call; nil for the communicator's.
  /// - Throws: ``TuttiError``, like ``allReduce(_:_:algorithm:timeout:)``.
  /// - SeeAlso: `MPI_Bcast`, `ncclBroadcast`; `docs/ALGORITHMS.md`.
  @inlinable
  @available(*, noasync, message: "use startBroadcast and 'try await work.finish()'")
  public func broadcast<Memory: WritableMemory & ~Copyable & ~Escapable>(
    _ values: inout Memory, root: Int, algorithm: AlgorithmName = .automatic, timeout: Duration? = nil
  ) throws(TuttiError) {
    try values.withMutableRawMemory { memory in
      result { () throws(TuttiError) in
        try run(.broadcast, memory, memory, .equal, .sum, root: root, algorithm, timeout)
      }
    }.get()
  }

  /// Leaves the root's `input` in every rank's `output`, the root's included.
  ///
  /// - Parameters:
  ///   - input: Shape `[count]`; read on the root only, and ignored elsewhere, where it may be nil.
  ///   - output: Shape `[count]`; nil for in place.
  ///   - root: The rank that has the data; the same on every rank.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole call; nil for the communicator's.
  /// - Throws: ``TuttiError``, like ``allReduce(_:_:algorithm:timeout:)``.
  @inlinable
  @available(*, noasync, message: "use startBroadcast and 'try await work.finish()'")
  public func broadcast<Memory: LastingMemory>(
    _ input: Memory?, to output: Memory? = nil, root: Int, algorithm: AlgorithmName = .automatic,
    timeout: Duration? = nil
  ) throws(TuttiError) {
    try run(
      .broadcast, lasting: input, output ?? input, .equal, .sum, root: root, algorithm, timeout)
  }

  /// Starts a broadcast and returns at once. The memory belongs to the operation until its ``Work`` is done.
  ///
  /// - Parameters:
  ///   - input: Shape `[count]`; read on the root only, and ignored elsewhere, where it may be nil.
  ///   - output: Shape `[count]`; nil for in place.
  ///   - root: The rank that has the data; the same on every rank.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole operation; nil for the communicator's.
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  @inlinable
  public func startBroadcast<Memory: LastingMemory>(
    _ input: Memory?, to output: Memory? = nil, root: Int, algorithm: AlgorithmName = .automatic,
    timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try start(.broadcast, input, output ?? input, .equal, .sum, root: root, algorithm, timeout)
  }

  // MARK: Gather

  /// Returns all ranks' arrays, one after the other, on the root, and nothing elsewhere.
  ///
  /// - Parameters:
  ///   - values: Shape: this rank's block.
  ///   - root: The rank that gets the blocks; the same on every rank.
  ///   - blocks: How many elements each rank gives.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole call; nil for the communicator's.
  /// - Throws: ``TuttiError``, like ``allReduce(_:_:algorithm:timeout:)``.
  /// - SeeAlso: `MPI_Gather`, `MPI_Gatherv`; `docs/ALGORITHMS.md`.
  @inlinable
  @available(*, noasync, message: "use startGather and 'try await work.finish()'")
  public func gather<Element: TuttiElement>(
    _ values: [Element], root: Int, blocks: BlockSizes = .equal, algorithm: AlgorithmName = .automatic,
    timeout: Duration? = nil
  ) throws(TuttiError) -> [Element] {
    let total = try total(of: blocks, own: values.count)
    return try makeArray(count: rank == root ? total : 0, from: values) { input, output throws(TuttiError) in
      try run(.gather, input, output, blocks, .sum, root: root, algorithm, timeout)
    }
  }

  /// Leaves all ranks' blocks, in rank order, in the root's `output`.
  ///
  /// - Parameters:
  ///   - input: Shape: this rank's block. On the root it may be its block of `output`.
  ///   - output: Shape: all blocks one after the other; written on the root only, and ignored elsewhere, where it may be
  ///     nil.
  ///   - root: The rank that gets the blocks; the same on every rank.
  ///   - blocks: How many elements each rank gives.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole call; nil for the communicator's.
  /// - Throws: ``TuttiError``, like ``allReduce(_:_:algorithm:timeout:)``.
  @inlinable
  @available(*, noasync, message: "use startGather and 'try await work.finish()'")
  public func gather<Memory: LastingMemory>(
    _ input: Memory, to output: Memory?, root: Int, blocks: BlockSizes = .equal, algorithm: AlgorithmName = .automatic,
    timeout: Duration? = nil
  ) throws(TuttiError) {
    try run(.gather, lasting: input, output, blocks, .sum, root: root, algorithm, timeout)
  }

  /// Starts a gather and returns at once. The memory belongs to the operation until its ``Work`` is done.
  ///
  /// - Parameters:
  ///   - input: Shape: this rank's block.
  ///   - output: Shape: all blocks one after the other; written on the root only, and ignored elsewhere, where it may be
  ///     nil.
  ///   - root: The rank that gets the blocks; the same on every rank.
  ///   - blocks: How many elements each rank gives.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole operation; nil for the communicator's.
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  @inlinable
  public func startGather<Memory: LastingMemory>(
    _ input: Memory, to output: Memory?, root: Int, blocks: BlockSizes = .equal, algorithm: AlgorithmName = .automatic,
    timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try start(.gather, input, output, blocks, .sum, root: root, algorithm, timeout)
  }

  // MARK: Scatter

  /// Returns this rank's block of the root's array.
  ///
  /// - Parameters:
  ///   - values: The root's, shape: all blocks one after the other; ignored elsewhere.
  ///   - count: Elements of this rank's block.
  ///   - root: The rank that has the blocks; the same on every rank.
  ///   - blocks: How many elements each rank gets.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole call; nil for the communicator's.
  /// - Throws: ``TuttiError``, like ``allReduce(_:_:algorithm:timeout:)``.
  /// - SeeAlso: `MPI_Scatter`, `MPI_Scatterv`; `docs/ALGORITHMS.md`.
  @inlinable
  @available(*, noasync, message: "use startScatter and 'try await work.finish()'")
  public func scatter<Element: TuttiElement>(
    _ values: [Element], count: Int, root: Int, blocks: BlockSizes = .equal, algorithm: AlgorithmName = .automatic,
    timeout: Duration? = nil
  ) throws(TuttiError) -> [Element] {
    try makeArray(count: count, from: values) { input, output throws(TuttiError) in
      try run(.scatter, input, output, blocks, .sum, root: root, algorithm, timeout)
    }
  }

  /// Leaves block r of the root's `input` in rank r's `output`.
  ///
  /// - Parameters:
  ///   - input: Shape: all blocks one after the other; read on the root only, and ignored elsewhere, where it may be nil.
  ///   - output: Shape: this rank's block. On the root it may be its block of `input`.
  ///   - root: The rank that has the blocks; the same on every rank.
  ///   - blocks: How many elements each rank gets.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole call; nil for the communicator's.
  /// - Throws: ``TuttiError``, like ``allReduce(_:_:algorithm:timeout:)``.
  @inlinable
  @available(*, noasync, message: "use startScatter and 'try await work.finish()'")
  public func scatter<Memory: LastingMemory>(
    _ input: Memory?, to output: Memory, root: Int, blocks: BlockSizes = .equal, algorithm: AlgorithmName = .automatic,
    timeout: Duration? = nil
  ) throws(TuttiError) {
    try run(.scatter, lasting: input, output, blocks, .sum, root: root, algorithm, timeout)
  }

  /// Starts a scatter and returns at once. The memory belongs to the operation until its ``Work`` is done.
  ///
  /// - Parameters:
  ///   - input: Shape: all blocks one after the other; read on the root only, and ignored elsewhere, where it may be nil.
  ///   - output: Shape: this rank's block.
  ///   - root: The rank that has the blocks; the same on every rank.
  ///   - blocks: How many elements each rank gets.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole operation; nil for the communicator's.
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  @inlinable
  public func startScatter<Memory: LastingMemory>(
    _ input: Memory?, to output: Memory, root: Int, blocks: BlockSizes = .equal, algorithm: AlgorithmName = .automatic,
    timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try start(.scatter, input, output, blocks, .sum, root: root, algorithm, timeout)
  }

  // MARK: All-gather

  /// Returns all ranks' arrays, one after the other.
  ///
  /// - Parameters:
  ///   - values: Shape: this rank's block.
  ///   - blocks: How many elements each rank gives.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole call; nil for the communicator's.
  /// - Throws: ``TuttiError``, like ``allReduce(_:_:algorithm:timeout:)``.
  /// - Complexity: Each rank sends or passes on about `(n-1) x count x size` bytes of blocks of `count`, in `log2 n` to
  ///   `n - 1` rounds.
  /// - SeeAlso: `MPI_Allgather`, `MPI_Allgatherv`, `ncclAllGather`; `docs/ALGORITHMS.md`.
  @inlinable
  @available(*, noasync, message: "use startAllGather and 'try await work.finish()'")
  public func allGather<Element: TuttiElement>(
    _ values: [Element], blocks: BlockSizes = .equal, algorithm: AlgorithmName = .automatic, timeout: Duration? = nil
  ) throws(TuttiError) -> [Element] {
    try makeArray(count: try total(of: blocks, own: values.count), from: values) { input, output throws(TuttiError) in
      try run(.allGather, input, output, blocks, .sum, root: 0, algorithm, timeout)
    }
  }

  /// Leaves all ranks' blocks, in rank order, in every rank's `output`.
  ///
  /// - Parameters:
  ///   - input: Shape: this rank's block. It may be that block of `output`.
  ///   - output: Shape: all blocks one after the other.
  ///   - blocks: How many elements each rank gives.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole call; nil for the communicator's.
  /// - Throws: ``TuttiError``, like ``allReduce(_:_:algorithm:timeout:)``.
  @inlinable
  @available(*, noasync, message: "use startAllGather and 'try await work.finish()'")
  public func allGather<Memory: LastingMemory>(
    _ input: Memory, to output: Memory, blocks: BlockSizes = .equal, algorithm: AlgorithmName = .automatic,
    timeout: Duration? = nil
  ) throws(TuttiError) {
    try run(.allGather, lasting: input, output, blocks, .sum, root: 0, algorithm, timeout)
  }

  /// Starts an all-gather and returns at once. The memory belongs to the operation until its ``Work`` is done.
  ///
  /// - Parameters:
  ///   - input: Shape: this rank's block.
  ///   - output: Shape: all blocks one after the other.
  ///   - blocks: How many elements each rank gives.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole operation; nil for the communicator's.
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  @inlinable
  public func startAllGather<Memory: LastingMemory>(
    _ input: Memory, to output: Memory, blocks: BlockSizes = .equal, algorithm: AlgorithmName = .automatic,
    timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try start(.allGather, input, output, blocks, .sum, root: 0, algorithm, timeout)
  }

  // MARK: All-to-all

  /// Returns the blocks that all ranks have for this one, in rank order.
  ///
  /// - Parameters:
  ///   - values: Shape: a block for each rank, one after the other; the same count on every rank.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole call; nil for the communicator's.
  /// - Throws: ``TuttiError``, like ``allReduce(_:_:algorithm:timeout:)``.
  /// - Complexity: Each rank sends `(n-1) x count x size` bytes in `n - 1` messages, or about `log2 n / 2` times as many
  ///   bytes in `log2 n` messages.
  /// - SeeAlso: `MPI_Alltoall`; `docs/ALGORITHMS.md`.
  @inlinable
  @available(*, noasync, message: "use startAllToAll and 'try await work.finish()'")
  public func allToAll<Element: TuttiElement>(
    _ values: [Element], algorithm: AlgorithmName = .automatic, timeout: Duration? = nil
  ) throws(TuttiError) -> [Element] {
    try makeArray(count: values.count, from: values) { input, output throws(TuttiError) in
      try run(.allToAll, input, output, .equal, .sum, root: 0, algorithm, timeout)
    }
  }

  /// Leaves block r of rank s's `input` as block s of rank r's `output`.
  ///
  /// - Parameters:
  ///   - input: Shape: a block for each rank, one after the other.
  ///   - blocks: How many elements go to each rank.
  ///   - output: Shape: a block from each rank, one after the other; apart from `input`, or, with equal blocks, the same.
  ///   - outputBlocks: How many elements come from each rank: as many as it sends to this one. `.each` where `blocks` is.
  ///   - algorithm: A name of `collbench list`, the same on every rank; with `.each` one that serves unequal blocks:
  ///     `pairwise` or `direct`.
  ///   - timeout: Limit of the whole call; nil for the communicator's.
  /// - Throws: ``TuttiError``, like ``allReduce(_:_:algorithm:timeout:)``.
  /// - SeeAlso: `MPI_Alltoall`, `MPI_Alltoallv`.
  @inlinable
  @available(*, noasync, message: "use startAllToAll and 'try await work.finish()'")
  public func allToAll<Memory: LastingMemory>(
    _ input: Memory, blocks: BlockSizes = .equal, to output: Memory, blocks outputBlocks: BlockSizes = .equal,
    algorithm: AlgorithmName = .automatic, timeout: Duration? = nil
  ) throws(TuttiError) {
    try run(
      .allToAll, lasting: input, output, blocks, .sum, root: 0, algorithm, timeout, outputBlocks: outputBlocks)
  }

  /// Starts an all-to-all and returns at once. The memory belongs to the operation until its ``Work`` is done.
  ///
  /// - Parameters:
  ///   - input: Shape: a block for each rank, one after the other.
  ///   - blocks: How many elements go to each rank.
  ///   - output: Shape: a block from each rank, one after the other.
  ///   - outputBlocks: How many elements come from each rank.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole operation; nil for the communicator's.
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  @inlinable
  public func startAllToAll<Memory: LastingMemory>(
    _ input: Memory, blocks: BlockSizes = .equal, to output: Memory, blocks outputBlocks: BlockSizes = .equal,
    algorithm: AlgorithmName = .automatic, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try start(.allToAll, input, output, blocks, .sum, root: 0, algorithm, timeout, outputBlocks: outputBlocks)
  }
}
