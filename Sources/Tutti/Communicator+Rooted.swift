// The collectives with a root: broadcast, reduce, gather, scatter.

extension Communicator {
  // MARK: Broadcast

  /// Leaves the root's `buffer` in every rank's.
  ///
  /// - Parameters:
  ///   - buffer: Shape `[count]`; any alignment. Read on the root, written on the others.
  ///   - count: Elements; may be 0.
  ///   - root: The rank that has the data; the same on every rank.
  ///   - algorithm: A name of `collbench list`; nil or `auto` for the communicator's own choice. The same on every rank.
  ///   - timeout: Wall-clock limit of the whole operation; nil for the communicator's.
  /// - Throws: As ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  /// - SeeAlso: `MPI_Bcast`, `ncclBcast`; `docs/ALGORITHMS.md`.
  @available(*, noasync, message: "use startBroadcast and 'try await work.value'")
  public func broadcast(
    _ buffer: UnsafeMutableRawPointer, count: Int, type: DataType, root: Int, algorithm: String? = nil,
    timeout: Duration? = nil
  ) throws(TuttiError) {
    try broadcast(from: buffer, to: buffer, count: count, type: type, root: root, algorithm: algorithm, timeout: timeout)
  }

  /// Leaves the root's `input` in every rank's `output`, the root's included.
  ///
  /// - Parameter input: Shape `[count]`; read on the root only. `output` there makes the call in place.
  /// - Throws: As ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  /// - SeeAlso: `ncclBroadcast`.
  @available(*, noasync, message: "use startBroadcast and 'try await work.value'")
  public func broadcast(
    from input: UnsafeRawPointer?, to output: UnsafeMutableRawPointer, count: Int, type: DataType, root: Int,
    algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) {
    try run(
      CollectiveCall(
        collective: .broadcast, input: input, output: output, sizes: .each(count), type: type, root: root,
        algorithm: algorithm, timeout: timeout))
  }

  /// Leaves the root's array in every rank's.
  ///
  /// - Parameter values: Shape `[count]`, the same count on every rank.
  /// - Throws: As ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  @available(*, noasync, message: "use startBroadcast and 'try await work.value'")
  public func broadcast<Element: TuttiElement>(
    _ values: inout [Element], root: Int, algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) {
    let count = values.count
    try withMutableBytes(&values) { bytes throws(TuttiError) in
      try broadcast(bytes, count: count, type: Element.dataType, root: root, algorithm: algorithm, timeout: timeout)
    }
  }

  /// Starts a broadcast and returns at once. The memory belongs to the operation until its ``Work`` is done.
  ///
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startBroadcast(
    from input: UnsafeRawPointer?, to output: UnsafeMutableRawPointer, count: Int, type: DataType, root: Int,
    algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try start(
      CollectiveCall(
        collective: .broadcast, input: input, output: output, sizes: .each(count), type: type, root: root,
        algorithm: algorithm, timeout: timeout))
  }

  /// Starts a broadcast of a buffer, which the operation keeps alive until it ends.
  ///
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startBroadcast<Element>(
    _ buffer: TuttiBuffer<Element>, root: Int, algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try checkLayout(Element.self)
    return try start(
      CollectiveCall(
        collective: .broadcast, input: buffer.memory, output: buffer.mutableMemory, sizes: .each(buffer.count),
        type: Element.dataType, root: root, algorithm: algorithm, timeout: timeout),
      owner: buffer)
  }

  // MARK: Reduce

  /// Combines `input` element-wise across all ranks and leaves the result in the root's `output`.
  ///
  /// - Parameters:
  ///   - input: Shape `[count]`; any alignment.
  ///   - output: Shape `[count]`; written on the root only, where it may be `input`, and ignored elsewhere.
  ///   - count: Elements; may be 0.
  ///   - root: The rank that gets the result; the same on every rank.
  ///   - algorithm: A name of `collbench list`; nil or `auto` for the communicator's own choice. The same on every rank.
  ///   - timeout: Wall-clock limit of the whole operation; nil for the communicator's.
  /// - Throws: As ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  /// - SeeAlso: `MPI_Reduce`, `ncclReduce`; `docs/ALGORITHMS.md`.
  @available(*, noasync, message: "use startReduce and 'try await work.value'")
  public func reduce(
    from input: UnsafeRawPointer, to output: UnsafeMutableRawPointer?, count: Int, type: DataType, _ operation: ReduceOp,
    root: Int, algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) {
    try run(
      CollectiveCall(
        collective: .reduce, input: input, output: output, sizes: .each(count), type: type, operation: operation,
        root: root, algorithm: algorithm, timeout: timeout))
  }

  /// Combines arrays element-wise across all ranks; the root's becomes the result, the others stay as they are.
  ///
  /// - Parameter values: Shape `[count]`, the same count on every rank.
  /// - Throws: As ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  @available(*, noasync, message: "use startReduce and 'try await work.value'")
  public func reduce<Element: TuttiElement>(
    _ values: inout [Element], _ operation: ReduceOp, root: Int, algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) {
    let count = values.count
    try withMutableBytes(&values) { bytes throws(TuttiError) in
      try reduce(
        from: bytes, to: bytes, count: count, type: Element.dataType, operation, root: root, algorithm: algorithm,
        timeout: timeout)
    }
  }

  /// Starts a reduce and returns at once. The memory belongs to the operation until its ``Work`` is done.
  ///
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startReduce(
    from input: UnsafeRawPointer, to output: UnsafeMutableRawPointer?, count: Int, type: DataType, _ operation: ReduceOp,
    root: Int, algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try start(
      CollectiveCall(
        collective: .reduce, input: input, output: output, sizes: .each(count), type: type, operation: operation,
        root: root, algorithm: algorithm, timeout: timeout))
  }

  /// Starts a reduce of a buffer, in place on the root; the operation keeps it alive until it ends.
  ///
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startReduce<Element>(
    _ buffer: TuttiBuffer<Element>, _ operation: ReduceOp, root: Int, algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try checkLayout(Element.self)
    return try start(
      CollectiveCall(
        collective: .reduce, input: buffer.memory, output: buffer.mutableMemory, sizes: .each(buffer.count),
        type: Element.dataType, operation: operation, root: root, algorithm: algorithm, timeout: timeout),
      owner: buffer)
  }

  // MARK: Gather

  /// Leaves all ranks' blocks, in rank order, in the root's `output`.
  ///
  /// In place on the root when `input` is its block of `output`.
  ///
  /// - Parameters:
  ///   - input: Shape `[count]`; any alignment.
  ///   - output: Shape `[rankCount x count]`; written on the root only, and ignored elsewhere.
  ///   - count: Elements of each rank's block; may be 0.
  ///   - root: The rank that gets the blocks; the same on every rank.
  ///   - algorithm: A name of `collbench list`; nil or `auto` for the communicator's own choice. The same on every rank.
  ///   - timeout: Wall-clock limit of the whole operation; nil for the communicator's.
  /// - Throws: As ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  /// - SeeAlso: `MPI_Gather`; `docs/ALGORITHMS.md`.
  @available(*, noasync, message: "use startGather and 'try await work.value'")
  public func gather(
    from input: UnsafeRawPointer, to output: UnsafeMutableRawPointer?, count: Int, type: DataType, root: Int,
    algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) {
    try run(
      CollectiveCall(
        collective: .gather, input: input, output: output, sizes: .each(count), type: type, root: root,
        algorithm: algorithm, timeout: timeout))
  }

  /// The same with blocks of different sizes: the v-form.
  ///
  /// - Parameter counts: Elements of each rank's block, all on every rank.
  /// - Throws: As ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  /// - SeeAlso: `MPI_Gatherv`.
  @available(*, noasync, message: "use startGather and 'try await work.value'")
  public func gather(
    from input: UnsafeRawPointer, to output: UnsafeMutableRawPointer?, counts: [Int], type: DataType, root: Int,
    algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) {
    try run(
      CollectiveCall(
        collective: .gather, input: input, output: output, sizes: .blocks(counts), type: type, root: root,
        algorithm: algorithm, timeout: timeout))
  }

  /// Returns all ranks' arrays, one after the other, on the root, and nothing elsewhere.
  ///
  /// - Parameters:
  ///   - values: Shape `[count]`; the same count on every rank, unless `counts` says otherwise.
  ///   - counts: Elements of each rank's array, where they differ.
  /// - Throws: As ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  @available(*, noasync, message: "use startGather and 'try await work.value'")
  public func gather<Element: TuttiElement>(
    _ values: [Element], root: Int, counts: [Int]? = nil, algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) -> [Element] {
    let total = try total(of: counts, own: values.count)
    return try makeArray(count: rank == root ? total : 0) { output throws(TuttiError) in
      try withBytes(values) { input throws(TuttiError) in
        try run(
          CollectiveCall(
            collective: .gather, input: input, output: output, sizes: counts.map { .blocks($0) } ?? .each(values.count),
            type: Element.dataType, root: root, algorithm: algorithm, timeout: timeout))
      }
    }
  }

  /// Starts a gather and returns at once. The memory belongs to the operation until its ``Work`` is done.
  ///
  /// - Parameter counts: Elements of each rank's block, all on every rank.
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startGather(
    from input: UnsafeRawPointer, to output: UnsafeMutableRawPointer?, counts: [Int], type: DataType, root: Int,
    algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try start(
      CollectiveCall(
        collective: .gather, input: input, output: output, sizes: .blocks(counts), type: type, root: root,
        algorithm: algorithm, timeout: timeout))
  }

  /// Starts a gather of equal blocks and returns at once. The memory belongs to the operation until its ``Work`` is done.
  ///
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startGather(
    from input: UnsafeRawPointer, to output: UnsafeMutableRawPointer?, count: Int, type: DataType, root: Int,
    algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try start(
      CollectiveCall(
        collective: .gather, input: input, output: output, sizes: .each(count), type: type, root: root,
        algorithm: algorithm, timeout: timeout))
  }

  // MARK: Scatter

  /// Leaves block r of the root's `input` in rank r's `output`.
  ///
  /// In place on the root when `output` is its block of `input`.
  ///
  /// - Parameters:
  ///   - input: Shape `[rankCount x count]`; read on the root only, and ignored elsewhere.
  ///   - output: Shape `[count]`; any alignment.
  ///   - count: Elements of each rank's block; may be 0.
  ///   - root: The rank that has the blocks; the same on every rank.
  ///   - algorithm: A name of `collbench list`; nil or `auto` for the communicator's own choice. The same on every rank.
  ///   - timeout: Wall-clock limit of the whole operation; nil for the communicator's.
  /// - Throws: As ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  /// - SeeAlso: `MPI_Scatter`; `docs/ALGORITHMS.md`.
  @available(*, noasync, message: "use startScatter and 'try await work.value'")
  public func scatter(
    from input: UnsafeRawPointer?, to output: UnsafeMutableRawPointer, count: Int, type: DataType, root: Int,
    algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) {
    try run(
      CollectiveCall(
        collective: .scatter, input: input, output: output, sizes: .each(count), type: type, root: root,
        algorithm: algorithm, timeout: timeout))
  }

  /// The same with blocks of different sizes: the v-form.
  ///
  /// - Parameter counts: Elements of each rank's block, all on every rank.
  /// - Throws: As ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  /// - SeeAlso: `MPI_Scatterv`.
  @available(*, noasync, message: "use startScatter and 'try await work.value'")
  public func scatter(
    from input: UnsafeRawPointer?, to output: UnsafeMutableRawPointer, counts: [Int], type: DataType, root: Int,
    algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) {
    try run(
      CollectiveCall(
        collective: .scatter, input: input, output: output, sizes: .blocks(counts), type: type, root: root,
        algorithm: algorithm, timeout: timeout))
  }

  /// Returns this rank's block of the root's array.
  ///
  /// - Parameters:
  ///   - values: The root's, shape `[rankCount x count]`; ignored elsewhere.
  ///   - count: Elements of each rank's block.
  /// - Throws: As ``allReduce(from:to:count:type:_:algorithm:timeout:)``.
  @available(*, noasync, message: "use startScatter and 'try await work.value'")
  public func scatter<Element: TuttiElement>(
    _ values: [Element], count: Int, root: Int, algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) -> [Element] {
    if count < 0 || count > Self.countMax / rankCount { throw TuttiError(badCount(count)) }
    if rank == root, values.count != count * rankCount {
      throw TuttiError(
        refused(
          "\(values.count) elements are not \(rankCount) blocks of \(count)", "Give the root \(count * rankCount) elements"))
    }
    return try makeArray(count: count) { output throws(TuttiError) in
      try withBytes(values) { input throws(TuttiError) in
        try scatter(
          from: input, to: output, count: count, type: Element.dataType, root: root, algorithm: algorithm, timeout: timeout)
      }
    }
  }

  /// Starts a scatter and returns at once. The memory belongs to the operation until its ``Work`` is done.
  ///
  /// - Parameter counts: Elements of each rank's block, all on every rank.
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startScatter(
    from input: UnsafeRawPointer?, to output: UnsafeMutableRawPointer, counts: [Int], type: DataType, root: Int,
    algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try start(
      CollectiveCall(
        collective: .scatter, input: input, output: output, sizes: .blocks(counts), type: type, root: root,
        algorithm: algorithm, timeout: timeout))
  }

  /// Starts a scatter of equal blocks and returns at once. The memory belongs to the operation until its ``Work`` is done.
  ///
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startScatter(
    from input: UnsafeRawPointer?, to output: UnsafeMutableRawPointer, count: Int, type: DataType, root: Int,
    algorithm: String? = nil, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    try start(
      CollectiveCall(
        collective: .scatter, input: input, output: output, sizes: .each(count), type: type, root: root,
        algorithm: algorithm, timeout: timeout))
  }
}
