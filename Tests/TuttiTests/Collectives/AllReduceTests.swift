import Testing
import TuttiAlgorithms
import TuttiTransport

@testable import Tutti

struct WrongResult: Error, CustomStringConvertible {
  let description: String
}

/// Every algorithm gives every rank the exact result, over every transport.
@Suite(.serialized) struct AllReduceTests {
  static let algorithms = AlgorithmRegistry.algorithms(for: .allReduce).map(\.name)
  static let counts = [0, 1, 2, 3, 5, 8, 63, 64, 65, 1000, 4099]

  static func check(
    _ communicator: Communicator, _ algorithm: String?, count: Int, _ type: DataType = .float32,
    _ operation: ReduceOp = .sum,
    inPlace: Bool = false, misalignment: Int = 0, salt: Int = 0
  ) throws {
    let pattern = Pattern(rankCount: communicator.rankCount, type: type, operation: operation, salt: salt)
    let memory = CallMemory(pattern, rank: communicator.rank, count: count, inPlace: inPlace, misalignment: misalignment)
    try communicator.allReduce(
      RawMemory(memory.input, count: count, type: type), to: RawMemory(memory.output, count: count, type: type), operation,
      algorithm: AlgorithmName(algorithm))
    if let error = memory.firstError() {
      throw WrongResult(
        description:
          "\(algorithm ?? "auto") on \(communicator.rankCount) ranks, \(operation) of \(count) \(type), in place \(inPlace): \(error)"
      )
    }
  }

  @Test(arguments: Fabric.allCases, [1, 2, 3, 4, 5, 8])
  func everyAlgorithm(fabric: Fabric, rankCount: Int) throws {
    try withRanks(rankCount, fabric) { communicator in
      for algorithm in Self.algorithms {
        for count in Self.counts {
          try Self.check(
            communicator, algorithm, count: count, inPlace: count % 2 == 1, misalignment: count % 3, salt: count)
        }
      }
    }
  }

  @Test(arguments: Fabric.allCases)
  func typesAndOperations(fabric: Fabric) throws {
    try withRanks(3, fabric) { communicator in
      for type in DataType.allCases {
        for operation in ReduceOp.allCases where operation.isDefined(for: type) {
          for algorithm in Self.algorithms + ["auto"] {
            try Self.check(communicator, algorithm, count: 777, type, operation)
            try Self.check(communicator, algorithm, count: 777, type, operation, inPlace: true)
          }
        }
      }
    }
  }

  @Test(arguments: Fabric.allCases)
  func largeMessages(fabric: Fabric) throws {
    try withRanks(4, fabric) { communicator in
      for algorithm in Self.algorithms {
        try Self.check(communicator, algorithm, count: 600_017, inPlace: false)
        try Self.check(communicator, algorithm, count: 100_007, .float64, inPlace: true, misalignment: 4)
      }
    }
  }

  @Test func elevenRanks() throws {
    try withRanks(11) { communicator in
      for algorithm in Self.algorithms {
        for count in [0, 7, 100, 50_001] { try Self.check(communicator, algorithm, count: count) }
      }
    }
  }

  @Test func arraysAndSpans() throws {
    try withRanks(3) { communicator in
      var values: [Float] = [1, 2, Float(communicator.rank)]
      try communicator.allReduce(&values, .sum)
      guard values == [3, 6, 3] else { throw WrongResult(description: "\(values)") }
      var empty: [Double] = []
      try communicator.allReduce(&empty, .max)
      var integers: [Int] = [communicator.rank, -communicator.rank]
      var span = integers.mutableSpan
      try communicator.allReduce(&span, .min)
      guard integers == [0, -2] else { throw WrongResult(description: "\(integers)") }
      try communicator.barrier()
    }
  }

  /// Results may not depend on timing: late, torn and delayed segments, sources read as late as possible.
  @Test func hostileLinks() throws {
    let seed = testSeed("hostileLinks")
    var generator = SeededGenerator(seed: seed)
    for rankCount in [2, 3, 4, 6] {
      try withRanks(rankCount, faults: InProcessFaults(seed: generator.next())) { communicator in
        for algorithm in Self.algorithms {
          for count in [0, 1, 3, 50, 5000, 40_000] {
            try Self.check(communicator, algorithm, count: count, inPlace: count % 2 == 1)
          }
        }
      }
    }
  }
}
