import Foundation

/// A seed for a randomised test: the one to replay, or a new one. Printed, so that a failure can be replayed.
func testSeed(_ name: String) -> UInt64 {
  let seed = ProcessInfo.processInfo.environment["TUTTI_TEST_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0...UInt64.max)
  print("\(name): TUTTI_TEST_SEED=\(seed)")
  return seed
}
