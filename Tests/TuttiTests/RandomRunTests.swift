import Foundation
import Testing
import TuttiSchedule
import TuttiTesting
import TuttiTransport

@testable import Tutti

/// Random operations on random communicators: 1,000 of them over each fabric, a few communicators each, some of them split.
///
/// `TUTTI_TEST_SEED` replays a run. `randomranks` makes the same operations with processes for ranks.
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
          try RandomOperations.playSplit(communicator, Self.operations, seed: shared)
        } else {
          try RandomOperations.play(communicator, Self.operations, seed: shared)
        }
      }
    }
  }
}
