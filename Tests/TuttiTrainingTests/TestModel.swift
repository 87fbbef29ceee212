import Foundation
import TuttiTraining

/// Parameters of given sizes, in memory of their own.
final class TestModel<Element: TrainingElement>: @unchecked Sendable {
  // @unchecked: each test's rank has its own.
  let parameters: [Parameter<Element>]

  init(_ counts: [Int]) {
    parameters = counts.enumerated().map { index, count in
      let values = UnsafeMutableBufferPointer<Element>.allocate(capacity: count)
      values.initialize(repeating: 0)
      return Parameter("parameter\(index)", values)
    }
  }

  deinit { for parameter in parameters { parameter.values.deallocate() } }
}

/// The seed of a randomised test: a new one, or `TUTTI_TEST_SEED`. Printed, so that a failure can be replayed.
func testSeed(_ name: String) -> UInt64 {
  let seed = ProcessInfo.processInfo.environment["TUTTI_TEST_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0..<1 << 32)
  print("\(name): TUTTI_TEST_SEED=\(seed)")
  return seed
}
