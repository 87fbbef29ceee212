import TuttiSystem
import Foundation
import Testing
import TuttiTesting
import TuttiTransport

@testable import Tutti

/// Operations that are started now and waited for later: any number, in any order, or never.
@Suite(.serialized) struct AsynchronousTests {
  static let algorithms = AllReduceTests.algorithms

  /// A started operation and the memory it works on.
  struct Started {
    let memory: CallMemory
    let work: Work
    let what: String

    init(
      _ communicator: Communicator, _ algorithm: String?, count: Int, _ type: DataType = .float32,
      _ operation: ReduceOp = .sum, inPlace: Bool = false, misalignment: Int = 0, salt: Int = 0
    ) throws {
      let pattern = Pattern(rankCount: communicator.rankCount, type: type, operation: operation, salt: salt)
      memory = CallMemory(
        pattern, rank: communicator.rank, count: count, inPlace: inPlace, misalignment: misalignment)
      what =
        "started \(algorithm ?? "auto") on \(communicator.rankCount) ranks, \(operation) of \(count) \(type), in place \(inPlace)"
      work = try communicator.startAllReduce(
        RawMemory(memory.input, count: count, type: type), to: RawMemory(memory.output, count: count, type: type), operation,
        algorithm: AlgorithmName(algorithm))
    }

    func finish() throws {
      try work.wait()
      guard work.isDone else { throw WrongResult(description: "\(what): waited for, and not done") }
      try check()
    }

    func check() throws {
      if let error = memory.firstError() { throw WrongResult(description: "\(what): \(error)") }
    }
  }

  @Test(arguments: Fabric.allCases)
  func startThenWait(fabric: Fabric) throws {
    try withRanks(3, fabric) { communicator in
      for algorithm in Self.algorithms {
        for count in [0, 1, 77, 5000] {
          let started = try Started(communicator, algorithm, count: count, inPlace: count % 2 == 1)
          guard started.work.number > 0 else { throw WrongResult(description: "operations are numbered from 1") }
          try started.finish()
          // Waiting again is harmless.
          try started.work.wait()
        }
      }
    }
  }

  /// More than have a slot, more than can be queued, waited for forwards, backwards, and by two threads each.
  @Test(arguments: Fabric.allCases, [3, 70, 150])
  func manyInFlight(fabric: Fabric, operations: Int) throws {
    try withRanks(4, fabric) { communicator in
      let started = try (0..<operations).map {
        try Started(communicator, Self.algorithms[$0 % Self.algorithms.count], count: $0 * 7 % 200, salt: $0)
      }
      for one in communicator.rank % 2 == 0 ? started : started.reversed() { try one.finish() }
    }
  }

  @Test func manyInFlightOverHostileLinks() throws {
    let seed = testSeed("manyInFlightOverHostileLinks")
    try withRanks(4, faults: InProcessFaults(seed: seed)) { communicator in
      let started = try (0..<100).map { try Started(communicator, nil, count: $0 * 131 % 2000, salt: $0) }
      for one in communicator.rank == 2 ? started : started.reversed() { try one.finish() }
    }
  }

  /// Two all-reduces started in one order, waited for in different orders on different ranks that come late: on one shared
  /// stream a link's two ends would wait for each other.
  @Test(arguments: [Fabric?.none] + Fabric.allCases)
  func ordersDiffer(fabric: Fabric?) throws {
    let seed = testSeed("ordersDiffer")
    var seeds = SeededGenerator(seed: seed)
    for rankCount in [2, 3, 5] {
      // nil: in process, over hostile links.
      let faults = fabric == nil ? InProcessFaults(seed: seeds.next()) : nil
      let shared = seeds.next()
      try withRanks(rankCount, fabric ?? .inProcess, faults: faults, timeout: .seconds(30)) { communicator in
        var common = SeededGenerator(seed: shared)
        var own = SeededGenerator(seed: shared &+ UInt64(communicator.rank) &+ 1)
        for round in 0..<25 {
          var started = try (0..<Int.random(in: 2...3, using: &common)).map { index in
            let count = [16, 700, 3000, 20_000].randomElement(using: &common)!
            let algorithm = Self.algorithms.randomElement(using: &common)!
            if Bool.random(using: &own) { RandomOperations.dawdle(&own) }
            return try Started(communicator, algorithm, count: count, salt: round * 5 + index)
          }
          started.shuffle(using: &own)
          for one in started {
            RandomOperations.dawdle(&own)
            try one.finish()
          }
        }
      }
    }
  }

  /// A rank that has started an operation and sleeps does its part all the same.
  @Test(arguments: Fabric.allCases)
  func progressWhileTheCallerSleeps(fabric: Fabric) throws {
    let communicators = try makeCommunicators(3, fabric)
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      var works: [Work] = []
      for algorithm in Self.algorithms {
        let buffer = TuttiBuffer<Float>(count: 300_000, repeating: 1)
        works.append(try communicator.startAllReduce(buffer, .sum, algorithm: AlgorithmName(algorithm)))
      }
      if communicator.rank == 1 {
        Thread.sleep(forTimeInterval: 1.5)
        guard works.allSatisfy(\.isDone) else { return communicator.abort("the sleeper's operations have not ended") }
      }
      for work in works { try work.wait() }
    }
    for ending in ended { #expect(ending.error == nil, "\(ending.error?.description ?? "")") }
    let others = [0, 2].map { ended[1].time - ended[$0].time }
    #expect(others.allSatisfy { $0 > .seconds(0.5) }, "the others were held up by the sleeper: \(others)")
    communicators.forEach { $0.close() }
  }

  /// A caller that leaves with an operation still in flight hands it over at once, also to a progress thread that sleeps in
  /// the kernel for a doorbell which the caller has silenced.
  @Test(arguments: Fabric.allCases)
  func handingOverIsPrompt(fabric: Fabric) throws {
    let communicators = try makeCommunicators(2, fabric)
    let slowness = slowness
    var times: [Duration] = []
    for _ in 0..<5 {
      let start = ContinuousClock.now
      let ended = try endings(communicators) { communicator throws(TuttiError) in
        let large = TuttiBuffer<Float>(count: 2_000_000, repeating: 1)
        let small = TuttiBuffer<Float>(count: 10, repeating: 1)
        // Rank 0's progress thread has parked when its caller begins to wait, and the caller leaves before the large
        // operation ends.
        if communicator.rank == 1 { Thread.sleep(forTimeInterval: 0.02) }
        let works = [try communicator.startAllReduce(large, .sum), try communicator.startAllReduce(small, .sum)]
        if communicator.rank == 0 {
          Thread.sleep(forTimeInterval: 0.01)
          try works[1].wait()
          Thread.sleep(forTimeInterval: 0.2 * Double(slowness))
        }
        try works[0].wait()
        try works[1].wait()
      }
      for ending in ended { #expect(ending.error == nil) }
      times.append(ended[1].time - start)
    }
    #expect(times.sorted()[1] < .milliseconds(75 * slowness), "rank 1 had to wait: \(times)")
    communicators.forEach { $0.close() }
  }

  @Test(arguments: Fabric.allCases)
  func tasksAwaitTheValue(fabric: Fabric) async throws {
    let communicators = try makeCommunicators(3, fabric)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for communicator in communicators {
        group.addTask {
          for round in 0..<30 {
            let first = TuttiBuffer<Int32>(count: 1000, repeating: Int32(communicator.rank + round))
            let second = TuttiBuffer<Double>(count: 3, repeating: Double(communicator.rank))
            let works = (try communicator.startAllReduce(first, .sum), try communicator.startAllReduce(second, .max))
            // Awaited in different orders, and after the end.
            if communicator.rank == 1 { try await works.1.finish() }
            try await works.0.finish()
            try await works.1.finish()
            try await works.0.finish()
            guard first.elements.allSatisfy({ $0 == Int32(3 + 3 * round) }), second.elements == [2, 2, 2] else {
              throw WrongResult(description: "round \(round): \(first[0]), \(second[0])")
            }
          }
        }
      }
      try await group.waitForAll()
    }
    communicators.forEach { $0.close() }
  }

  /// Whoever waits for a while only gives up waiting: the operation goes on, and ends when all ranks are there.
  @Test(arguments: Fabric.allCases)
  func waitingHasALimitOfItsOwn(fabric: Fabric) throws {
    let communicators = try makeCommunicators(2, fabric)
    let buffers = (0..<2).map { TuttiBuffer<Int32>(count: 1000, repeating: Int32($0 + 1)) }
    let work = try communicators[0].startAllReduce(buffers[0], .sum)
    let start = ContinuousClock.now
    #expect(try !work.wait(timeout: .milliseconds(50)), "rank 1 has not started")
    let waited = ContinuousClock.now - start
    #expect(waited >= .milliseconds(50) && waited < .milliseconds(1000 * slowness), "waited \(waited)")
    #expect(try !work.wait(timeout: .zero) && !work.isDone)
    let other = try communicators[1].startAllReduce(buffers[1], .sum)
    #expect(try work.wait(timeout: .seconds(60)) && other.wait(timeout: .seconds(60)))
    #expect(try work.wait(timeout: .zero), "it has ended")
    #expect(buffers.allSatisfy { $0.elements.allSatisfy { $0 == 3 } })

    let lost = try communicators[0].startAllReduce(buffers[0], .sum)
    communicators[1].abort("enough")
    let error = #expect(throws: TuttiError.self) { try lost.wait(timeout: .seconds(60)) }
    #expect(error?.code == .aborted)
    communicators.forEach { $0.close() }
  }

  @Test(arguments: Fabric.allCases)
  func aFailureReachesTasks(fabric: Fabric) async throws {
    let communicators = try makeCommunicators(3, fabric)
    let buffer = TuttiBuffer<Float>(count: 10, repeating: 1)
    let work = try communicators[0].startAllReduce(buffer, .sum)
    let waiting = Task { () async -> TuttiError? in
      do throws(TuttiError) { try await work.finish() } catch { return error }
      return nil
    }
    try await Task.sleep(for: .milliseconds(20))
    communicators[2].abort("enough")
    let error = await waiting.value
    #expect(
      error?.code == .aborted && error?.message.contains("rank 2") == true && error?.message.contains("enough") == true)
    #expect(!work.isDone)
    communicators.forEach { $0.close() }
  }

  /// Nobody need keep the Work: the operation runs on, and its buffer lives until it has ended.
  @Test(arguments: Fabric.allCases)
  func droppedWorkRunsOn(fabric: Fabric) throws {
    let communicators = try makeCommunicators(2, fabric)
    weak let watched = try { () throws -> TuttiBuffer<Float> in
      let buffer = TuttiBuffer<Float>(count: 50_000, repeating: 1)
      _ = try communicators[0].startAllReduce(buffer, .sum)
      return buffer
    }()
    Thread.sleep(forTimeInterval: 0.02)
    #expect(watched != nil, "the operation does not keep its buffer")
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      if communicator.rank == 1 {
        let buffer = TuttiBuffer<Float>(count: 50_000, repeating: 2)
        try communicator.startAllReduce(buffer, .sum).wait()
        guard buffer.elements.allSatisfy({ $0 == 3 }) else { return communicator.abort("wrong sum") }
      }
      // Both slots have been used again after these.
      for _ in 0..<2 { try communicator.barrier() }
    }
    for ending in ended { #expect(ending.error == nil) }
    #expect(watched == nil, "the buffer outlives its operation")
    communicators.forEach { $0.close() }
  }

  /// A buffer of an operation that failed is released with the communicator at the latest.
  @Test func failedOperationsLeakNoBuffer() throws {
    weak var first: TuttiBuffer<Float>?
    weak var last: TuttiBuffer<Float>?
    do {
      let communicators = try makeCommunicators(2)
      let buffers = (0..<10).map { _ in TuttiBuffer<Float>(count: 100, repeating: 1) }
      (first, last) = (buffers.first, buffers.last)
      for buffer in buffers { _ = try communicators[0].startAllReduce(buffer, .sum) }
      communicators[1].abort("not today")
    }
    #expect(first == nil && last == nil)
  }

  /// Threads of one rank may call at the same time; the calls take turns.
  @Test(arguments: Fabric.allCases)
  func threadsOfOneRank(fabric: Fabric) throws {
    let communicators = try makeCommunicators(2, fabric)
    let threadsPerRank = 4
    let failures = Failures()
    try onThreads(2 * threadsPerRank) { index in
      failures.record {
        let communicator = communicators[index % 2]
        for round in 0..<60 {
          // Which calls meet is not known, so all are alike.
          if (index + round) % 3 == 0 {
            try Started(communicator, nil, count: 900, salt: 4).finish()
          } else {
            try AllReduceTests.check(communicator, nil, count: 900, salt: 4)
          }
        }
      }
    }
    try failures.throwFirst()
    communicators.forEach { $0.close() }
  }

  /// Several threads wait for one operation while others wait for another.
  @Test(arguments: Fabric.allCases)
  func threadsShareAWork(fabric: Fabric) throws {
    let communicators = try makeCommunicators(2, fabric)
    for round in 0..<20 {
      let mine = try (0..<2).map { try Started(communicators[0], nil, count: 3000, salt: round + $0) }
      let theirs = try (0..<2).map { try Started(communicators[1], nil, count: 3000, salt: round + $0) }
      let failures = Failures()
      try onThreads(6) { index in failures.record { try [mine, theirs][index % 2][index / 2 % 2].finish() } }
      try failures.throwFirst()
    }
    communicators.forEach { $0.close() }
  }

  @Test(arguments: Fabric.allCases)
  func blockingCallsOvertakeNothing(fabric: Fabric) throws {
    try withRanks(3, fabric) { communicator in
      for round in 0..<40 {
        let first = try Started(communicator, "ring", count: 20_000, salt: round)
        try AllReduceTests.check(communicator, "two-shot", count: 10, salt: round)
        let second = try Started(communicator, nil, count: 3, inPlace: true, salt: round)
        try communicator.barrier()
        if communicator.rank == round % 3 { try second.finish() }
        try first.finish()
        try second.finish()
      }
    }
  }
}

/// The first failure of several threads.
final class Failures: Sendable {
  private let first = Lock<(any Error)?>(nil)

  func record(_ body: () throws -> Void) {
    do { try body() } catch { first.withLock { $0 = $0 ?? error } }
  }

  func throwFirst() throws {
    if let error = first.withLock({ $0 }) { throw error }
  }
}
