import CTuttiKernels
import Foundation
import Synchronization
import Testing
import TuttiSystem
import TuttiTesting
import TuttiTransport

@testable import Tutti
@testable import TuttiEngine

/// What reductions carry, and which numbers stand for them.
struct ReductionTests {
  /// The numbers of the kernels' types and operations are those that ranks tell each other.
  @Test func numbersAgree() {
    let types: [(DataType, Int)] = [
      (.int8, Int(TUTTI_INT8)), (.uint8, Int(TUTTI_UINT8)), (.int32, Int(TUTTI_INT32)), (.uint32, Int(TUTTI_UINT32)),
      (.int64, Int(TUTTI_INT64)), (.uint64, Int(TUTTI_UINT64)), (.float16, Int(TUTTI_FLOAT16)),
      (.bfloat16, Int(TUTTI_BFLOAT16)), (.float32, Int(TUTTI_FLOAT32)), (.float64, Int(TUTTI_FLOAT64)),
      (.int16, Int(TUTTI_INT16)), (.uint16, Int(TUTTI_UINT16)), (.bool, Int(TUTTI_BOOL)),
    ]
    #expect(types.count == DataType.allCases.count && types.count == Int(TUTTI_DATA_TYPE_COUNT))
    for (type, number) in types { #expect(Int(type.rawValue) == number) }
    let operations: [(ReduceOp, Int)] = [
      (.sum, Int(TUTTI_SUM)), (.product, Int(TUTTI_PRODUCT)), (.min, Int(TUTTI_MIN)), (.max, Int(TUTTI_MAX)),
      (.bitwiseAnd, Int(TUTTI_BITWISE_AND)), (.bitwiseOr, Int(TUTTI_BITWISE_OR)), (.bitwiseXor, Int(TUTTI_BITWISE_XOR)),
      (.average, Int(TUTTI_OPERATION_COUNT)),
    ]
    #expect(operations.count == ReduceOp.allCases.count)
    for (operation, number) in operations { #expect(Int(operation.rawValue) == number) }
  }

  /// There is a reduction exactly where the public types say so, and it combines as its operation says.
  @Test func reductionsAreWhatTheyAreCalled() throws {
    var generator = SeededGenerator(seed: testSeed("reductionsAreWhatTheyAreCalled"))
    for type in DataType.allCases {
      for operation in ReduceOp.allCases {
        let found = ReductionTable.shared.find(operation.rawValue, dataType: type.rawValue)
        #expect((found != nil) == operation.isDefined(for: type))
        guard let reduction = found?.pointee else { continue }
        #expect(reduction.identifier == operation.rawValue)
        #expect(reduction.dividesContributions == (operation == .average && type.size == 2))
        #expect(reduction.traits.contains(.dividesContributions) == reduction.dividesContributions)
        let isOrdered = !type.isInteger && [.sum, .product, .average].contains(operation)
        #expect(reduction.traits.contains(.dependsOnOrder) == isOrdered)
        for _ in 0..<50 {
          // Whatever is made of these is exact in every type.
          let values = (0..<2).map { _ in Int.random(in: -15...15, using: &generator) }
          let memory = UnsafeMutableRawPointer.allocate(byteCount: 16, alignment: 16)
          defer { memory.deallocate() }
          for (place, value) in values.enumerated() {
            (memory + 8 * place).storeBytes(of: ElementBits.bits(of: value, type), as: UInt64.self)
          }
          let sources: [UnsafeRawPointer?] = [UnsafeRawPointer(memory), UnsafeRawPointer(memory + 8)]
          reduction.combine(memory, nil, sources, 2, 1, 0)
          // An average is divided after its sum.
          let expected = ElementBits.combined(values, operation == .average ? .sum : operation, type)
          #expect(ElementBits.load(0, of: memory, size: type.size) == expected, "\(operation) of \(type) \(values)")
        }
      }
    }
  }
}

/// The plans that a communicator keeps.
struct PlanReuseTests {
  /// A thousand sizes are each planned once: a program with many tensors does not make plans at every call.
  @Test func manySizesAreKept() throws {
    try withRanks(2, .inProcess) { communicator in
      let buffer = TuttiBuffer<Float>(count: 2000, repeating: 1)
      for _ in 0..<2 {
        for count in 1..<1000 {
          try communicator.allReduce(RawMemory(buffer.pointer.baseAddress, count: count, type: .float32), .max)
        }
      }
      let cache = communicator.engine.core.pointee.cache
      guard cache.count == 999 else { throw WrongResult(description: "\(cache.count) plans for 999 sizes") }
    }
  }
}

/// Handlers of ended operations, and what they may do.
@Suite(.serialized) struct HandlerTests {
  /// A handler starts more operations than a communicator queues, and waits for them in its own thread's time.
  @Test func handlersStartAnyNumber() throws {
    let communicators = try makeCommunicators(2, .inProcess)
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      let buffers = (0..<200).map { _ in TuttiBuffer<Float>(count: 5000, repeating: 1) }
      let works = Lock<[Work]>([])
      let isOver = Atomic<Bool>(false)
      let first = try communicator.startAllReduce(TuttiBuffer<Float>(count: 5000, repeating: 1), .sum, timeout: .seconds(20))
      first.whenNoticed {
        for buffer in buffers {
          if let work = try? communicator.startAllReduce(buffer, .sum, timeout: .seconds(20)) {
            works.withLock { $0.append(work) }
          }
        }
        isOver.store(true, ordering: .releasing)
      }
      // Rank 0's own thread calls the handler; rank 1 leaves it to the progress thread.
      if communicator.rank == 0 { try first.wait() }
      while !isOver.load(ordering: .acquiring) { Thread.sleep(forTimeInterval: 0.001) }
      for work in works.withLock({ $0 }) { try work.wait() }
      if works.withLock({ $0.count }) != 200 { communicator.abort("some were not started") }
    }
    for ending in ended { #expect(ending.error == nil, "\(ending.error?.description ?? "")") }
    communicators.forEach { $0.close() }
  }

  /// The last reference to a communicator goes with a handler's context, on the progress thread, which cannot wait for
  /// itself.
  @Test func aHandlerDropsTheLastReference() throws {
    let isOver = Atomic<Bool>(false)
    var communicators = try makeCommunicators(2, .inProcess)
    let other = communicators[1]
    let box = Lock<Communicator?>(communicators[0])
    let engine = communicators[0].engine
    let buffers = (0..<2).map { _ in TuttiBuffer<Float>(count: 10, repeating: 1) }
    engine.notify(try communicators[0].startAllReduce(buffers[0], .sum).number) {
      box.withLock { $0 = nil }
      isOver.store(true, ordering: .releasing)
    }
    weak let watched = communicators[0]
    communicators = []
    // Rank 0's progress thread notices the end: no other thread of that rank is in a call.
    try? other.startAllReduce(buffers[1], .sum).wait()
    let end = monotonicNanoseconds() + 10_000_000_000
    let hasEnded = Clock.wait(until: end) { isOver.load(ordering: .acquiring) }
    #expect(hasEnded, "the handler hangs")
    #expect(Clock.wait(until: end) { watched == nil })
    other.close()
  }
}

/// A call that is stuck while others go on.
@Suite(.serialized) struct BusyTests {
  /// A stream of sends and receives does not keep an all-reduce that waits for another rank from timing out.
  @Test func aStreamDoesNotHideATimeout() throws {
    let communicators = try makeCommunicators(3, .inProcess)
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      let start = ContinuousClock.now
      if communicator.rank == 2 {
        // Comes to nothing, but lives.
        while communicator.engine.failure == nil, ContinuousClock.now - start < .seconds(20) {
          Thread.sleep(forTimeInterval: 0.01)
        }
        return
      }
      let stuck = TuttiBuffer<Float>(count: 10, repeating: 1)
      _ = try communicator.startAllReduce(stuck, .sum, algorithm: "one-shot", timeout: .seconds(1))
      let block = TuttiBuffer<UInt8>(count: 1 << 20, repeating: 1)
      while ContinuousClock.now - start < .seconds(20) {
        var works: [Work] = []
        for _ in 0..<64 {
          works.append(
            communicator.rank == 0
              ? try communicator.startSend(block, to: 1) : try communicator.startReceive(into: block, from: 0))
        }
        for work in works { try work.wait() }
      }
    }
    for rank in 0..<2 {
      #expect(
        ended[rank].error?.code == .timeout && ended[rank].error?.peer == 2, "\(ended[rank].error?.description ?? "none")")
    }
    communicators.forEach { $0.close() }
  }
}
