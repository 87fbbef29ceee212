import Testing
import TuttiSchedule
import TuttiSystem
import TuttiTesting

@testable import Tutti

/// In canonical mode, bits are those of the canonical tree: for all algorithms, sizes, transports and groups.
@Suite struct CanonicalBitsTests {
  private static let counts = [1, 17, 1000, 3000]

  /// A job: how many ranks, and the hosts that a description puts them on.
  private struct Job {
    var rankCount: Int
    var ranksByHost: [Int] = []

    var topology: String {
      """
      name: made-up
      source: made up
      hosts:
      \(ranksByHost.enumerated().map { "  - { name: h\($0), ranks: \($1), nics: { bandwidth: 10 Gb/s, latency: 5 us } }" }
        .joined(separator: "\n"))
      network: { type: switch }
      """
    }
  }

  /// Fewer where ranks have to join one another.
  private static func jobs(_ fabric: Fabric) -> [Job] {
    let some = [Job(rankCount: 3), Job(rankCount: 4, ranksByHost: [2, 2]), Job(rankCount: 5, ranksByHost: [3, 2])]
    guard fabric == .inProcess else { return some }
    return some + [2, 4, 5, 6, 7, 8].map { Job(rankCount: $0) } + [
      Job(rankCount: 6, ranksByHost: [2, 2, 2]), Job(rankCount: 8, ranksByHost: [4, 4]),
    ]
  }

  /// Runs `body` as each rank of a job on a thread of its own.
  private func withRanks(
    _ job: Job, _ fabric: Fabric, _ bits: ResultBits, _ body: @escaping @Sendable (Communicator) throws -> Void
  ) throws {
    var options = CommunicatorOptions()
    options.bits = bits
    options.timeout = .seconds(60 * slowness)
    if !job.ranksByHost.isEmpty { options.topology = try JobTopology(text: job.topology) }
    do {
      let communicators = try TuttiTesting.makeCommunicators(job.rankCount, over: fabric.transport, options: options)
      try TuttiTesting.onThreads(job.rankCount) { rank in
        try body(communicators[rank])
        communicators[rank].close()
      }
    } catch let failure as RankFailure { throw failure.error }
  }

  /// Values of many magnitudes, so that hardly any sum is exact. Each element is the same in every size.
  private static func values(_ rankCount: Int, seed: UInt64) -> [[Double]] {
    var generator = SeededGenerator(seed: seed)
    return (0..<rankCount).map { _ in
      (0..<(counts.max() ?? 0)).map { _ in
        Double.random(in: -1...1, using: &generator) * Double([1, 4, 16, 64].randomElement(using: &generator) ?? 1)
      }
    }
  }

  /// The canonical tree, written down once more: pairs at the front, then halves.
  private static func folded<Number>(_ values: [Number], _ add: (Number, Number) -> Number) -> Number {
    var positions = 1
    while positions * 2 <= values.count { positions *= 2 }
    let pairs = values.count - positions
    var level = (0..<pairs).map { add(values[2 * $0], values[2 * $0 + 1]) } + values[(2 * pairs)...]
    while level.count > 1 {
      level = stride(from: 0, to: level.count, by: 2).map { add(level[$0], level[$0 + 1]) }
    }
    return level[0]
  }

  /// What the ranks of a job give, and its sums by the canonical tree: computed once for all ranks.
  private struct Case<Number: Sendable>: Sendable {
    let inputs: [[Number]]
    let sums: [Number]

    init(_ values: [[Double]], _ make: (Double) -> Number, _ add: (Number, Number) -> Number) {
      let inputs = values.map { $0.map(make) }
      self.inputs = inputs
      sums = inputs[0].indices.map { index in folded(inputs.map { $0[index] }, add) }
    }
  }

  /// Sums of one type by every algorithm that is not refused, which are many, in every size.
  private static func expectSums<Number: TuttiElement & Equatable & Sendable>(
    _ communicator: Communicator, _ given: Case<Number>
  ) throws {
    let (inputs, sums) = (given.inputs, given.sums)
    var ran = 0
    // Compositions differ from each other in their parts alone, which run by themselves too: a few stand for them.
    let names = communicator.algorithms(for: .allReduce).filter { !$0.contains("+") || $0.contains(":direct+") }
    for name in ["auto"] + names {
      for count in counts {
        var buffer = Array(inputs[communicator.rank].prefix(count))
        do throws(TuttiError) { try communicator.allReduce(&buffer, .sum, algorithm: AlgorithmName(name)) } catch {
          #expect(error.code == .invalidArgument && error.message.contains("canonically"), "\(name): \(error)")
          break
        }
        if count == counts.last { ran += 1 }
        #expect(
          buffer.elementsEqual(sums.prefix(count)),
          "\(Number.self), \(name) of \(communicator.rankCount) ranks, \(count) elements")
      }
    }
    #expect(ran >= 5)
    try expectParts(communicator, inputs, sums)
  }

  /// The same for reduce, whatever the root, and for reduce-scatter.
  private static func expectParts<Number: TuttiElement & Equatable>(
    _ communicator: Communicator, _ inputs: [[Number]], _ sums: [Number]
  ) throws {
    let (rank, rankCount) = (communicator.rank, communicator.rankCount)
    for name in ["auto", "direct", "distance-doubling"] {
      for root in [0, rankCount / 2, rankCount - 1] {
        var buffer = Array(inputs[rank].prefix(1000))
        try communicator.reduce(&buffer, .sum, root: root, algorithm: AlgorithmName(name))
        if rank == root { #expect(buffer.elementsEqual(sums.prefix(1000)), "reduce \(name) to \(root)") }
      }
      for each in [1, 300] {
        let block = try communicator.reduceScatter(
          Array(inputs[rank].prefix(each * rankCount)), .sum, algorithm: AlgorithmName(name))
        #expect(block.elementsEqual(sums[(rank * each)..<((rank + 1) * each)]), "reduce-scatter \(name), blocks of \(each)")
      }
    }
  }

  @Test("sums have the bits of the canonical tree", arguments: Fabric.allCases) func sums(_ fabric: Fabric) throws {
    let seed = testSeed("CanonicalBitsTests")
    for job in Self.jobs(fabric) {
      let values = Self.values(job.rankCount, seed: seed)
      let float = Case(values, { Float($0) }, +)
      let double = Case(values, { $0 }, +)
      // 16-bit floats are rounded after each combine of two.
      let half = Case(values, { Float16($0) }, { Float16(Float($0) + Float($1)) })
      let brain = Case(values, { BFloat16(Float($0)) }, { BFloat16(Float($0) + Float($1)) })
      try withRanks(job, fabric, .canonical) { communicator in
        try Self.expectSums(communicator, float)
        try Self.expectSums(communicator, double)
        try Self.expectSums(communicator, half)
        try Self.expectSums(communicator, brain)
      }
    }
  }

  @Test("averages have one set of bits, too", arguments: [DataType.float16, .float32]) func averages(_ type: DataType) throws
  {
    let seed = testSeed("CanonicalBitsTests.averages")
    for job in Self.jobs(.inProcess) {
      let values = Self.values(job.rankCount, seed: seed)
      try withRanks(job, .inProcess, .canonical) { communicator in
        func average<Number: TuttiElement & Equatable>(_ make: (Double) -> Number) throws {
          var first: [Number] = []
          for name in ["recursive-doubling", "halving-doubling", "linear", "one-shot", "two-shot", "auto"] {
            for count in [3000, 1000] {
              var buffer = values[communicator.rank].prefix(count).map(make)
              try communicator.allReduce(&buffer, .average, algorithm: AlgorithmName(name))
              if first.isEmpty { first = buffer }
              #expect(buffer.elementsEqual(first.prefix(count)), "\(name), \(communicator.rankCount) ranks")
            }
          }
        }
        if type == .float16 { try average { Float16($0) } } else { try average { Float($0) } }
      }
    }
  }

  @Test("in class mode, bits do not depend on the size", arguments: [[3, 2], [3, 3], []]) func classes(_ hosts: [Int]) throws
  {
    let values = Self.values(6, seed: testSeed("CanonicalBitsTests.classes"))
    let job = Job(rankCount: hosts.isEmpty ? 6 : hosts.reduce(0, +), ranksByHost: hosts)
    try withRanks(job, .inProcess, .class) { communicator in
      #expect(communicator.bits == .class)
      var long = values[communicator.rank].map { Float($0) }
      try communicator.allReduce(&long, .sum)
      for count in Self.counts {
        var buffer = values[communicator.rank].prefix(count).map { Float($0) }
        try communicator.allReduce(&buffer, .sum)
        #expect(buffer.elementsEqual(long.prefix(count)), "\(count) elements on \(hosts)")
      }
      // Other algorithms run by name, and nothing is refused.
      try communicator.allReduce(&long, .sum, algorithm: "ring")
    }
  }

  @Test("what is exact in any order runs by any algorithm in canonical mode") func exact() throws {
    try withRanks(Job(rankCount: 5), .inProcess, .canonical) { communicator in
      var whole = [Int32](repeating: 1, count: 100)
      try communicator.allReduce(&whole, .sum, algorithm: "ring")
      var most = [Float(communicator.rank)]
      try communicator.allReduce(&most, .max, algorithm: "ring")
      #expect(whole.allSatisfy { $0 == 5 } && most == [4])
      let error = #expect(throws: TuttiError.self) { try communicator.allReduce(&most, .sum, algorithm: "ring") }
      #expect(
        error?.message == "algorithm ring does not fold 5 ranks canonically, and the bits of results have to be canonical")
      // It was refused before anything was sent: the communicator goes on.
      try communicator.allReduce(&most, .sum)
      #expect(most == [20])
    }
  }

  @Test("ranks that differ in their bits do not join") func disagreement() throws {
    let rendezvous = "unix:@tutti-bits-\(UInt64.random(in: 0...UInt64.max))"
    let errors = Lock<[TuttiError?]>([])
    try onThreads(2) { rank in
      var variables = environment(rank, 2, rendezvous)
      variables["TUTTI_BITS"] = rank == 0 ? "canonical" : "any"
      do throws(TuttiError) {
        try Communicator.join(environment: variables).close()
        errors.withLock { $0.append(nil) }
      } catch { errors.withLock { $0.append(error) } }
    }
    let messages = errors.withLock { $0.map { $0?.message ?? "joined" } }
    #expect(
      messages.count == 2 && messages.allSatisfy { $0.contains("TUTTI_BITS") && $0.contains("canonical") }, "\(messages)")
  }

  @Test("what no value of TUTTI_BITS is, and what the options contradict, is refused") func badVariables() throws {
    func message(_ value: String, _ bits: ResultBits?) -> String {
      var variables = environment(0, 1, "127.0.0.1:1")
      variables["TUTTI_BITS"] = value
      var options = CommunicatorOptions()
      options.bits = bits
      do throws(TuttiError) { try Communicator.join(environment: variables, options: options).close() } catch {
        return error.message
      }
      return "joined"
    }
    #expect(message("same", nil) == "TUTTI_BITS=\"same\" is none of any, class, canonical")
    #expect(message("any", .class) == "TUTTI_BITS=\"any\" is not what the program's own options have (class)")
  }
}
