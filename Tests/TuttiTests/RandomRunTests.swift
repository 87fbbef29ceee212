import Foundation
import Testing
import TuttiSchedule
import TuttiTesting
import TuttiTransport

@testable import Tutti

/// Random operations on random communicators: 1,000 of them over each fabric, a few communicators each, some of them split.
///
/// What all ranks must agree on is drawn from one stream, and what is a rank's own business from another: alignment,
/// registered memory or not, the order of waiting, being late. `TUTTI_TEST_SEED` replays a run.
@Suite(.serialized) struct RandomRunTests {
  static let communicators = 25
  static let operations = 40

  @Test(arguments: Fabric.allCases)
  func thousandOperations(fabric: Fabric) throws {
    let seed = testSeed("thousandOperations")
    var seeds = SeededGenerator(seed: seed)
    for index in 0..<Self.communicators {
      let rankCount = Int.random(in: 1...9, using: &seeds)
      let shared = seeds.next()
      // Three of four in-process communicators have links that misbehave.
      let faults = fabric == .inProcess && index % 4 != 0 ? InProcessFaults(seed: seeds.next()) : nil
      try withRanks(rankCount, fabric, faults: faults) { communicator in
        // Every third communicator runs the rest of its operations on parts of itself, and on itself in between.
        if index % 3 == 0, rankCount > 1 {
          try Self.playSplit(communicator, seed: shared)
        } else {
          try Self.play(communicator, Self.operations, seed: shared)
        }
      }
    }
  }

  /// A rank's part of half of the operations on the communicator, and of as many on the part of it that the rank is split into.
  private static func playSplit(_ communicator: Communicator, seed: UInt64) throws {
    var shared = SeededGenerator(seed: seed)
    let colorCount = Int.random(in: 1...3, using: &shared)
    let colors = (0..<communicator.rankCount).map { _ in Int.random(in: 0..<colorCount, using: &shared) }
    let keys = (0..<communicator.rankCount).map { _ in Int.random(in: -3...3, using: &shared) }
    let color = colors[communicator.rank]
    let part = try #require(try communicator.split(color: color, key: keys[communicator.rank]))
    try #require(part.rankCount == colors.count { $0 == color })
    let halves = shared.next()
    try play(communicator, operations / 4, seed: halves)
    try play(part, operations / 2, seed: halves &+ 1 &+ UInt64(color))
    try play(communicator, operations / 4, seed: halves &- 1)
    part.close()
  }

  /// A rank's part of a number of operations.
  static func play(_ communicator: Communicator, _ operations: Int, seed: UInt64) throws {
    var shared = SeededGenerator(seed: seed)
    var own = SeededGenerator(seed: seed &+ 1 &+ UInt64(communicator.rank))
    var left = operations
    while left > 0 {
      let isBlocking = Int.random(in: 0..<3, using: &shared) == 0
      let exercises = (0..<min(left, isBlocking ? 1 : Int.random(in: 1...4, using: &shared))).map { _ in
        Exercise(rankCount: communicator.rankCount, using: &shared)
      }
      left -= exercises.count
      let memories = try exercises.map {
        let misalignment = Int.random(in: 0..<16, using: &own)
        let origin = Int.random(in: 0..<3, using: &own)
        return try ExerciseMemory(
          $0, rank: communicator.rank, misalignment: misalignment, registeredWith: origin < 2 ? communicator : nil,
          isCallers: origin == 1)
      }
      if isBlocking {
        try exercises[0].run(communicator, memories[0])
        if Int.random(in: 0..<10, using: &shared) == 0 { try communicator.barrier() }
      } else {
        var works: [Work] = []
        for (exercise, memory) in zip(exercises, memories) {
          if Int.random(in: 0..<8, using: &own) == 0 { AsynchronousTests.dawdle(&own) }
          works.append(try exercise.start(communicator, memory))
        }
        works.shuffle(using: &own)
        if Int.random(in: 0..<4, using: &own) == 0 { AsynchronousTests.dawdle(&own) }
        for work in works { try work.wait() }
      }
      for (exercise, memory) in zip(exercises, memories) {
        let error = memory.firstError()
        try #require(error == nil, "\(exercise): \(error ?? "")")
      }
    }
  }
}
