import Patience
import TuttiSystem
import Foundation
import Synchronization
import Testing
import TuttiTesting
import TuttiTransport

@testable import Tutti

/// How a communicator fails: all ranks, at once, with the first cause; and what does not make it fail.
@Suite(.serialized) struct FailureTests {
  /// Neither a wrong argument nor an unknown name harms the communicator.
  @Test(arguments: Fabric.allCases)
  func badArgumentsAreRefused(fabric: Fabric) throws {
    try withRanks(2, fabric) { communicator in
      let memory = TuttiBuffer<Float>(count: 4, repeating: 1)
      let base = UnsafeMutableRawPointer(memory.pointer.baseAddress!)
      func error(_ body: () throws(TuttiError) -> Void) -> TuttiError? {
        do throws(TuttiError) { try body() } catch { return error }
        return nil
      }
      let unknown = error { () throws(TuttiError) in
        try communicator.allReduce(RawMemory(base, count: 4, type: .float32), .sum, algorithm: "rign")
      }
      let started = error { () throws(TuttiError) in _ = try communicator.startAllReduce(memory, .sum, algorithm: "") }
      let barrier = error { () throws(TuttiError) in try communicator.barrier(algorithm: "ring") }
      for refused in [unknown, started, barrier] {
        let refused = try #require(refused)
        #expect(refused.code == .invalidArgument && refused.rank == communicator.rank)
        expectReadable(refused)
      }
      #expect(unknown?.message.contains("rign") == true && unknown?.advice.contains("ring") == true)
      for count in [-1, Int.min, Int.max, Int.max / 8] {
        let refused = error { () throws(TuttiError) in
          try communicator.allReduce(RawMemory(base, count: count, type: .float64), .sum)
        }
        #expect(refused?.code == .invalidArgument && refused?.message.contains("\(count)") == true)
      }
      try AllReduceTests.check(communicator, nil, count: 100)
    }
  }

  @Test(arguments: Fabric.allCases)
  func nothingIsCalledAfterClose(fabric: Fabric) throws {
    let communicators = try makeCommunicators(3, fabric)
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      try communicator.barrier()
      let buffer = TuttiBuffer<Float>(count: 4, repeating: 1)
      let done = try communicator.startAllReduce(buffer, .sum)
      try done.wait()
      communicator.close()
      communicator.close()
      // What has ended well stays so.
      try done.wait()
      for _ in 0..<2 {
        do throws(TuttiError) { try communicator.barrier() } catch {
          guard error.code == .closed, error.message.contains("rank \(communicator.rank)") else { throw error }
          expectReadable(error)
          continue
        }
        communicator.abort("a call after close() ended well")
      }
      _ = try communicator.startAllReduce(buffer, .sum)
    }
    for ending in ended { #expect(ending.error?.code == .closed, "\(ending.error?.description ?? "no error")") }
  }

  /// Operations in flight when their own rank closes throw, and what they were given is touched no more.
  @Test(arguments: Fabric.allCases)
  func closingWithOperationsInFlight(fabric: Fabric) throws {
    let communicators = try makeCommunicators(3, fabric)
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      try communicator.barrier()
      guard communicator.rank == 0 else { return }
      let buffers = (0..<5).map { _ in TuttiBuffer<Float>(count: 200_000, repeating: 1) }
      let works = try buffers.map { (buffer) throws(TuttiError) in
        try communicator.startAllReduce(buffer, .sum, algorithm: "ring")
      }
      Thread.sleep(forTimeInterval: 0.01)
      communicator.close()
      for work in works {
        do throws(TuttiError) { try work.wait() } catch {
          guard error.code == .closed else { throw error }
          continue
        }
        throw TuttiError(FailureReport(.aborted, "an operation ended well although its peers never called it"))
      }
    }
    for ending in ended { #expect(ending.error == nil, "\(ending.error?.description ?? "")") }
    communicators.forEach { $0.close() }
  }

  /// The others wait for a rank that has left in good order.
  @Test(arguments: Fabric.allCases)
  func aRankThatClosesEarly(fabric: Fabric) throws {
    let communicators = try makeCommunicators(4, fabric, timeout: .seconds(30))
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      for _ in 0..<3 { try communicator.barrier() }
      if communicator.rank == 2 { return communicator.close() }
      var values: [Float] = Array(repeating: 1, count: 1000)
      try communicator.allReduce(&values, .sum)
    }
    let start = ended[2].time
    for rank in [0, 1, 3] {
      let error = try #require(ended[rank].error)
      #expect(error.code == .peerLost && error.peer == 2 && error.message.contains("rank 2"), "\(error)")
      #expect(error.message.contains("closed"), "\(error)")
      #expect(ended[rank].time - start < .seconds(1 * slowness))
      expectReadable(error)
    }
    communicators.forEach { $0.close() }
  }

  // MARK: Abort

  /// Pending calls of all ranks throw at once, in a ring also on ranks without a link to the one that aborts, and later
  /// calls throw the same.
  @Test(arguments: Fabric.allCases, [false, true])
  func abortReachesAll(fabric: Fabric, isParked: Bool) throws {
    let communicators = try makeCommunicators(8, fabric)
    let aborted = ContinuousClock.Instant.now + .seconds(isParked ? 0.5 : 0.05)
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      try communicator.barrier()
      if communicator.rank == 3 {
        Thread.sleep(forTimeInterval: isParked ? 0.5 : 0.05)
        return communicator.abort("the loss is not a number")
      }
      var values: [Float] = Array(repeating: 1, count: 10_000)
      if communicator.rank % 2 == 0 {
        try communicator.allReduce(&values, .sum, algorithm: "ring")
      } else {
        try communicator.startAllReduce(TuttiBuffer(values), .sum, algorithm: "ring").wait()
      }
    }
    let start = max(aborted, ended[3].time)
    for (rank, ending) in ended.enumerated() where rank != 3 {
      let error = try #require(ending.error, "rank \(rank)'s call ended well")
      #expect(error.code == .aborted && error.peer == 3, "\(error)")
      #expect(error.message.contains("rank 3") && error.message.contains("the loss is not a number"), "\(error)")
      #expect(ending.time - start < .milliseconds(100 * slowness), "rank \(rank) heard after \(ending.time - start)")
      expectReadable(error)
    }
    // Rank 3 itself, and everything that comes later.
    let later = try endings(communicators) { communicator throws(TuttiError) in
      communicator.abort("a later cause")
      try communicator.barrier()
    }
    for ending in later { #expect(ending.error?.message.contains("the loss is not a number") == true) }
    communicators.forEach { $0.close() }
  }

  /// An abort by another thread of the same rank, while that rank's operations are driven by several threads.
  @Test(arguments: Fabric.allCases)
  func abortByAnotherThread(fabric: Fabric) throws {
    for round in 0..<5 {
      let communicators = try makeCommunicators(2, fabric)
      let failures = Failures()
      try onThreads(4) { index in
        if index == 3 {
          Thread.sleep(forTimeInterval: 0.002 * Double(round * round))
          return communicators[0].abort("from outside")
        }
        // Rank 0 calls from three threads, rank 1 never.
        do throws(TuttiError) {
          var values: [Float] = Array(repeating: 1, count: 5000)
          try communicators[0].allReduce(&values, .sum)
          failures.record { throw WrongResult(description: "a call ended well") }
        } catch {
          if error.code != .aborted || !error.message.contains("from outside") { failures.record { throw error } }
        }
      }
      try failures.throwFirst()
      communicators.forEach { $0.close() }
    }
  }

  /// What was thrown ends the operations: their memory may go at once, whatever other operations of the communicator wait
  /// for.
  @Test(arguments: Fabric.allCases)
  func memoryIsLeftAloneAfterAFailure(fabric: Fabric) throws {
    let communicators = try makeCommunicators(3, fabric)
    let outOfBarrier = Atomic(0)
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      try communicator.barrier()
      outOfBarrier.add(1, ordering: .relaxed)
      let bytes = 4 << 20
      let memory = UnsafeMutableRawPointer.allocate(byteCount: 2 * bytes, alignment: 64)
      defer { memory.deallocate() }
      memset(memory, 1, 2 * bytes)
      var works: [Work] = []
      for index in 0..<2 {
        let base = memory + index * bytes
        do throws(TuttiError) {
          works.append(
            try communicator.startAllReduce(
              RawMemory(base, count: bytes / 4, type: .int32), .sum,
              algorithm: AlgorithmName(index == 0 ? "ring" : "two-shot")))
        } catch { break }
      }
      if communicator.rank == 1 {
        Thread.sleep(forTimeInterval: 0.001)
        // On a busy machine another rank may not have left the barrier yet, which the abort would end.
        _ = Clock.wait(until: Patience.deadline(seconds: 10)) { outOfBarrier.load(ordering: .relaxed) == 3 }
        communicator.abort("stop")
      }
      var thrown: TuttiError?
      do throws(TuttiError) { try works.first?.wait() } catch { thrown = error }
      guard let thrown else { return }
      // From now on the memory is ours again.
      memset(memory, 0x77, 2 * bytes)
      try? works.last?.wait()
      communicator.close()
      Thread.sleep(forTimeInterval: 0.05)
      // All bytes are alike.
      guard memcmp(memory, memory + 1, 2 * bytes - 1) == 0, memory.load(as: UInt8.self) == 0x77 else {
        throw TuttiError(FailureReport(.unproven, "memory was written after \(thrown)"))
      }
    }
    for ending in ended { #expect(ending.error == nil, "\(ending.error?.description ?? "")") }
  }

  // MARK: Deadlines

  /// One rank never calls. Within the timeout and a second all others name it, whatever they wait for themselves.
  @Test(arguments: Fabric.allCases, ["ring", "double-binary-tree", "one-shot", "started"])
  func aRankThatNeverCalls(fabric: Fabric, how: String) throws {
    let communicators = try makeCommunicators(8, fabric)
    let timeout = 0.5
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      if how != "one-shot" { try communicator.barrier() }
      if communicator.rank == 5 { return }
      let algorithm = how == "started" ? "ring" : how
      var values: [Float] = Array(repeating: 1, count: 3000)
      if how == "started" {
        try communicator.startAllReduce(
          TuttiBuffer(values), .sum, algorithm: AlgorithmName(algorithm), timeout: .seconds(timeout)
        ).wait()
      } else {
        try communicator.allReduce(&values, .sum, algorithm: AlgorithmName(algorithm), timeout: .seconds(timeout))
      }
    }
    for (rank, ending) in ended.enumerated() where rank != 5 {
      let error = try #require(ending.error, "rank \(rank)'s call ended well")
      let took = ending.time - ended[5].time
      #expect(error.code == .timeout && error.peer == 5 && error.message.contains("rank 5"), "\(error)")
      #expect(took > .seconds(timeout - 0.1) && took < .seconds(timeout + Patience.seconds(1)), "rank \(rank) took \(took)")
      #expect(error.message.contains("0.5 s") && error.operation.contains("all-reduce sum float32 x 3000"), "\(error)")
      expectReadable(error)
    }
    // The one that was late hears it when it calls.
    var late: TuttiError?
    do throws(TuttiError) { try communicators[5].barrier() } catch { late = error }
    #expect(late?.code == .timeout && late?.peer == 5)
    communicators.forEach { $0.close() }
  }

  /// A timeout of nothing is one that has passed, not one that never does.
  @Test(arguments: Fabric.allCases, [Duration.zero, .seconds(-1), .nanoseconds(1)])
  func timeoutsOfNothing(fabric: Fabric, timeout: Duration) throws {
    let communicators = try makeCommunicators(2, fabric)
    let start = ContinuousClock.now
    #expect(throws: TuttiError.self) { try communicators[0].barrier(timeout: timeout) }
    #expect(ContinuousClock.now - start < .seconds(3 * slowness))
    communicators.forEach { $0.close() }
  }

  /// An operation that waits for its slot has its deadline too.
  @Test func queuedOperationsHaveDeadlines() throws {
    let communicators = try makeCommunicators(2)
    let buffers = (0..<5).map { _ in TuttiBuffer<Float>(count: 10, repeating: 1) }
    for buffer in buffers.dropLast() { _ = try communicators[0].startAllReduce(buffer, .sum, timeout: .seconds(60)) }
    let start = ContinuousClock.now
    let last = try communicators[0].startAllReduce(buffers[4], .sum, timeout: .seconds(0.3))
    var thrown: TuttiError?
    do throws(TuttiError) { try last.wait() } catch { thrown = error }
    #expect(
      thrown?.code == .timeout && ContinuousClock.now - start < .seconds(2 * slowness), "\(String(describing: thrown))")
    communicators.forEach { $0.close() }
  }

  // MARK: Links

  /// A link that breaks anywhere in a random run: every rank either ends well or hears why, and none hangs.
  @Test func severedLinks() throws {
    let seed = testSeed("severedLinks")
    var generator = SeededGenerator(seed: seed)
    var broken = 0
    for _ in 0..<25 {
      var faults = InProcessFaults(seed: generator.next())
      faults.severAtSegment = UInt64.random(in: 1...60, using: &generator)
      let shared = generator.next()
      let communicators = try makeCommunicators(
        Int.random(in: 2...6, using: &generator), faults: faults, timeout: .seconds(20))
      let ended = try endings(communicators) { communicator throws(TuttiError) in
        do { try RandomOperations.play(communicator, RandomRunTests.operations, seed: shared) } catch let error as TuttiError
        {
          throw error
        } catch {
          communicator.abort("\(error)")
        }
      }
      // A rank that was done before, or a run too short for any link to break, ends well.
      let errors = ended.compactMap(\.error)
      broken += errors.isEmpty ? 0 : 1
      for error in errors {
        #expect(error.code == .peerLost, "\(error)")
        expectReadable(error)
      }
      communicators.forEach { $0.close() }
    }
    #expect(broken > 8, "only \(broken) of 25 runs broke a link")
  }
}
