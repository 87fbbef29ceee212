import CTuttiKernels
import Foundation
import Synchronization
import Testing
import TuttiSchedule
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

  /// There is a reduction exactly where the public types say so, with the same name, and its identity changes nothing.
  @Test func identitiesChangeNothing() throws {
    var generator = SeededGenerator(seed: testSeed("identitiesChangeNothing"))
    for type in DataType.allCases {
      for operation in ReduceOp.allCases {
        let found = ReductionTable.shared.find(operation.rawValue, dataType: type.rawValue)
        #expect((found != nil) == operation.isDefined(for: type))
        guard let reduction = found?.pointee else { continue }
        #expect("\(reduction.name)" == operation.name && reduction.identifier == operation.rawValue)
        #expect(reduction.dividesContributions == (operation == .average && type.size == 2))
        for _ in 0..<50 {
          // No NaN: the payload of one is not kept.
          let number = Int.random(in: -100...100, using: &generator)
          let wanted = ElementBits.bits(of: number, type)
          let memory = UnsafeMutableRawPointer.allocate(byteCount: 16, alignment: 16)
          defer { memory.deallocate() }
          memory.storeBytes(of: reduction.identity, as: UInt64.self)
          (memory + 8).storeBytes(of: wanted, as: UInt64.self)
          let sources: [UnsafeRawPointer?] = [UnsafeRawPointer(memory), UnsafeRawPointer(memory + 8)]
          reduction.combine(memory, nil, sources, 2, 1, 0)
          let mask: UInt64 = type.size == 8 ? .max : 1 << UInt64(type.size * 8) - 1
          #expect(memory.load(as: UInt64.self) & mask == wanted & mask, "\(operation) of \(type) \(number)")
        }
      }
    }
  }
}

/// The plans that are kept: all that fit in the memory for them, the least recently used go first.
struct PlanCacheTests {
  private func plan() throws -> CompiledPlan {
    let schedule = ScheduleBuilder(.barrier, rank: 0, rankCount: 1, chunkCount: 1).finish()
    return CompiledPlan(
      try Plan(
        lowering: schedule, chunkMap: ChunkMap(balanced: 0, chunkCount: 1, granule: 1), elementBytes: 1, inPlace: false,
        segmentBytes: 1024, streaming: false),
      of: key(0), algorithm: ("none", 1, 1), hasBlocks: false)
  }

  private func key(_ count: Int) -> PlanKey {
    PlanKey(collective: .allReduce, algorithm: 0, dataType: 0, inPlace: false, count: UInt64(count))
  }

  @Test func leastRecentlyUsedGoesFirst() throws {
    let size = try plan().bytes
    var cache = PlanCache(bytesMax: 10 * size)
    var dropped: [UInt64] = []
    for count in 0..<10 { cache.insert(try plan(), for: key(count)) { dropped.append($0.count) } }
    #expect(cache.count == 10 && dropped.isEmpty && cache.bytes == 10 * size)
    let found = cache.find(key(0))
    let used = try #require(found)
    used.uses = 1
    let isKept = cache.find(key(1)) != nil
    #expect(isKept)
    cache.insert(try plan(), for: key(10)) { dropped.append($0.count) }
    #expect(dropped == [2])
    for count in 11..<25 { cache.insert(try plan(), for: key(count)) { dropped.append($0.count) } }
    // In use, so it stays; 1 was used after those before it.
    let (stays, isGone) = (cache.find(key(0)) === used, cache.find(key(1)) == nil)
    #expect(stays && isGone)
    #expect(cache.count == 10 && dropped.count == 15 && cache.bytes == 10 * size)
    let newest = (16..<25).map { cache.find(key($0)) != nil }
    #expect(newest == Array(repeating: true, count: 9))
  }

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

/// The limits of calls, under a clock that the test moves: an engine of two ranks whose other rank never comes.
struct TimeLimitTests {
  /// Time that passes by 10 ms at each look.
  final class FakeTime: Sendable {
    let nanoseconds = Atomic<UInt64>(1)
    /// A stop of the process that is to come: when, and how long.
    let stop: (at: UInt64, length: UInt64)?

    init(stop: (at: UInt64, length: UInt64)? = nil) { self.stop = stop }

    func read() -> UInt64 {
      let now = nanoseconds.wrappingAdd(10_000_000, ordering: .relaxed).newValue
      guard let stop, now >= stop.at else { return now }
      return now + stop.length
    }
  }

  final class LonelyDelegate: EngineDelegate, LinkSource {
    let time: FakeTime
    /// When the other rank was asked; and what failed.
    let asked = Lock<[UInt64]>([])
    let linkDelay: UInt64

    init(_ time: FakeTime, linkDelay: UInt64 = 0) {
      self.time = time
      self.linkDelay = linkDelay
    }

    func openLink(to peer: Int, deadline: UInt64, giveUp: () -> FailureReport?) throws(FailureReport) {
      time.nanoseconds.wrappingAdd(linkDelay, ordering: .relaxed)
    }
    func takeLinks() throws(FailureReport) -> [Link] { [] }
    func cause(of loss: FailureReport) -> FailureReport { loss }
    func diagnose(_ call: AwaitedCall, until deadline: UInt64) -> FailureReport? {
      asked.withLock { $0.append(time.nanoseconds.load(ordering: .relaxed)) }
      return FailureReport(.timeout, rank: 1, peer: call.peer, "asked in time")
    }
    func report(_ cause: FailureReport) -> FailureReport { cause }
    func settle() {}
    func describe(_ call: CallRecord) -> String { "a call" }
    func askCall(of peer: Int, operationNumber: UInt64) -> String? { nil }
    func describeElements(dataType: UInt8, count: UInt64) -> String { "elements" }
  }

  /// Runs an all-reduce with a limit of 60 s that cannot end. Returns the failure, when it was thrown and when the
  /// other rank was asked.
  private func wait(
    _ time: FakeTime, linkDelay: UInt64 = 0
  ) throws -> (failure: FailureReport, end: UInt64, asked: [UInt64]) {
    let delegate = LonelyDelegate(time, linkDelay: linkDelay)
    let policy = AlgorithmPolicy(
      grouping: Grouping(rankCount: 2), medium: .loopback, processors: 2, segmentBytesMax: 64 << 10,
      catalog: try AlgorithmCatalog(CommunicatorOptions()))
    let engine = Engine(
      rank: 1, rankCount: 2, doorbell: try Doorbell(), isOversubscribed: true, processors: nil,
      clock: MonotonicClock { time.read() }, links: delegate, planner: Planner(rank: 1, rankCount: 2, policy: policy),
      delegate: delegate)
    defer { engine.close() }
    var memory: Float = 1
    let failure = withUnsafeMutablePointer(to: &memory) { memory -> FailureReport? in
      let reduction = ReductionTable.shared.find(ReduceOp.sum.rawValue, dataType: DataType.float32.rawValue)!
      do throws(FailureReport) {
        try engine.run(
          Request(
            key: PlanKey(
              collective: .allReduce, algorithm: 0, dataType: DataType.float32.rawValue, inPlace: true, count: 1),
            reduction: reduction, elementBytes: 4, input: memory, output: memory,
            limit: TimeLimit(nanoseconds: 60_000_000_000)))
        return nil
      } catch { return error }
    }
    return (try #require(failure), time.nanoseconds.load(ordering: .relaxed), delegate.asked.withLock { $0 })
  }

  /// The other ranks are asked before the time is over, once, and the answer is what is thrown.
  @Test func peersAreAskedBeforeTheEnd() throws {
    let (failure, end, asked) = try wait(FakeTime())
    #expect(failure.code == .timeout && failure.message == "asked in time" && failure.peer == 0)
    #expect(asked.count == 1)
    #expect((58_000_000_000...60_000_000_000).contains(asked.first ?? 0), "asked at \(asked)")
    #expect((60_000_000_000..<61_000_000_000).contains(end), "thrown at \(end)")
  }

  /// Opening links is a part of the call.
  @Test func openingLinksCounts() throws {
    let (_, end, _) = try wait(FakeTime(), linkDelay: 40_000_000_000)
    #expect((60_000_000_000..<61_000_000_000).contains(end), "thrown at \(end)")
  }

  /// Time in which the process was stopped does not count.
  @Test func stoppedTimeDoesNotCount() throws {
    let time = FakeTime(stop: (at: 30_000_000_000, length: 3_600_000_000_000))
    let (failure, end, _) = try wait(time)
    #expect(failure.code == .timeout)
    #expect((60_000_000_000..<61_000_000_000).contains(end), "thrown at \(end), without the hour")
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
      first.whenEnded {
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
