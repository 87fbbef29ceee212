import Foundation
import Testing
import Tutti
import TuttiTesting
import TuttiTraining

/// Ranks that differ, or whose replicas do: every rank throws the same error, with who and what.
@Suite(.serialized) struct AgreementTests {
  /// Runs `body` on each rank, which must throw; returns what was thrown, the same everywhere but for who says it.
  private func errors(_ rankCount: Int, _ body: @escaping @Sendable (Communicator) throws -> Void) throws -> TuttiError {
    let errors = try withRanks(rankCount) { communicator -> TuttiError in
      do { try body(communicator) } catch let error as TuttiError {
        // The communicator goes on.
        try communicator.barrier()
        return error
      }
      throw TestFailure(description: "rank \(communicator.rank) threw nothing")
    }
    #expect(Set(errors.map(\.message)).count == 1, "\(errors)")
    #expect(errors.enumerated().allSatisfy { $1.rank == $0 })
    return errors[0]
  }

  @Test func settings() throws {
    try withRanks(4) { try $0.checkAgreement([("seed", "1"), ("batch", "64")]) }
    let value = try errors(4) { communicator in
      try communicator.checkAgreement([("seed", "1"), ("batch", communicator.rank == 2 ? "32" : "64")])
    }
    #expect(value.code == .mismatch && value.peer == 2)
    #expect(value.message == "ranks disagree about batch: 64 on ranks 0, 1 and 3, 32 on rank 2")
    let missing = try errors(3) { communicator in
      try communicator.checkAgreement(communicator.rank == 0 ? [] : [("momentum", "0.9")])
    }
    #expect(missing.message == "ranks disagree about momentum: nothing on rank 0, 0.9 on ranks 1 and 2")
    let order = try errors(2) { communicator in
      let settings = [("a", "1"), ("b", "2")]
      try communicator.checkAgreement(communicator.rank == 0 ? settings : settings.reversed())
    }
    #expect(order.message.contains("different order"))
  }

  @Test func models() throws {
    let size = try errors(3) { communicator in
      let model = TestModel<Float>([4, communicator.rank == 1 ? 5 : 6])
      _ = try GradientSynchronizer(communicator, model.parameters)
    }
    #expect(size.code == .mismatch && size.peer == 1)
    #expect(
      size.message
        == "ranks disagree about parameter 1: 'parameter1' of 6 elements on ranks 0 and 2, 'parameter1' of 5 elements on rank 1"
    )
    let options = try errors(2) { communicator in
      var options = SynchronizerOptions()
      if communicator.rank == 1 { options.wireType = .bfloat16 }
      _ = try GradientSynchronizer(communicator, TestModel<Float>([4]).parameters, options: options)
    }
    #expect(options.message == "ranks disagree about wireType: full on rank 0, bfloat16 on rank 1")
  }

  @Test func replicas() throws {
    let error = try errors(4) { communicator in
      let model = TestModel<Float>([100, 0, 1000])
      let synchronizer = try GradientSynchronizer(communicator, model.parameters)
      for element in 0..<1000 { model.parameters[2].values[element] = Float(communicator.rank * 1000 + element) }
      try synchronizer.broadcastParameters(from: 3)
      #expect(model.parameters[2].values.enumerated().allSatisfy { $1 == Float(3000 + $0) })
      try synchronizer.checkReplicas()
      // The last bit of one number; -0 is not 0.
      if communicator.rank == 1 { model.parameters[2].values[999].negate() }
      try synchronizer.checkReplicas()
    }
    #expect(error.code == .mismatch && error.peer == 1)
    #expect(
      error.message == "replicas have diverged: 'parameter2' on rank 1 differs from that on ranks 0, 2 and 3")
  }

  /// Every rank hears which gradient, and whose; the next step goes on.
  @Test(arguments: GradientSharding.allCases, [Float.nan, .infinity, -.infinity])
  func nonFiniteGradients(sharding: GradientSharding, value: Float) throws {
    let messages = try withRanks(3) { communicator -> String in
      var options = SynchronizerOptions()
      options.sharding = sharding
      let model = TestModel<Float>([5, 50, 7])
      let synchronizer = try GradientSynchronizer(communicator, model.parameters, options: options)
      if communicator.rank == 1 { synchronizer.gradient(1)[49] = value }
      if communicator.rank == 1 { synchronizer.gradient(0)[0] = value }
      // Whether it is marked or not.
      if sharding == .sharded { for index in [2, 1, 0] { try synchronizer.markReady(index) } }
      let error = #expect(throws: TuttiError.self) { try synchronizer.finish() }
      #expect(error?.code == .nonFinite && error?.peer == 1)
      synchronizer.zeroGradients()
      synchronizer.gradient(1)[49] = 3
      try synchronizer.finish()
      if sharding == .replicated { #expect(synchronizer.gradient(1)[49] == 3) }
      return error?.message ?? ""
    }
    let expected =
      "the gradient of 'parameter1' is infinite or not a number on rank 1, and so is 1 other there"
    #expect(messages == Array(repeating: expected, count: 3))
  }

  /// Tries the largest gradient that float16 may have on every rank, whose sum is out of its range; and a larger one, on one
  /// rank.
  @Test func float16Overflow() throws {
    try withRanks(3) { communicator in
      var options = SynchronizerOptions()
      (options.wireType, options.reduction) = (.float16, .sum)
      let synchronizer = try GradientSynchronizer(communicator, TestModel<Float>([20]).parameters, options: options)
      synchronizer.gradient(0)[3] = 65_472
      try synchronizer.finish()
      #expect(abs(synchronizer.gradient(0)[3] / 196_416 - 1) < 0.001)
      synchronizer.zeroGradients()
      if communicator.rank == 2 { synchronizer.gradient(0)[19] = -65_504 }
      try synchronizer.markReady(0)
      let error = #expect(throws: TuttiError.self) { try synchronizer.finish() }
      #expect(error?.message == "the gradient of 'parameter0' is too large for float16, or not a number, on rank 2")
    }
  }

  /// A peer that dies in the middle of a step: an error that names it, on the others, from every later call, and no hang.
  @Test(arguments: [TransportChoice.inProcess, .sharedMemory, .tcp])
  func lostPeer(transport: TransportChoice) throws {
    try withRanks(3, over: transport) { communicator in
      let model = TestModel<Float>(Array(repeating: 100_000, count: 6))
      var options = SynchronizerOptions()
      (options.bucketBytes, options.firstBucketBytes) = (400_000, 400_000)
      let synchronizer = try GradientSynchronizer(communicator, model.parameters, options: options)
      try synchronizer.finish()
      if communicator.rank == 1 {
        try synchronizer.markReady(5)
        synchronizer.close()
        return
      }
      let first = #expect(throws: TuttiError.self) {
        for index in (0..<6).reversed() { try synchronizer.markReady(index) }
        try synchronizer.finish()
      }
      #expect(first?.peer == 1 && first?.code == .peerLost, "\(String(describing: first))")
      let later = #expect(throws: TuttiError.self) { try synchronizer.finish() }
      #expect(later?.message == first?.message)
    }
  }

  /// Dropped in the middle of a step, with reductions under way or waiting for others: nothing hangs, and memory goes only
  /// when nobody reads it any more.
  @Test(arguments: [TransportChoice.inProcess, .sharedMemory, .tcp]) func droppedInTheMiddle(transport: TransportChoice)
    throws
  {
    for round in 0..<10 {
      let started = try withRanks(2, over: transport) { communicator in
        let model = TestModel<Float>(Array(repeating: 50_000, count: 8))
        var options = SynchronizerOptions()
        (options.bucketBytes, options.firstBucketBytes, options.prioritizes) = (200_000, 200_000, round % 2 == 0)
        let synchronizer = try GradientSynchronizer(communicator, model.parameters, options: options)
        let marks = communicator.rank == 0 || round % 3 == 0 ? 6 : round % 3
        for index in (8 - marks..<8).reversed() { try? synchronizer.markReady(index) }
        return synchronizer.buckets.count
      }
      #expect(started == [8, 8])
    }
  }
}

struct TestFailure: Error, CustomStringConvertible {
  let description: String
}
