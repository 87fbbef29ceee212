// Collectives whose blocks lie in memory of their own, and several collectives as one.

import TuttiSchedule
import TuttiSystem

extension Communicator {
  /// Makes one operation of several started ones, of this communicator: many small tensors, say, that are waited for
  /// together.
  ///
  /// - Parameter works: Started by this communicator.
  /// - Returns: An operation that has ended when all of them have, whose handler is called once.
  /// - Throws: ``TuttiError`` with `.invalidArgument` where `works` is empty, or one of them is of another communicator;
  ///   ``WorkGroup`` takes works of any communicators.
  public func combine(_ works: [Work]) throws(TuttiError) -> Work {
    if works.contains(where: { $0.communicator !== self }) {
      throw TuttiError(refused("an operation of another communicator cannot be combined here", "Use a WorkGroup for them"))
    }
    guard let first = works.first else {
      throw TuttiError(refused("there are no operations to combine", "Give one or more that were started"))
    }
    return works.count == 1 ? first : composed(works) {}
  }

  func composed(_ works: [Work], finish: @escaping @Sendable () -> Void) -> Work {
    Work(communicator: self, number: composites.add(works, finish: finish), call: nil)
  }

  // MARK: Lists

  /// Starts to gather the blocks of all ranks, each into memory of its own.
  ///
  /// The blocks travel as one all-gather, through memory that the library holds meanwhile.
  ///
  /// - Parameters:
  ///   - input: Shape: this rank's block.
  ///   - outputs: For each rank, memory of the shape of its block, which is the same on every rank. They do not overlap.
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole operation; nil for the communicator's.
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startAllGather(
    _ input: RawMemory, to outputs: [RawMemory], algorithm: AlgorithmName = .automatic, timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    let list = try BlockList(outputs, input.type, of: self)
    let scratch = TuttiBuffer<UInt8>(count: list.bytes, repeating: 0)
    let whole = RawMemory(scratch.pointer.baseAddress, count: list.elements, type: input.type)
    let work = try start(
      CollectiveCall(
        collective: .allGather, input: input, output: whole, blocks: .each(list.counts), algorithm: algorithm,
        timeout: timeout), owner: scratch)
    return composed([work]) { list.copy(from: scratch) }
  }

  /// Starts to combine lists of blocks element-wise; block r of the result goes to rank r.
  ///
  /// The blocks travel as one reduce-scatter, through memory that the library holds meanwhile.
  ///
  /// - Parameters:
  ///   - inputs: For each rank, this rank's contribution to that rank's block; of the same shape on every rank.
  ///   - output: Shape: this rank's block.
  ///   - operation: `.sum`, `.min`, ...
  ///   - algorithm: A name of `collbench list`, the same on every rank.
  ///   - timeout: Limit of the whole operation; nil for the communicator's.
  /// - Throws: ``TuttiError`` when it cannot be started; what fails later, ``Work/wait()`` throws.
  public func startReduceScatter(
    _ inputs: [RawMemory], to output: RawMemory, _ operation: ReduceOp, algorithm: AlgorithmName = .automatic,
    timeout: Duration? = nil
  ) throws(TuttiError) -> Work {
    let list = try BlockList(inputs, output.type, of: self)
    let scratch = TuttiBuffer<UInt8>(count: list.bytes, repeating: 0)
    list.copy(to: scratch)
    let whole = RawMemory(scratch.pointer.baseAddress, count: list.elements, type: output.type)
    return try start(
      CollectiveCall(
        collective: .reduceScatter, input: whole, output: output, blocks: .each(list.counts), operation: operation,
        algorithm: algorithm, timeout: timeout), owner: scratch)
  }
}

/// The blocks of a list, each with its place in the whole.
private struct BlockList: @unchecked Sendable {
  // @unchecked: the memory is the caller's, who leaves it to the operation until that has ended.
  let blocks: [RawMemory]
  let counts: [Int]
  let elements: Int
  let bytes: Int

  /// Refuses a list that does not have one block of this type for each rank.
  init(_ blocks: [RawMemory], _ type: DataType, of communicator: Communicator) throws(TuttiError) {
    self.blocks = blocks
    counts = blocks.map(\.count)
    do throws(FailureReport) { elements = try communicator.sum(counts) } catch { throw TuttiError(error) }
    bytes = elements * type.size
    for (rank, block) in blocks.enumerated() {
      if block.type != type {
        throw TuttiError(
          communicator.refused(
            "block \(rank) has elements of \(block.type), and others of \(type)", "Give all the same type"))
      }
      if block.address == nil && block.count > 0 {
        throw TuttiError(communicator.refused("block \(rank) is nil, and has \(block.count) elements", "Give it memory"))
      }
    }
  }

  func copy(from whole: TuttiBuffer<UInt8>) { each(of: whole) { $0.copyMemory(from: $1, byteCount: $2) } }

  func copy(to whole: TuttiBuffer<UInt8>) { each(of: whole) { $1.copyMemory(from: $0, byteCount: $2) } }

  /// Calls `body` with each block, its place in the whole, and its bytes.
  private func each(
    of whole: TuttiBuffer<UInt8>, _ body: (UnsafeMutableRawPointer, UnsafeMutableRawPointer, Int) -> Void
  ) {
    guard var place = UnsafeMutableRawPointer(whole.pointer.baseAddress) else { return }
    for block in blocks {
      let bytes = block.count * block.type.size
      if bytes > 0, let address = block.address { body(address, place, bytes) }
      place += bytes
    }
  }
}
