import Foundation
import Testing
import Tutti
import TuttiTraining

@testable import DataParallelTrainer

/// The optimizers' loops against the formulas of their papers, element by element in double precision.
@Suite struct RuleTests {
  static let count = 37
  static let steps = 5

  /// Numbers without a pattern, the same every time: there is nothing to replay.
  private static func numbers(_ salt: Int) -> [Double] {
    (0..<count).map { sin(Double($0 * 7 + salt * 13 + 1) * 12.9898) }
  }

  /// Values of a parameter after some steps, as the library's optimizer has the rule update them.
  private func run<Rule: TrainingRule>(_ rule: Rule, parameter: Int) throws -> [Double] {
    typealias Element = Rule.Element
    #expect(rule.stateCount == rule.stateNames.count)
    let communicator = try Communicator.makeInProcess(rankCount: 1)[0]
    defer { communicator.close() }
    let values = (0..<2).map { _ in UnsafeMutableBufferPointer<Element>.allocate(capacity: Self.count) }
    defer { for buffer in values { buffer.deallocate() } }
    for buffer in values { _ = buffer.initialize(from: Self.numbers(0).map(Element.init)) }
    let synchronizer = try GradientSynchronizer(communicator, [Parameter("one", values[0]), Parameter("two", values[1])])
    defer { synchronizer.close() }
    let optimizer = ShardedOptimizer(synchronizer, rule)
    for step in 1...Self.steps {
      for index in 0..<2 {
        _ = synchronizer.gradient(index).update(from: Self.numbers(step).map(Element.init))
        try synchronizer.markReady(index)
      }
      try synchronizer.finish()
      try optimizer.step()
    }
    return values[parameter].map(Double.init)
  }

  private func expectNear(_ found: [Double], _ expected: [Double], _ tolerance: Double) {
    for (one, other) in zip(found, expected) { #expect(abs(one - other) <= tolerance * max(1, abs(other))) }
  }

  @Test(arguments: [(0.0, false), (0.9, false), (0.9, true)]) func sgd(momentum: Double, nesterov: Bool) throws {
    for (parameter, decay) in [(0, 0.01), (1, 0.0)] {
      var expected = Self.numbers(0)
      var velocities = Array(repeating: 0.0, count: Self.count)
      for step in 1...Self.steps {
        let gradients = Self.numbers(step)
        for index in 0..<Self.count {
          let gradient = gradients[index] + decay * expected[index]
          velocities[index] = momentum * velocities[index] + gradient
          expected[index] -= 0.1 * (nesterov ? gradient + momentum * velocities[index] : velocities[index])
        }
      }
      func rule<Element: TrainedElement>(_: Element.Type) -> SGD<Element> {
        SGD(learningRate: 0.1, momentum: momentum, usesNesterov: nesterov, weightDecay: 0.01, decays: [true, false])
      }
      // A few roundings of each step.
      expectNear(try run(rule(Double.self), parameter: parameter), expected, 1e-14)
      expectNear(try run(rule(Float.self), parameter: parameter), expected, 2e-6)
    }
  }

  @Test func adamW() throws {
    for (parameter, decay) in [(0, 0.1), (1, 0.0)] {
      var expected = Self.numbers(0)
      var means = Array(repeating: 0.0, count: Self.count)
      var squares = means
      for step in 1...Self.steps {
        let gradients = Self.numbers(step)
        for index in 0..<Self.count {
          means[index] = 0.9 * means[index] + 0.1 * gradients[index]
          squares[index] = 0.99 * squares[index] + 0.01 * gradients[index] * gradients[index]
          let mean = means[index] / (1 - pow(0.9, Double(step)))
          let square = squares[index] / (1 - pow(0.99, Double(step)))
          expected[index] -= 0.05 * (mean / (square.squareRoot() + 1e-8) + decay * expected[index])
        }
      }
      func rule<Element: TrainedElement>(_: Element.Type) -> AdamW<Element> {
        AdamW(learningRate: 0.05, weightDecay: 0.1, decays: [true, false])
      }
      expectNear(try run(rule(Double.self), parameter: parameter), expected, 1e-13)
      expectNear(try run(rule(Float.self), parameter: parameter), expected, 1e-5)
    }
  }
}
