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
