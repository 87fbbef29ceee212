import Testing
import TuttiAlgorithms
import TuttiSchedule
import TuttiTesting

@testable import Tutti

/// Every collective with every algorithm, over every fabric, with random arguments; and what the calls refuse.
@Suite(.serialized) struct CollectiveTests {
  static let collectives = Collective.allCases.filter { $0 != .barrier }

  @Test(arguments: collectives, Fabric.allCases)
  func everyAlgorithm(collective: Collective, fabric: Fabric) throws {
    let seed = testSeed("everyAlgorithm")
    let algorithms = AlgorithmRegistry.algorithms(for: collective).map(\.name) + ["auto"]
    for rankCount in [1, 2, 3, 5, 8] {
      try withRanks(rankCount, fabric) { communicator in
        var generator = SeededGenerator(seed: seed &+ UInt64(rankCount))
        for algorithm in algorithms {
          for _ in 0..<4 {
            let exercise = Exercise(rankCount: rankCount, collective, algorithm: algorithm, using: &generator)
            let memory = try ExerciseMemory(exercise, rank: communicator.rank, misalignment: communicator.rank)
            try exercise.run(communicator, memory)
            let error = memory.firstError()
            try #require(error == nil, "\(exercise): \(error ?? ""), seed \(seed)")
          }
        }
      }
    }
  }

  @Test func arrays() throws {
    try withRanks(3) { communicator in
      let rank = communicator.rank
      #expect(try communicator.allGather([Int32(rank), 7]) == [0, 7, 1, 7, 2, 7])
      #expect(
        try communicator.allGather(Array(repeating: UInt8(rank), count: rank), blocks: .each([0, 1, 2])) == [1, 2, 2])
      #expect(try communicator.reduceScatter([1.5, 2.5, Double(rank)], .sum) == [[4.5], [7.5], [3.0]][rank])
      #expect(try communicator.gather([Float(rank)], root: 1) == (rank == 1 ? [0, 1, 2] : []))
      #expect(try communicator.scatter(rank == 2 ? [10, 20, 30] as [Int] : [], count: 1, root: 2) == [10 * (rank + 1)])
      #expect(try communicator.allToAll((0..<3).map { Int64(10 * rank + $0) }) == (0..<3).map { Int64(10 * $0 + rank) })
      var values: [BFloat16] = rank == 1 ? [1, 2] : [0, 0]
      try communicator.broadcast(&values, root: 1)
      #expect(values == [1, 2])
      var halves: [Float16] = [Float16(rank), 1]
      try communicator.reduce(&halves, .average, root: 0)
      #expect(halves == (rank == 0 ? [1, 1] : [Float16(rank), 1]))
      var none: [Float] = []
      try communicator.allReduce(&none, .max)
      #expect(try communicator.allGather(none).isEmpty)
    }
  }

  @Test func buffersOutliveTheirCalls() throws {
    try withRanks(2) { communicator in
      let works = try [
        communicator.startAllGather(
          TuttiBuffer<Float>(count: 1000, repeating: 1), to: TuttiBuffer(count: 2000, repeating: 0)),
        communicator.startAllToAll(
          TuttiBuffer<Float>(count: 1000, repeating: 1), to: TuttiBuffer(count: 1000, repeating: 0)),
        communicator.startBroadcast(TuttiBuffer<Float>(count: 1000, repeating: 1), root: 1),
        communicator.startReduce(TuttiBuffer<Float>(count: 1000, repeating: 1), .sum, root: 1),
        communicator.startReduceScatter(
          TuttiBuffer<Float>(count: 2000, repeating: 1), to: TuttiBuffer(count: 1000, repeating: 0), .sum),
      ]
      for work in works { try work.wait() }
    }
  }

  /// Blocking calls take arrays, spans, buffers and raw memory alike.
  @Test func everyKindOfMemory() throws {
    try withRanks(3) { communicator in
      let own = Int32(communicator.rank + 1)
      var array = [own, own]
      try communicator.allReduce(&array, .sum)
      var spanned = [own, own]
      var span = spanned.mutableSpan
      try communicator.allReduce(&span, .sum)
      let buffer = TuttiBuffer<Int32>([own, own])
      try communicator.allReduce(buffer, .sum)
      let output = TuttiBuffer<Int32>(count: 2, repeating: 0)
      try communicator.allReduce(TuttiBuffer<Int32>([own, own]), to: output, .sum)
      let raw = TuttiBuffer<Int32>([own, own])
      try communicator.allReduce(RawMemory(raw.pointer.baseAddress, count: 2, type: .int32), .sum)
      #expect([array, spanned, buffer.elements, output.elements, raw.elements] == Array(repeating: [6, 6], count: 5))

      let all = communicator.rank == 1 ? TuttiBuffer<Int32>(count: 6, repeating: 0) : nil
      try communicator.gather(TuttiBuffer<Int32>([own, -own]), to: all, root: 1)
      #expect(all == nil || all?.elements == [1, -1, 2, -2, 3, -3])
      let block = TuttiBuffer<Int32>(count: communicator.rank, repeating: 0)
      try communicator.scatter(
        communicator.rank == 0 ? TuttiBuffer<Int32>([7, 8, 9]) : nil, to: block, root: 0, blocks: .each([0, 1, 2]))
      #expect(block.elements == [[], [7], [8, 9]][communicator.rank])
      let (next, previous) = ((communicator.rank + 1) % 3, (communicator.rank + 2) % 3)
      let received = TuttiBuffer<Int32>(count: 1, repeating: 0)
      try communicator.sendReceive(TuttiBuffer<Int32>([own]), to: next, into: received, from: previous)
      #expect(received[0] == Int32(previous + 1))
    }
  }

  /// Refused on the rank that makes it, before anything is sent: the communicator goes on.
  @Test func refusals() throws {
    try withRanks(2) { communicator in
      let memory = UnsafeMutableRawPointer.allocate(byteCount: 1024, alignment: 64)
      defer { memory.deallocate() }
      func refusal(_ words: String, _ body: () throws(TuttiError) -> Void) {
        let error = #expect(throws: TuttiError.self) { try body() }
        #expect(error?.code == .invalidArgument && error?.message.contains(words) == true, "\(String(describing: error))")
      }
      refusal("root 2 is not one of 2 ranks") { () throws(TuttiError) in
        try communicator.broadcast(RawMemory(memory, count: 1, type: .int8), root: 2)
      }
      refusal("root -1 is not one of 2 ranks") { () throws(TuttiError) in
        try communicator.reduce(RawMemory(memory, count: 1, type: .int8), to: nil, .sum, root: -1)
      }
      refusal("average is not defined for int32") { () throws(TuttiError) in
        try communicator.allReduce(RawMemory(memory, count: 1, type: .int32), .average)
      }
      refusal("bitwise-xor is not defined for bfloat16") { () throws(TuttiError) in
        try communicator.reduceScatter(
          RawMemory(memory, count: 2, type: .bfloat16),
          to: RawMemory(memory + 512, count: 1, type: .bfloat16), .bitwiseXor)
      }
      refusal("input and output overlap") { () throws(TuttiError) in
        try communicator.allReduce(
          RawMemory(memory, count: 2, type: .float32), to: RawMemory(memory + 4, count: 2, type: .float32), .sum)
      }
      refusal("input and output overlap") { () throws(TuttiError) in
        try communicator.allGather(
          RawMemory(memory + 4 - 4 * communicator.rank, count: 1, type: .float32),
          to: RawMemory(memory, count: 2, type: .float32))
      }
      refusal("input and output overlap") { () throws(TuttiError) in
        try communicator.allToAll(
          RawMemory(memory, count: 2, type: .float32), blocks: .each([1, 1]),
          to: RawMemory(memory, count: 2, type: .float32), blocks: .each([1, 1]))
      }
      refusal("3 counts were given for 2 ranks") { () throws(TuttiError) in
        try communicator.gather(
          RawMemory(memory, count: 1, type: .int8),
          to: RawMemory(memory + 512, count: 3, type: .int8), root: 0, blocks: .each([1, 1, 1]))
      }
      refusal("-1 is no count of elements for a call") { () throws(TuttiError) in
        try communicator.scatter(
          RawMemory(memory, count: 0, type: .int8),
          to: RawMemory(memory + 512, count: 1, type: .int8), root: 0, blocks: .each([1, -1]))
      }
      refusal("is no count of elements") { () throws(TuttiError) in
        try communicator.allGather(
          RawMemory(memory, count: Int.max / 20, type: .int8),
          to: RawMemory(memory + 512, count: Int.max / 10, type: .int8))
      }
      refusal("sends 1 elements to itself, but receives 2") { () throws(TuttiError) in
        try communicator.allToAll(
          RawMemory(memory, count: 2, type: .float32), blocks: .each([1, 1]),
          to: RawMemory(memory + 512, count: 4, type: .float32), blocks: .each([2, 2]))
      }
      refusal("bruck serves blocks of equal sizes only") { () throws(TuttiError) in
        try communicator.allToAll(
          RawMemory(memory, count: 2, type: .float32), blocks: .each([1, 1]),
          to: RawMemory(memory + 512, count: 2, type: .float32), blocks: .each([1, 1]), algorithm: "bruck")
      }
      refusal("all-gather has no algorithm 'rign'") { () throws(TuttiError) in
        try communicator.allGather(
          RawMemory(memory, count: 1, type: .int8),
          to: RawMemory(memory + 512, count: 2, type: .int8), algorithm: "rign")
      }
      refusal("the output has 3 elements on rank \(communicator.rank), which needs 2") { () throws(TuttiError) in
        try communicator.allGather(
          RawMemory(memory, count: 1, type: .int8), to: RawMemory(memory + 512, count: 3, type: .int8))
      }
      refusal("the input has elements of int8, and the output of uint8") { () throws(TuttiError) in
        try communicator.allReduce(
          RawMemory(memory, count: 1, type: .int8), to: RawMemory(memory + 512, count: 1, type: .uint8), .sum)
      }
      refusal("5 elements cannot be divided into 2 equal blocks") { () throws(TuttiError) in
        _ = try communicator.allToAll([1, 2, 3, 4, 5] as [Int32])
      }
      if communicator.rank == 0 {
        refusal("the output of 2 bytes is nil on rank 0") { () throws(TuttiError) in
          try communicator.gather(RawMemory(memory, count: 1, type: .int8), to: nil, root: 0)
        }
      }
      var value: [Int32] = [1]
      try communicator.allReduce(&value, .sum)
      #expect(value == [2])
    }
  }

  /// Ranks that disagree about counts, root or operation find out, and say both calls.
  @Test(arguments: Fabric.allCases)
  func disagreements(fabric: Fabric) throws {
    func disagreement(_ words: [String], _ body: @escaping @Sendable (Communicator) throws(TuttiError) -> Void) throws {
      let communicators = try makeCommunicators(2, fabric, timeout: .seconds(5))
      defer { for communicator in communicators { communicator.close() } }
      for ending in try endings(communicators, body) {
        let error = try #require(ending.error)
        #expect(error.code == .mismatch && words.allSatisfy { error.description.contains($0) }, "\(error)")
      }
    }
    // Two roots that only send learn it from what they find in their way later.
    try disagreement(["broadcast float32 x 1, root"]) { communicator throws(TuttiError) in
      var values: [Float] = [1]
      try communicator.broadcast(&values, root: communicator.rank)
      for _ in 0..<3 { try communicator.barrier() }
    }
    try disagreement(["reduce max float32 x 1, root 0", "reduce sum float32 x 1, root 0"]) {
      communicator throws(TuttiError) in
      var values: [Float] = [1]
      try communicator.reduce(&values, communicator.rank == 0 ? .sum : .max, root: 0)
      try communicator.barrier()
    }
    try disagreement(["in unequal blocks"]) { communicator throws(TuttiError) in
      let counts = communicator.rank == 0 ? [1, 2] : [1, 3]
      _ = try communicator.allGather(Array(repeating: Float(0), count: counts[communicator.rank]), blocks: .each(counts))
    }
    try disagreement(["all-to-all"]) { communicator throws(TuttiError) in
      let other = communicator.rank == 0 ? 3 : 5
      let memory = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 64)
      defer { memory.deallocate() }
      try communicator.allToAll(
        RawMemory(memory, count: 4, type: .int32),
        blocks: .each(communicator.rank == 0 ? [0, 4] : [4, 0]),
        to: RawMemory(memory + 128, count: other, type: .int32),
        blocks: .each(communicator.rank == 0 ? [0, other] : [other, 0]))
      try communicator.barrier()
    }
  }
}
