import Testing
import Tutti
import TuttiTesting
import TuttiTraining

/// What gradients become, with every option.
@Suite struct SynchronizerTests {
  @Test func firstStep() throws {
    try withRanks(3) { communicator in
      let model = TestModel<Float>([5, 100, 0, 3000, 7])
      let synchronizer = try GradientSynchronizer(communicator, model.parameters)
      for step in 0..<3 {
        synchronizer.zeroGradients()
        for index in model.parameters.indices.reversed() {
          let gradient = synchronizer.gradient(index)
          for element in gradient.indices {
            gradient[element] = Float((element + index + step) % 17 * (communicator.rank + 1))
          }
          try synchronizer.markReady(index)
        }
        try synchronizer.finish()
        for index in model.parameters.indices {
          for (element, value) in synchronizer.gradient(index).enumerated() {
            #expect(value == Float((element + index + step) % 17 * 2))
          }
        }
      }
      synchronizer.close()
    }
  }
}
