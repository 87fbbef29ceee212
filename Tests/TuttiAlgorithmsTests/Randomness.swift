import Foundation
import TuttiSystem

/// For every file of these tests.
typealias SeededGenerator = TuttiSystem.SeededGenerator

/// The seed of this run, printed so that a failure can be replayed.
func testSeed(_ test: String = #function) -> UInt64 {
  let seed = ProcessInfo.processInfo.environment["TUTTI_TEST_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0...UInt64.max)
  print("\(test): TUTTI_TEST_SEED=\(seed)")
  return seed
}
