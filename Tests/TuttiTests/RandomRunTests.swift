import Foundation
import Testing
import TuttiTransport

@testable import Tutti

/// Random operations on random communicators: 1,000 of them over each fabric, a few communicators each.
///
/// What all ranks must agree on is drawn from one stream, and what is a rank's own business from another: alignment, the
/// order of waiting, being late. `TUTTI_TEST_SEED` replays a run.
@Suite(.serialized) struct RandomRunTests {
  static let communicators = 25
  static let operations = 40

  /// One operation, as all ranks must make it.
  struct Call: CustomStringConvertible {
    let algorithm: String
    let count: Int
    let type: DataType
    let operation: ReduceOp
    let inPlace: Bool
    let salt: Int

    init(_ generator: inout SeededGenerator) {
      algorithm = (AllReduceTests.algorithms + ["auto"]).randomElement(using: &generator)!
      switch Int.random(in: 0..<100, using: &generator) {
      case ..<8: count = 0
      case ..<30: count = Int.random(in: 1...20, using: &generator)
      case ..<65: count = Int.random(in: 10...500, using: &generator) * 2 + 1
      case ..<90: count = Int.random(in: 1000...6000, using: &generator)
      default: count = Int.random(in: 6000...30_000, using: &generator)
      }
      type = DataType.allCases.randomElement(using: &generator)!
      operation = ReduceOp.allCases.randomElement(using: &generator)!
      inPlace = Bool.random(using: &generator)
      salt = Int.random(in: 0..<13, using: &generator)
    }

    var description: String { "\(algorithm), \(operation) of \(count) \(type), in place \(inPlace), salt \(salt)" }
  }

  @Test(arguments: Fabric.allCases)
  func thousandOperations(fabric: Fabric) throws {
    let seed = testSeed("thousandOperations")
    var seeds = SeededGenerator(seed: seed)
    for index in 0..<Self.communicators {
      let rankCount = Int.random(in: 1...9, using: &seeds)
      let shared = seeds.next()
      // Three of four in-process communicators have links that misbehave.
      let faults = fabric == .inProcess && index % 4 != 0 ? InProcessFaults(seed: seeds.next()) : nil
      try withRanks(rankCount, fabric, faults: faults) { try Self.play($0, seed: shared) }
    }
  }

  /// One rank's part of ``operations`` operations.
  static func play(_ communicator: Communicator, seed: UInt64) throws {
    var shared = SeededGenerator(seed: seed)
    var own = SeededGenerator(seed: seed &+ 1 &+ UInt64(communicator.rank))
    var left = operations
    while left > 0 {
      let isBlocking = Int.random(in: 0..<3, using: &shared) == 0
      let calls = (0..<min(left, isBlocking ? 1 : Int.random(in: 1...4, using: &shared))).map { _ in Call(&shared) }
      left -= calls.count
      let misalignment = Int.random(in: 0..<16, using: &own)
      if isBlocking {
        let call = calls[0]
        try AllReduceTests.check(
          communicator, call.algorithm, count: call.count, call.type, call.operation, inPlace: call.inPlace,
          misalignment: misalignment, salt: call.salt)
        if Int.random(in: 0..<10, using: &shared) == 0 { try communicator.barrier() }
        continue
      }
      var started = try calls.map { call in
        if Int.random(in: 0..<8, using: &own) == 0 { AsynchronousTests.dawdle(&own) }
        return try AsynchronousTests.Started(
          communicator, call.algorithm, count: call.count, call.type, call.operation, inPlace: call.inPlace,
          misalignment: misalignment, salt: call.salt)
      }
      started.shuffle(using: &own)
      if Int.random(in: 0..<4, using: &own) == 0 { AsynchronousTests.dawdle(&own) }
      for one in started { try one.finish() }
    }
  }
}
