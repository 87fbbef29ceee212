import Testing
import TuttiAlgorithms
import TuttiSchedule
import TuttiTesting

@testable import Tutti

/// Memory that calls are to be refused with: 512 bytes of input, and as many of output.
private struct RefusedMemory {
  let base: UnsafeMutableRawPointer

  func input(_ count: Int, _ type: DataType = .int8, at byte: Int = 0) -> RawMemory {
    RawMemory(base + byte, count: count, type: type)
  }

  func output(_ count: Int, _ type: DataType = .int8) -> RawMemory { input(count, type, at: 512) }
}

private func refuses(_ words: String, _ call: () throws -> Void) {
  let error = #expect(throws: TuttiError.self) { try call() }
  #expect(error?.code == .invalidArgument && error?.message.contains(words) == true, "\(String(describing: error))")
}

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
      func buffer(_ count: Int) -> TuttiBuffer<Float> { TuttiBuffer(count: count, repeating: 1) }
      let works = try [
        communicator.startAllGather(buffer(1000), to: buffer(2000)),
        communicator.startAllToAll(buffer(1000), to: buffer(1000)),
        communicator.startBroadcast(buffer(1000), root: 1),
        communicator.startReduce(buffer(1000), .sum, root: 1),
        communicator.startReduceScatter(buffer(2000), to: buffer(1000), .sum),
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
    try afterRefusals { communicator, memory in
      refuses("root 2 is not one of 2 ranks") { try communicator.broadcast(memory.input(1), root: 2) }
      refuses("root -1 is not one of 2 ranks") { try communicator.reduce(memory.input(1), .sum, root: -1) }
      refuses("average is not defined for int32") { try communicator.allReduce(memory.input(1, .int32), .average) }
      refuses("bitwise-xor is not defined for bfloat16") {
        try communicator.reduceScatter(memory.input(2, .bfloat16), to: memory.output(1, .bfloat16), .bitwiseXor)
      }
      refuses("input and output overlap") {
        try communicator.allReduce(memory.input(2, .float32), to: memory.input(2, .float32, at: 4), .sum)
      }
      refuses("input and output overlap") {
        try communicator.allGather(memory.input(1, .float32, at: 4 - 4 * communicator.rank), to: memory.input(2, .float32))
      }
      refuses("input and output overlap") {
        let both = memory.input(2, .float32)
        try communicator.allToAll(both, blocks: .each([1, 1]), to: both, blocks: .each([1, 1]))
      }
    }
  }

  @Test func refusalsOfCounts() throws {
    try afterRefusals { communicator, memory in
      let rank = communicator.rank
      refuses("3 counts were given for 2 ranks") {
        try communicator.gather(memory.input(1), to: memory.output(3), root: 0, blocks: .each([1, 1, 1]))
      }
      refuses("-1 is not a valid count of elements for a call") {
        try communicator.scatter(memory.input(0), to: memory.output(1), root: 0, blocks: .each([1, -1]))
      }
      refuses("is not a valid count of elements") {
        try communicator.allGather(memory.input(.max / 20), to: memory.output(.max / 10))
      }
      refuses("sends a count of 1 to itself, but receives 2") {
        try communicator.allToAll(
          memory.input(2, .float32), blocks: .each([1, 1]), to: memory.output(4, .float32), blocks: .each([2, 2]))
      }
      refuses("bruck serves blocks of equal sizes only") {
        let (input, output) = (memory.input(2, .float32), memory.output(2, .float32))
        try communicator.allToAll(input, blocks: .each([1, 1]), to: output, blocks: .each([1, 1]), algorithm: "bruck")
      }
      refuses("all-gather has no algorithm 'rign'") {
        try communicator.allGather(memory.input(1), to: memory.output(2), algorithm: "rign")
      }
      refuses("the output has 3 elements on rank \(rank), and the call needs 2") {
        try communicator.allGather(memory.input(1), to: memory.output(3))
      }
      refuses("the input has elements of int8, and the output of uint8") {
        try communicator.allReduce(memory.input(1), to: memory.output(1, .uint8), .sum)
      }
      refuses("5 elements cannot be divided into 2 equal blocks") {
        _ = try communicator.allToAll([1, 2, 3, 4, 5] as [Int32])
      }
      if rank == 0 {
        refuses("the output of 2 bytes is nil on rank 0") { try communicator.gather(memory.input(1), to: nil, root: 0) }
      }
    }
  }

  /// Refused calls leave a communicator as it was.
  private func afterRefusals(_ body: @escaping @Sendable (Communicator, RefusedMemory) throws -> Void) throws {
    try withRanks(2) { communicator in
      let memory = RefusedMemory(base: .allocate(byteCount: 1024, alignment: 64))
      defer { memory.base.deallocate() }
      try body(communicator, memory)
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
      func blocks(_ count: Int) -> BlockSizes { .each(communicator.rank == 0 ? [0, count] : [count, 0]) }
      let other = communicator.rank == 0 ? 3 : 5
      let (input, output) = (TuttiBuffer<Int32>(count: 4, repeating: 0), TuttiBuffer<Int32>(count: other, repeating: 0))
      try communicator.allToAll(input, blocks: blocks(4), to: output, blocks: blocks(other))
      try communicator.barrier()
    }
  }
}
