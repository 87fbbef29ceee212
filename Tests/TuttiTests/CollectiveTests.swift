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
      #expect(try communicator.allGather(Array(repeating: UInt8(rank), count: rank), counts: [0, 1, 2]) == [1, 2, 2])
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
        try communicator.broadcast(memory, count: 1, type: .int8, root: 2)
      }
      refusal("root -1 is not one of 2 ranks") { () throws(TuttiError) in
        try communicator.reduce(from: memory, to: nil, count: 1, type: .int8, .sum, root: -1)
      }
      refusal("average is not defined for int32") { () throws(TuttiError) in
        try communicator.allReduce(from: memory, to: memory, count: 1, type: .int32, .average)
      }
      refusal("bitwise-xor is not defined for bfloat16") { () throws(TuttiError) in
        try communicator.reduceScatter(from: memory, to: memory + 512, count: 1, type: .bfloat16, .bitwiseXor)
      }
      refusal("input and output overlap") { () throws(TuttiError) in
        try communicator.allReduce(from: memory, to: memory + 4, count: 2, type: .float32, .sum)
      }
      refusal("input and output overlap") { () throws(TuttiError) in
        try communicator.allGather(from: memory + 4 - 4 * communicator.rank, to: memory, count: 1, type: .float32)
      }
      refusal("input and output overlap") { () throws(TuttiError) in
        try communicator.allToAll(from: memory, sendCounts: [1, 1], to: memory, receiveCounts: [1, 1], type: .float32)
      }
      refusal("3 counts were given for 2 ranks") { () throws(TuttiError) in
        try communicator.gather(from: memory, to: memory + 512, counts: [1, 1, 1], type: .int8, root: 0)
      }
      refusal("-1 is no count of elements for a call") { () throws(TuttiError) in
        try communicator.scatter(from: memory, to: memory + 512, counts: [1, -1], type: .int8, root: 0)
      }
      refusal("is no count of elements") { () throws(TuttiError) in
        try communicator.allGather(from: memory, to: memory + 512, count: Int.max / 20, type: .int8)
      }
      refusal("sends 1 elements to itself, but receives 2") { () throws(TuttiError) in
        try communicator.allToAll(
          from: memory, sendCounts: [1, 1], to: memory + 512, receiveCounts: [2, 2], type: .float32)
      }
      refusal("bruck serves blocks of equal sizes only") { () throws(TuttiError) in
        try communicator.allToAll(
          from: memory, sendCounts: [1, 1], to: memory + 512, receiveCounts: [1, 1], type: .float32, algorithm: "bruck")
      }
      refusal("all-gather has no algorithm 'rign'") { () throws(TuttiError) in
        try communicator.allGather(from: memory, to: memory + 512, count: 1, type: .int8, algorithm: "rign")
      }
      refusal("5 elements cannot be divided into 2 equal blocks") { () throws(TuttiError) in
        _ = try communicator.allToAll([1, 2, 3, 4, 5] as [Int32])
      }
      if communicator.rank == 0 {
        refusal("the output of 2 bytes is nil on rank 0") { () throws(TuttiError) in
          try communicator.gather(from: memory, to: nil, count: 1, type: .int8, root: 0)
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
      _ = try communicator.allGather(Array(repeating: Float(0), count: counts[communicator.rank]), counts: counts)
    }
    try disagreement(["all-to-all"]) { communicator throws(TuttiError) in
      let other = communicator.rank == 0 ? 3 : 5
      let memory = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 64)
      defer { memory.deallocate() }
      try communicator.allToAll(
        from: memory, sendCounts: communicator.rank == 0 ? [0, 4] : [4, 0], to: memory + 128,
        receiveCounts: communicator.rank == 0 ? [0, other] : [other, 0], type: .int32)
      try communicator.barrier()
    }
  }
}
