import Foundation
import Patience
import Synchronization
import Testing
import TuttiSystem
import TuttiTesting

@testable import Tutti

/// Collectives that are made of others, handlers of their ends, and the monitored barrier.
@Suite(.serialized) struct ComposedTests {
  /// The block of rank `rank`, seen from rank `from`.
  private static func block(_ rank: Int, from: Int) -> TuttiBuffer<Int64> {
    TuttiBuffer((0..<100 * rank + 1).map { Int64($0 + 10_000 * rank + 1_000_000 * from) })
  }

  @Test(arguments: Fabric.allCases, [1, 2, 3])
  func lists(fabric: Fabric, rankCount: Int) throws {
    try withRanks(rankCount, fabric) { communicator in
      let rank = communicator.rank
      let outputs = (0..<rankCount).map { TuttiBuffer<Int64>(count: 100 * $0 + 1, repeating: -1) }
      let own = Self.block(rank, from: 0)
      let gathering = try communicator.startAllGather(own.rawMemory, to: outputs.map(\.rawMemory))
      let inputs = (0..<rankCount).map { Self.block($0, from: rank) }
      let result = TuttiBuffer<Int64>(count: own.count, repeating: -1)
      let scattering = try communicator.startReduceScatter(inputs.map(\.rawMemory), to: result.rawMemory, .sum)
      try communicator.combine([scattering, gathering]).wait()
      for other in 0..<rankCount where outputs[other].elements != Self.block(other, from: 0).elements {
        throw WrongResult(description: "block \(other) on rank \(rank)")
      }
      let ranks = Int64(rankCount)
      let expected = own.elements.map { $0 * ranks + 1_000_000 * ranks * (ranks - 1) / 2 }
      guard result.elements == expected else { throw WrongResult(description: "the sum on rank \(rank)") }
      withExtendedLifetime(inputs) {}
    }
  }

  @Test func wrongListsAreRefused() throws {
    let communicator = try makeCommunicators(2)[0]
    let one = TuttiBuffer<Float>(count: 1, repeating: 0)
    let other = TuttiBuffer<Double>(count: 1, repeating: 0)
    for (list, words) in [
      ([one.rawMemory], "1 counts were given for 2 ranks"), ([one.rawMemory, other.rawMemory], "block 1 has elements of"),
      ([one.rawMemory, RawMemory(nil, count: 2, type: .float32)], "block 1 is nil"),
    ] {
      let error = #expect(throws: TuttiError.self) { try communicator.startAllGather(one.rawMemory, to: list) }
      #expect(error?.code == .invalidArgument && error?.message.contains(words) == true, "\(error as Any)")
    }
    #expect(throws: TuttiError.self) { try communicator.combine([]) }
  }

  /// Small integers and factors, so that every product and sum is exact.
  @Test(arguments: [DataType.float16, .bfloat16, .float32, .float64], [false, true])
  func scaledSums(type: DataType, isInPlace: Bool) throws {
    let rankCount = 3
    try withRanks(rankCount) { communicator in
      let (rank, count) = (communicator.rank, 1500)
      let memory = UnsafeMutableRawPointer.allocate(byteCount: 2 * rankCount * count * 8 + 1, alignment: 64)
      defer { memory.deallocate() }
      // At an odd address.
      let (input, output) = (memory + 1, isInPlace ? memory + 1 : memory + 1 + rankCount * count * 8)
      func fill() {
        for index in 0..<rankCount * count {
          ElementBits.store(ElementBits.bits(of: index % 5 + rank, type), at: index, of: input, size: type.size)
        }
      }
      func expected(_ index: Int) -> UInt64 {
        ElementBits.bits(of: (0..<rankCount).map { (index % 5 + $0) * ($0 + 1) }.reduce(0, +), type)
      }
      fill()
      let whole = RawMemory(input, count: rankCount * count, type: type)
      try communicator.startAllReduce(
        whole, to: isInPlace ? nil : RawMemory(output, count: rankCount * count, type: type), scaledBy: Double(rank + 1)
      ).wait()
      for index in 0..<rankCount * count where ElementBits.load(index, of: output, size: type.size) != expected(index) {
        throw WrongResult(description: "element \(index) of an all-reduce")
      }
      fill()
      let result = UnsafeMutableRawPointer.allocate(byteCount: count * 8, alignment: 8)
      defer { result.deallocate() }
      try communicator.startReduceScatter(
        whole, to: RawMemory(result, count: count, type: type), scaledBy: Double(rank + 1)
      ).wait()
      for index in 0..<count
      where ElementBits.load(index, of: result, size: type.size) != expected(rank * count + index) {
        throw WrongResult(description: "element \(index) of a reduce-scatter")
      }
    }
  }

  /// What is refused has not been scaled.
  @Test func refusedScalingChangesNothing() throws {
    let communicator = try makeCommunicators(2)[0]
    let integers = TuttiBuffer<Int32>([1, 2, 3])
    let error = #expect(throws: TuttiError.self) {
      try communicator.startAllReduce(integers.rawMemory, scaledBy: 2)
    }
    #expect(error?.message.contains("int32") == true)
    let floats = TuttiBuffer<Float>(count: 3, repeating: 1)
    #expect(throws: TuttiError.self) {
      try communicator.startAllReduce(floats.rawMemory, scaledBy: 2, algorithm: "rnig")
    }
    #expect(floats.elements == [1, 1, 1])
  }

  /// Nor has what the strict check finds, which says so.
  @Test func disagreementBeforeScalingChangesNothing() throws {
    var options = CommunicatorOptions()
    options.checksStrictly = true
    for scatters in [false, true] {
      let communicators = try Communicator.makeInProcess(rankCount: 2, options: options)
      let buffers = (0..<2).map { TuttiBuffer<Float>(count: 100 + 2 * $0, repeating: 1) }
      let outputs = (0..<2).map { TuttiBuffer<Float>(count: scatters ? 50 + $0 : 100 + 2 * $0, repeating: 7) }
      let ended = try endings(communicators) { communicator throws(TuttiError) in
        let (input, output) = (buffers[communicator.rank].rawMemory, outputs[communicator.rank].rawMemory)
        if scatters {
          try communicator.startReduceScatter(input, to: output, scaledBy: 2).wait()
        } else {
          try communicator.startAllReduce(input, to: communicator.rank == 0 ? nil : output, scaledBy: 2).wait()
        }
      }
      for ending in ended {
        let error = try #require(ending.error)
        #expect(error.code == .mismatch && error.message.contains("no buffer was touched"), "\(error)")
      }
      #expect(buffers.allSatisfy { $0.elements.allSatisfy { $0 == 1 } }, "scatters: \(scatters)")
      #expect(outputs.allSatisfy { $0.elements.allSatisfy { $0 == 7 } }, "scatters: \(scatters)")
    }
  }

  /// A reduce-scatter in place, and one of no elements whose memory makes no sense.
  @Test func scaledBlocksAreCountedByTheGate() throws {
    try withRanks(2) { communicator in
      let values = TuttiBuffer<Float>([1, 2, 3, 4])
      let own = RawMemory(values.pointer.baseAddress! + 2 * communicator.rank, count: 2, type: .float32)
      try communicator.startReduceScatter(values.rawMemory, to: own, scaledBy: 3).wait()
      let (expected, rank) = ([6, 12, 18, 24] as [Float], communicator.rank)
      guard Array(values.elements[2 * rank..<2 * rank + 2]) == Array(expected[2 * rank..<2 * rank + 2]) else {
        throw WrongResult(description: "\(values.elements)")
      }
      let none = RawMemory(nil, count: -5, type: .float32)
      try communicator.startReduceScatter(none, to: RawMemory(nil, count: 0, type: .float32), scaledBy: 3).wait()
    }
  }

  /// Handlers run on one thread, in the order of ends, and may block and make calls.
  @Test(arguments: Fabric.allCases)
  func handlersRunOnOneThread(fabric: Fabric) throws {
    try withRanks(2, fabric) { communicator in
      let (seen, wake) = (Lock([(Int, pthread_t)]()), DispatchSemaphore(value: 0))
      for index in 0..<20 {
        let buffer = TuttiBuffer<Float>(count: 100 * index, repeating: 1)
        try communicator.startAllReduce(buffer, .sum).whenEnded { result in
          if case .success = result { seen.withLock { $0.append((index, pthread_self())) } }
          if index == 3 { usleep(10_000) }
          wake.signal()
        }
      }
      for _ in 0..<20 {
        guard wake.wait(timeout: .now() + .seconds(60 * slowness)) == .success else {
          throw WrongResult(description: "ends")
        }
      }
      let all = seen.withLock { $0 }
      guard Set(all.map(\.0)) == Set(0..<20), all.allSatisfy({ pthread_equal($0.1, all[0].1) != 0 }),
        pthread_equal(all[0].1, pthread_self()) == 0
      else { throw WrongResult(description: "handlers \(all.map(\.0))") }
    }
  }

  /// Each rank that waits names all that have not come.
  @Test(arguments: Fabric.allCases)
  func monitoredBarrierNamesTheMissing(fabric: Fabric) throws {
    let communicators = try makeCommunicators(4, fabric)
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      try communicator.monitoredBarrier()
      if communicator.rank % 2 == 1 {
        // Busy elsewhere until the others have given up.
        let deadline = ContinuousClock.now + .seconds(Patience.seconds(60))
        while communicator.engine.failure == nil, ContinuousClock.now < deadline { usleep(1000) }
      }
      try communicator.monitoredBarrier(timeout: .milliseconds(300))
    }
    for ending in ended {
      let error = try #require(ending.error)
      #expect(error.code == .timeout && error.message.contains("ranks 1 and 3 have not come"), "\(error)")
      #expect(error.peer == 1 && error.operation == "monitored barrier")
    }
  }
}
