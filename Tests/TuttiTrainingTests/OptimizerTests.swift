import Foundation
import Testing
import Tutti
import TuttiTesting
import TuttiTraining

/// Updates with all of the state, or a shard of it, and the norm of gradients across shards.
@Suite(.serialized) struct OptimizerTests {
  /// A rule with momentum, and a different rate for every other parameter.
  struct Momentum: UpdateRule {
    let stateCount = 1
    func update(_ piece: ParameterPiece<Float>, step: Int) {
      let rate: Float = piece.parameter % 2 == 0 ? 0.5 : 0.25
      for index in piece.values.indices {
        piece.states[0][index] = 0.5 * piece.states[0][index] + piece.gradients[index]
        piece.values[index] -= rate * piece.states[0][index] / Float(step)
      }
    }
  }

  private static func train(
    _ communicator: Communicator, _ sharding: GradientSharding, clips: Bool = false
  ) throws -> (values: [Float], stateBytes: Int, norms: [Double]) {
    let model = TestModel<Float>([3, 500, 0, 64, 2000])
    var options = SynchronizerOptions()
    (options.bucketBytes, options.firstBucketBytes, options.sharding) = (4000, 500, sharding)
    // So that both add in the same order.
    options.algorithm = sharding == .sharded ? "direct" : "two-shot"
    let synchronizer = try GradientSynchronizer(communicator, model.parameters, options: options)
    let optimizer = ShardedOptimizer(synchronizer, Momentum())
    var norms: [Double] = []
    for step in 0..<5 {
      synchronizer.zeroGradients()
      for index in [1, 4, 3, 0, 2] {
        for element in synchronizer.gradient(index).indices {
          synchronizer.gradient(index)[element] = sin(Float(element * 7 + index + step + 13 * communicator.rank))
        }
        try synchronizer.markReady(index)
      }
      try synchronizer.finish()
      if clips { norms.append(try synchronizer.clipGradients(toNorm: 2)) }
      try optimizer.step()
      try synchronizer.checkReplicas()
    }
    #expect(optimizer.stepCount == 5)
    return (model.parameters.flatMap { Array($0.values) }, optimizer.stateBytes, norms)
  }

  @Test(arguments: [1, 2, 3, 7]) func shardsGiveTheSame(rankCount: Int) throws {
    let replicated = try withRanks(rankCount) { try Self.train($0, .replicated) }
    let sharded = try withRanks(rankCount) { try Self.train($0, .sharded) }
    for rank in 0..<rankCount {
      #expect(replicated[rank].values.map(\.bitPattern) == replicated[0].values.map(\.bitPattern))
      #expect(sharded[rank].values.map(\.bitPattern) == replicated[0].values.map(\.bitPattern))
    }
    #expect(replicated.allSatisfy { $0.stateBytes == 2567 * 4 })
    #expect(sharded.map(\.stateBytes).reduce(0, +) == 2567 * 4)
    // But for whole cache lines in each of a few buckets.
    if rankCount == 2 { #expect(sharded.allSatisfy { abs($0.stateBytes - 2567 * 2) < 500 }) }
  }

  @Test func norms() throws {
    let replicated = try withRanks(3) { try Self.train($0, .replicated, clips: true) }
    let sharded = try withRanks(3) { try Self.train($0, .sharded, clips: true) }
    for rank in 0..<3 {
      #expect(sharded[rank].norms == sharded[0].norms && replicated[rank].norms == replicated[0].norms)
      for (a, b) in zip(sharded[rank].norms, replicated[rank].norms) { #expect(abs(a - b) <= 1e-12 * a) }
      for (a, b) in zip(sharded[rank].values, replicated[rank].values) { #expect(abs(a - b) <= 1e-5) }
    }
  }

  @Test(arguments: GradientSharding.allCases) func clipping(sharding: GradientSharding) throws {
    try withRanks(2) { communicator in
      let model = TestModel<Double>([3, 1])
      var options = SynchronizerOptions()
      options.sharding = sharding
      let synchronizer = try GradientSynchronizer(communicator, model.parameters, options: options)
      let optimizer = ShardedOptimizer(synchronizer, Descent())
      synchronizer.gradient(0)[0] = 3
      synchronizer.gradient(1)[0] = -4
      try synchronizer.finish()
      #expect(try synchronizer.clipGradients(toNorm: 10) == 5)
      #expect(try synchronizer.clipGradients(toNorm: 2.5) == 5)
      let refusal = #expect(throws: TuttiError.self) { try synchronizer.clipGradients(toNorm: 0) }
      #expect(refusal?.code == .invalidArgument)
      try optimizer.step()
      #expect(Array(model.parameters[0].values) == [-1.5, 0, 0] && Array(model.parameters[1].values) == [2])

      // Each finite, but not their sum.
      synchronizer.zeroGradients()
      synchronizer.gradient(0)[0] = .greatestFiniteMagnitude
      try synchronizer.finish()
      let overflow = #expect(throws: TuttiError.self) { try synchronizer.clipGradients(toNorm: 1) }
      #expect(overflow?.code == .nonFinite)
    }
  }

  private struct Descent: UpdateRule {
    let stateCount = 0
    func update(_ piece: ParameterPiece<Double>, step: Int) {
      for index in piece.values.indices { piece.values[index] -= piece.gradients[index] }
    }
  }

  /// The pieces of all ranks are each element of each parameter once.
  @Test(arguments: [1, 2, 3, 8]) func piecesAreAllOnce(rankCount: Int) throws {
    let counts = [1, 0, 33, 700, 16]
    let owned = try withRanks(rankCount) { communicator -> [[Int]] in
      var options = SynchronizerOptions()
      (options.bucketBytes, options.sharding) = (1000, .sharded)
      let synchronizer = try GradientSynchronizer(communicator, TestModel<Float>(counts).parameters, options: options)
      let optimizer = ShardedOptimizer(synchronizer, Momentum())
      for piece in optimizer.states { #expect(piece.states.map(\.count) == [piece.range.count]) }
      return optimizer.states.flatMap { piece in piece.range.map { [piece.parameter, $0] } }
    }
    let all = owned.flatMap { $0 }
    #expect(all.count == counts.reduce(0, +) && Set(all).count == all.count)
  }
}
