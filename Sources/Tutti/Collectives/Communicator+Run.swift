// How every collective is run or started, whatever memory it is called with.

import TuttiEngine
import TuttiSchedule
import TuttiSystem

extension Communicator {
  /// Runs a collective to its end on this thread: what every blocking call comes down to, but for all-reduces and barriers,
  /// which have shorter ways.
  @usableFromInline
  func run(
    _ collective: Collective, _ input: RawMemory?, _ output: RawMemory?, _ blocks: BlockSizes, _ operation: ReduceOp,
    root: Int, _ algorithm: AlgorithmName, _ timeout: Duration?, outputBlocks: BlockSizes = .equal
  ) throws(TuttiError) {
    try run(
      CollectiveCall(
        collective: collective, input: input, output: output, blocks: blocks, outputBlocks: outputBlocks,
        operation: operation, root: root, algorithm: algorithm, timeout: timeout))
  }

  /// Runs an all-reduce to its end on this thread.
  ///
  /// A small one costs little more than this call. So input and output are compared here, inlined into the caller, where the
  /// compiler often knows that they are alike; and nothing is looked at that only other collectives need.
  @inlinable
  func runAllReduce(
    _ input: RawMemory, _ output: RawMemory, _ operation: ReduceOp, _ algorithm: AlgorithmName, _ timeout: Duration?
  ) throws(TuttiError) {
    if input.count != output.count || input.type != output.type {
      return try run(.allReduce, input, output, .equal, operation, root: 0, algorithm, timeout)
    }
    try runAllReduce(input.address, output.address, input.count, input.type, operation, algorithm, timeout)
  }

  /// Runs an all-reduce whose input and output are alike in count and type to its end on this thread.
  @usableFromInline
  package func runAllReduce(
    _ input: UnsafeMutableRawPointer?, _ output: UnsafeMutableRawPointer?, _ count: Int, _ type: DataType,
    _ operation: ReduceOp, _ algorithm: AlgorithmName, _ timeout: Duration?
  ) throws(TuttiError) {
    try runWhole(.allReduce, input, output, count, type, operation, algorithm, timeout)
  }

  /// Runs an all-reduce or a barrier to its end on this thread.
  @inline(__always)
  func runWhole(
    _ collective: Collective, _ input: UnsafeMutableRawPointer?, _ output: UnsafeMutableRawPointer?, _ count: Int,
    _ type: DataType, _ operation: ReduceOp, _ algorithm: AlgorithmName, _ timeout: Duration?
  ) throws(TuttiError) {
    do throws(FailureReport) {
      var request = try request(collective, input, output, count, type, operation, algorithm, timeout)
      if strictCheck != nil { try agree(on: &request) }
      try engine.run(request)
    } catch { throw TuttiError(error) }
  }

  /// Runs a collective over memory that stays where it is, and keeps it alive until the call has ended.
  @inlinable
  func run<Memory: LastingMemory>(
    _ collective: Collective, lasting input: Memory?, _ output: Memory?, _ blocks: BlockSizes, _ operation: ReduceOp,
    root: Int, _ algorithm: AlgorithmName, _ timeout: Duration?, outputBlocks: BlockSizes = .equal
  ) throws(TuttiError) {
    // A buffer whose last use is this call could be freed as soon as its address is known.
    defer {
      withExtendedLifetime(input) {}
      withExtendedLifetime(output) {}
    }
    try run(
      collective, input?.rawMemory, output?.rawMemory, blocks, operation, root: root, algorithm, timeout,
      outputBlocks: outputBlocks)
  }

  /// Starts a collective: what every start comes down to.
  @inlinable
  func start<Memory: LastingMemory>(
    _ collective: Collective, _ input: Memory?, _ output: Memory?, _ blocks: BlockSizes, _ operation: ReduceOp, root: Int,
    _ algorithm: AlgorithmName, _ timeout: Duration?, outputBlocks: BlockSizes = .equal
  ) throws(TuttiError) -> Work {
    try start(
      CollectiveCall(
        collective: collective, input: input?.rawMemory, output: output?.rawMemory, blocks: blocks,
        outputBlocks: outputBlocks, operation: operation, root: root, algorithm: algorithm, timeout: timeout),
      owner: Self.keeper(input?.keeper, output?.keeper))
  }

  /// Runs a call to its end on this thread.
  @inline(__always)
  package func run(_ call: CollectiveCall) throws(TuttiError) {
    do throws(FailureReport) {
      var request = try request(call)
      if strictCheck != nil { try agree(on: &request) }
      try engine.run(request)
    } catch { throw TuttiError(error) }
  }

  /// Starts a call, which keeps `owner` alive until it ends.
  @usableFromInline
  package func start(_ call: CollectiveCall, owner: AnyObject? = nil) throws(TuttiError) -> Work {
    try start(call) { _ in owner }
  }

  /// Starts a call that has to be prepared once nothing refuses it any more and, under the strict check, all ranks have said
  /// that they make it.
  ///
  /// - Parameter prepare: May write to the caller's memory, and make the request one over other memory. Returns what the
  ///   call keeps alive until it ends.
  @inline(__always)
  func start(_ call: CollectiveCall, prepare: (inout Request) -> AnyObject?) throws(TuttiError) -> Work {
    do throws(FailureReport) {
      var request = try request(call)
      if strictCheck != nil { try agree(on: &request) }
      let owner = prepare(&request)
      let (number, algorithm) = try engine.begin(request, owner: owner)
      return Work(communicator: self, number: number, call: (call.collective, algorithm))
    } catch { throw TuttiError(error) }
  }

  /// Performs the strict check: returns once all ranks have said that they are about to make the same call. The time that
  /// this takes counts toward the call's limit.
  @inline(never)
  private func agree(on request: inout Request) throws(FailureReport) {
    request.limit = engine.begun(request.limit)
    try strictCheck?.agree(on: request, of: self)
  }

  /// What keeps the memory of a call alive.
  @usableFromInline
  static func keeper(_ first: AnyObject?, _ second: AnyObject?) -> AnyObject? {
    guard let first else { return second }
    guard let second, second !== first else { return first }
    return KeeperPair(first, second)
  }

  // MARK: Arrays

  /// Runs `body` and returns its outcome as a value, because closures of the standard library lose the error's type.
  @inlinable
  func result(_ body: () throws(TuttiError) -> Void) -> Result<Void, TuttiError> {
    do throws(TuttiError) { return .success(try body()) } catch { return .failure(error) }
  }

  /// An array of `count` elements that `body` writes, from another one that it reads.
  @inlinable
  func makeArray<Element: TuttiElement>(
    count: Int, from values: [Element], _ body: (RawMemory, RawMemory) throws(TuttiError) -> Void
  ) throws(TuttiError) -> [Element] {
    guard count > 0 else {
      // The standard library would write the count into storage that all empty arrays share.
      try values.withRawMemory { input in
        self.result { () throws(TuttiError) in try body(input, RawMemory(nil, count: count, of: Element.self)) }
      }.get()
      return []
    }
    var failure: TuttiError?
    let result = [Element](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      values.withRawMemory { input in
        do throws(TuttiError) {
          try body(input, RawMemory(buffer.baseAddress, count: count, of: Element.self))
          initializedCount = count
        } catch { failure = error }
      }
    }
    if let failure { throw failure }
    return result
  }

  /// Elements of this rank's block of `count`.
  @usableFromInline
  func ownBlock(of count: Int, _ blocks: BlockSizes) throws(TuttiError) -> Int {
    do throws(FailureReport) {
      switch blocks {
      case .equal: return try equalBlock(of: count)
      case .each(let counts):
        _ = try sum(counts)
        return counts[rank]
      }
    } catch { throw TuttiError(error) }
  }

  /// Elements of all blocks, where this rank's has `count`.
  @usableFromInline
  package func total(of blocks: BlockSizes, own count: Int) throws(TuttiError) -> Int {
    do throws(FailureReport) {
      switch blocks {
      case .equal:
        if count < 0 || count > Self.countMax / rankCount { throw badCount(count) }
        return count * rankCount
      case .each(let counts): return try sum(counts)
      }
    } catch { throw TuttiError(error) }
  }
}

/// Two owners of memory that one operation keeps alive.
private final class KeeperPair {
  private let keepers: (AnyObject, AnyObject)

  init(_ first: AnyObject, _ second: AnyObject) { keepers = (first, second) }
}
