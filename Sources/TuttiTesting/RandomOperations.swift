import Foundation
import Tutti

/// Makes random operations on all ranks of a communicator, and compares each bit for bit with its definition.
///
/// What all ranks must agree on is drawn from one stream, and what each rank decides for itself from another: alignment,
/// registered memory or not, the order of waiting, being late. The same seed makes the same operations.
package enum RandomOperations {
  /// Plays a rank's part of a number of operations.
  package static func play(_ communicator: Communicator, _ operations: Int, seed: UInt64) throws {
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
        try start(communicator, Array(zip(exercises, memories)), &own)
      }
      for (exercise, memory) in zip(exercises, memories) {
        if let text = memory.firstError() { throw WrongResult(call: exercise.description, text: text) }
      }
    }
  }

  /// Starts all of them at once, and waits for them in an order of the rank's own.
  private static func start(
    _ communicator: Communicator, _ exercises: [(Exercise, ExerciseMemory)], _ own: inout SeededGenerator
  ) throws {
    var works: [Work] = []
    for (exercise, memory) in exercises {
      if Int.random(in: 0..<8, using: &own) == 0 { dawdle(&own) }
      works.append(try exercise.start(communicator, memory))
    }
    works.shuffle(using: &own)
    if Int.random(in: 0..<4, using: &own) == 0 { dawdle(&own) }
    for work in works { try work.wait() }
  }

  /// Plays a rank's part of half of the operations on the communicator, and of as many on the part of it that the rank is
  /// split into.
  package static func playSplit(_ communicator: Communicator, _ operations: Int, seed: UInt64) throws {
    var shared = SeededGenerator(seed: seed)
    let colorCount = Int.random(in: 1...3, using: &shared)
    let colors = (0..<communicator.rankCount).map { _ in Int.random(in: 0..<colorCount, using: &shared) }
    let keys = (0..<communicator.rankCount).map { _ in Int.random(in: -3...3, using: &shared) }
    let color = colors[communicator.rank]
    guard let part = try communicator.split(color: color, key: keys[communicator.rank]),
      part.rankCount == colors.count(where: { $0 == color })
    else { throw WrongResult(call: "split by \(colors)", text: "rank \(communicator.rank) is in another part") }
    let halves = shared.next()
    try play(communicator, operations / 4, seed: halves)
    try play(part, operations / 2, seed: halves &+ 1 &+ UInt64(color))
    try play(communicator, operations - operations / 4 - operations / 2, seed: halves &- 1)
    part.close()
  }

  /// Computes, sleeps, or does neither for a while.
  package static func dawdle(_ generator: inout SeededGenerator) {
    switch Int.random(in: 0..<6, using: &generator) {
    case 0:
      // Nobody signals this semaphore, so this sleeps.
      _ = DispatchSemaphore(value: 0).wait(timeout: .now() + Double.random(in: 0...0.002, using: &generator))
    case 1:
      let end = ContinuousClock.now + .nanoseconds(Int.random(in: 0...500_000, using: &generator))
      while ContinuousClock.now < end {}
    default: break
    }
  }
}
