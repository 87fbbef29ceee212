import Foundation
import Testing
import Tutti
import TuttiTesting

@testable import TuttiTraining

/// Tests what gradients become, with every option, and what happens to calls that are refused.
@Suite(.serialized) struct SynchronizerTests {
  /// Random models, options, and orders in which gradients become ready, different on every rank; exact numbers, so results
  /// are compared bit for bit. Every third rank leaves parameters unused.
  @Test(arguments: [TransportChoice.inProcess, .sharedMemory, .tcp])
  func randomSteps(transport: TransportChoice) throws {
    let seed = testSeed("randomSteps over \(transport.name)")
    var generator = SeededGenerator(seed: seed)
    for index in 0..<(transport == .inProcess ? 24 : 8) {
      let rankCount = Int.random(in: 1...5, using: &generator)
      let plan = RandomSteps(using: &generator)
      let faults = transport == .inProcess && index % 2 == 0 ? LinkFaults(seed: generator.next()) : nil
      try withRanks(rankCount, over: transport, faults: faults) { communicator in
        if plan.isDouble { try plan.run(Double.self, communicator) } else { try plan.run(Float.self, communicator) }
      }
    }
  }

  /// With 16 bits on the wire a gradient is rounded, and each sum of two is made in float32 and rounded, by the canonical
  /// tree.
  @Test(arguments: [WireType.bfloat16, .float16], [1, 2, 3, 5])
  func narrowWire(wireType: WireType, rankCount: Int) throws {
    @Sendable func rounded(_ value: Float) -> Float {
      wireType == .bfloat16 ? Float(BFloat16(value)) : Float(Float16(value))
    }
    try withRanks(rankCount) { communicator in
      let model = TestModel<Float>([1000, 3])
      var options = SynchronizerOptions()
      options.wireType = wireType
      let synchronizer = try GradientSynchronizer(communicator, model.parameters, options: options)
      func gradient(_ rank: Int, _ element: Int) -> Float { 1 / Float(3 + element) + Float(rank) / 7 }
      for element in 0..<1000 { synchronizer.gradient(0)[element] = gradient(communicator.rank, element) }
      try synchronizer.finish()
      for element in 0..<1000 {
        let scale = 1 / Float(rankCount)
        var parts = (0..<rankCount).map { rounded(gradient($0, element) * scale) }
        /// Folds `pairs` pairs at the front.
        func fold(_ pairs: Int) {
          parts = (0..<pairs).map { rounded(parts[2 * $0] + parts[2 * $0 + 1]) } + parts[(2 * pairs)...]
        }
        // Down to a power of two, then by halves.
        fold(rankCount - 1 << (Int.bitWidth - 1 - rankCount.leadingZeroBitCount))
        while parts.count > 1 { fold(parts.count / 2) }
        try #require(synchronizer.gradient(0)[element] == parts[0], "element \(element)")
      }
      #expect(Array(synchronizer.gradient(1)) == [0, 0, 0])
    }
  }

  /// The first step's order on rank 0 becomes everyone's; gradients are the same after the move.
  @Test func bucketsAreRebuiltOnce() throws {
    try withRanks(3) { communicator in
      let model = TestModel<Float>([40, 300, 7, 1000, 64])
      var options = SynchronizerOptions()
      (options.bucketBytes, options.firstBucketBytes, options.lastBucketBytes) = (2000, 400, 400)
      let synchronizer = try GradientSynchronizer(communicator, model.parameters, options: options)
      #expect(synchronizer.readyOrder == [4, 3, 2, 1, 0])
      let orders = [[2, 0, 4, 1, 3], [0, 1, 2, 3, 4], [4, 3, 2, 1, 0]]
      for step in 0..<3 {
        synchronizer.zeroGradients()
        for index in orders[step == 2 ? 0 : communicator.rank] {
          let gradient = synchronizer.gradient(index)
          for element in gradient.indices { gradient[element] = Float(element % 50 + index) }
          try synchronizer.markReady(index)
        }
        try synchronizer.finish()
        #expect(synchronizer.layoutVersion == 1 && synchronizer.readyOrder == orders[0])
        #expect(synchronizer.buckets.flatMap { $0 } == orders[0])
        for index in model.parameters.indices {
          #expect(synchronizer.gradient(index).enumerated().allSatisfy { $1 == Float($0 % 50 + index) })
        }
      }
      options.readyOrder = synchronizer.readyOrder
      let next = try GradientSynchronizer(communicator, model.parameters, options: options)
      #expect(next.buckets == synchronizer.buckets && next.layoutVersion == 0)
      try next.finish()
      #expect(next.layoutVersion == 0 && next.readyOrder == orders[0])
    }
  }

  /// Rank 1 comes late, so that all buckets wait on rank 0: after those that were under way, what the forward pass needs
  /// first goes first.
  @Test func prioritiesChooseAmongWaitingBuckets() throws {
    let orders = try withRanks(2) { communicator in
      let model = TestModel<Float>(Array(repeating: 256, count: 8))
      var options = SynchronizerOptions()
      (options.bucketBytes, options.firstBucketBytes, options.lastBucketBytes) = (1024, 1024, 1024)
      let synchronizer = try GradientSynchronizer(communicator, model.parameters, options: options)
      #expect(synchronizer.buckets.count == 8)
      if communicator.rank == 1 { Thread.sleep(forTimeInterval: 0.3) }
      for index in (0..<8).reversed() { try synchronizer.markReady(index) }
      try synchronizer.finish()
      return try #require(synchronizer.lastStep).buckets.map { $0.parameters[0] }
    }
    #expect(orders == [[7, 6, 0, 1, 2, 3, 4, 5], [7, 6, 0, 1, 2, 3, 4, 5]])
  }

  @Test func oneParameterCanBeWaitedFor() throws {
    try withRanks(2) { communicator in
      let model = TestModel<Float>([256, 256])
      var options = SynchronizerOptions()
      (options.bucketBytes, options.firstBucketBytes) = (1024, 1024)
      let synchronizer = try GradientSynchronizer(communicator, model.parameters, options: options)
      synchronizer.gradient(1)[0] = 2
      try synchronizer.markReady(1)
      try synchronizer.wait(for: 1)
      #expect(synchronizer.gradient(1)[0] == 2)
      let refusal = #expect(throws: TuttiError.self) { try synchronizer.wait(for: 0) }
      #expect(refusal?.code == .invalidArgument && refusal?.message.contains("parameter0") == true)
      try synchronizer.markReady(0)
      try synchronizer.wait(for: 0)
      try synchronizer.finish()
    }
  }

  /// Nothing is sent while gradients accumulate; what was not marked at the end counts as unused.
  @Test func accumulation() throws {
    try withRanks(2) { communicator in
      let model = TestModel<Double>([10, 10])
      let synchronizer = try GradientSynchronizer(communicator, model.parameters)
      for batch in 0..<4 {
        func backward() throws {
          for index in [1, 0] {
            for element in 0..<10 { synchronizer.gradient(index)[element] += Double(communicator.rank + batch) }
            try synchronizer.markReady(index)
          }
        }
        if batch < 3 { try synchronizer.withoutSynchronization(backward) } else { try backward() }
      }
      try synchronizer.finish()
      #expect(Array(synchronizer.gradient(1)) == Array(repeating: 8, count: 10))
      #expect(synchronizer.lastStep?.uses == [2, 2])

      if communicator.rank == 0 { try synchronizer.markReady(1) }
      try synchronizer.finish()
      #expect(synchronizer.lastStep?.uses == [0, 1])
    }
  }

  /// Many buckets, marked by four threads at once, while another waits for them one by one; then once more.
  @Test(arguments: [true, false]) func severalThreads(prioritizes: Bool) throws {
    try withRanks(2, over: .sharedMemory) { communicator in
      let model = TestModel<Float>(Array(repeating: 64, count: 300))
      var options = SynchronizerOptions()
      (options.bucketBytes, options.firstBucketBytes, options.lastBucketBytes) = (256, 256, 256)
      options.prioritizes = prioritizes
      let synchronizer = try GradientSynchronizer(communicator, model.parameters, options: options)
      for step in 0..<3 {
        synchronizer.zeroGradients()
        for index in 0..<300 { synchronizer.gradient(index).update(repeating: Float(index + step)) }
        let marked = DispatchGroup()
        for part in 0..<4 {
          marked.enter()
          Thread.detachNewThread {
            for index in stride(from: part, to: 300, by: 4) {
              do { try synchronizer.markReady(index) } catch { Issue.record(error) }
            }
            marked.leave()
          }
        }
        // Some marks may still be under way: what has been claimed is waited for.
        if step == 1 { marked.wait() }
        if step == 1 { for index in 0..<300 { try synchronizer.wait(for: index) } }
        if step != 1 { marked.wait() }
        try synchronizer.finish()
        for index in 0..<300 { #expect(synchronizer.gradient(index).allSatisfy { $0 == Float(index + step) }) }
      }
    }
  }

  /// A step ends although a thread is still handing over a gradient; ending it twice is an empty step.
  @Test func finishWaitsForMarks() throws {
    try withRanks(1) { communicator in
      let model = TestModel<Float>([4_000_000])
      let synchronizer = try GradientSynchronizer(communicator, model.parameters)
      let marked = DispatchGroup()
      marked.enter()
      Thread.detachNewThread {
        do { try synchronizer.markReady(0) } catch { Issue.record(error) }
        marked.leave()
      }
      // On a busy machine the thread comes late; a step that ends before has nothing to wait for.
      for _ in 0..<10_000 where !synchronizer.conductor.look({ $0.hasBegun }) { Thread.sleep(forTimeInterval: 0.001) }
      try synchronizer.finish()
      marked.wait()
      try synchronizer.finish()
      try synchronizer.finish()
    }
  }

  /// Calls that are for the time between steps, and steps of an optimizer without gradients.
  @Test(arguments: GradientSharding.allCases) func callsInTheMiddleAreRefused(sharding: GradientSharding) throws {
    try withRanks(2) { communicator in
      let model = TestModel<Float>([64, 64])
      var options = SynchronizerOptions()
      options.sharding = sharding
      let synchronizer = try GradientSynchronizer(communicator, model.parameters, options: options)
      let optimizer = ShardedOptimizer(synchronizer, NoRule<Float>())
      func refusal(_ words: String, _ call: () throws -> Void) {
        let error = #expect(throws: TuttiError.self, performing: call)
        #expect(error?.code == .invalidArgument && error?.message.contains(words) == true, "\(String(describing: error))")
      }
      refusal("no reduced gradients") { try optimizer.step() }
      try synchronizer.markReady(1)
      refusal("checkReplicas") { try synchronizer.checkReplicas() }
      refusal("broadcastParameters") { try synchronizer.broadcastParameters() }
      refusal("clipGradients") { _ = try synchronizer.clipGradients(toNorm: 1) }
      refusal("step()") { try optimizer.step() }
      try synchronizer.finish()
      try optimizer.step()
      refusal("no reduced gradients") { try optimizer.step() }
      try synchronizer.finish()
      synchronizer.zeroGradients()
      refusal("no reduced gradients") { try optimizer.step() }
      try synchronizer.checkReplicas()
    }
  }

  /// A rank that looks at its optimizer's state before the first step keeps the buckets, for all.
  @Test func aLookAtTheStateKeepsBuckets() throws {
    try withRanks(2) { communicator in
      let model = TestModel<Float>([64, 64])
      let synchronizer = try GradientSynchronizer(communicator, model.parameters)
      if communicator.rank == 0 { #expect(ShardedOptimizer(synchronizer, NoRule<Float>()).stateBytes == 0) }
      for _ in 0..<2 {
        try synchronizer.markReady(0)
        try synchronizer.markReady(1)
        try synchronizer.finish()
        #expect(synchronizer.readyOrder == [1, 0] && synchronizer.layoutVersion == 0)
      }
    }
  }

  /// Closing ends another thread's wait.
  @Test(arguments: [TransportChoice.inProcess, .sharedMemory, .tcp]) func closedWhileWaiting(transport: TransportChoice)
    throws
  {
    try withRanks(2, over: transport) { communicator in
      let synchronizer = try GradientSynchronizer(communicator, TestModel<Float>([50_000]).parameters)
      if communicator.rank == 1 {
        Thread.sleep(forTimeInterval: 0.3)
        return
      }
      Thread.detachNewThread {
        Thread.sleep(forTimeInterval: 0.1)
        synchronizer.close()
      }
      let error = #expect(throws: TuttiError.self) { try synchronizer.finish() }
      #expect(error?.code == .closed, "\(String(describing: error))")
    }
  }

  @Test func closedByATask() async throws {
    func make() throws -> GradientSynchronizer<Float> {
      try GradientSynchronizer(Communicator.makeInProcess(rankCount: 1)[0], TestModel<Float>([5]).parameters)
    }
    func finishes(_ synchronizer: GradientSynchronizer<Float>) throws { try synchronizer.finish() }
    let synchronizer = try make()
    await synchronizer.close()
    let error = #expect(throws: TuttiError.self) { try finishes(synchronizer) }
    #expect(error?.code == .closed)
  }

  /// A rank that cannot go on says why, and the others throw that.
  @Test func abortedByOne() throws {
    try withRanks(2) { communicator in
      let synchronizer = try GradientSynchronizer(communicator, TestModel<Float>([50_000]).parameters)
      if communicator.rank == 1 { return synchronizer.abort("its disk is full") }
      let error = #expect(throws: TuttiError.self) { try synchronizer.finish() }
      #expect(error?.code == .aborted && error?.peer == 1 && error?.message.contains("its disk is full") == true)
    }
  }

  /// A rank that does not come is named when the time is up.
  @Test func lateRank() throws {
    try withRanks(2) { communicator in
      var options = SynchronizerOptions()
      options.timeout = .milliseconds(300)
      let synchronizer = try GradientSynchronizer(communicator, TestModel<Float>([50_000]).parameters, options: options)
      if communicator.rank == 1 { return Thread.sleep(forTimeInterval: 1) }
      let error = #expect(throws: TuttiError.self) { try synchronizer.finish() }
      #expect(error?.code == .timeout && error?.peer == 1, "\(String(describing: error))")
    }
  }

  @Test func mistakesAreRefused() throws {
    try withRanks(1) { communicator in
      let model = TestModel<Float>([4, 4])
      func refusal(_ parameters: [Parameter<Float>], _ change: (inout SynchronizerOptions) -> Void) throws -> String {
        var options = SynchronizerOptions()
        change(&options)
        let error = #expect(throws: TuttiError.self) {
          try GradientSynchronizer(communicator, parameters, options: options)
        }
        #expect(error?.code == .invalidArgument)
        return error?.message ?? ""
      }
      #expect(try refusal([]) { _ in } == "there are no parameters to synchronise")
      #expect(try refusal([model.parameters[0], model.parameters[0]]) { _ in }.contains("'parameter0'"))
      let shared = Parameter("tied", UnsafeMutableBufferPointer(rebasing: model.parameters[0].values[3...]))
      #expect(
        try refusal([model.parameters[1], shared, model.parameters[0]]) { _ in }.contains(
          "'parameter0' and 'tied' share memory"))
      #expect(try refusal(model.parameters) { $0.algorithm = "rign" }.contains("all-reduce has no algorithm 'rign'"))
      #expect(try refusal(model.parameters) { $0.bucketBytes = 0 }.contains("bucketBytes is 0"))
      #expect(try refusal(model.parameters) { $0.readyOrder = [0, 0] }.contains("readyOrder"))
      var options = SynchronizerOptions()
      options.wireType = .bfloat16
      let wide = TestModel<Double>([4])
      let error = #expect(throws: TuttiError.self) {
        try GradientSynchronizer(communicator, wide.parameters, options: options)
      }
      #expect(error?.message.contains("bfloat16") == true)

      let synchronizer = try GradientSynchronizer(communicator, model.parameters)
      try synchronizer.markReady(1)
      for (index, words) in [(1, "twice"), (2, "no parameter 2"), (-1, "no parameter -1")] {
        let error = #expect(throws: TuttiError.self) { try synchronizer.markReady(index) }
        #expect(error?.code == .invalidArgument && error?.message.contains(words) == true)
      }
      try synchronizer.finish()
      synchronizer.close()
      #expect(throws: TuttiError.self) { try synchronizer.finish() }
    }
  }
}

/// A number of steps of a random model, with random options.
private struct RandomSteps {
  let counts: [Int]
  let options: SynchronizerOptions
  let isDouble: Bool
  let seed: UInt64

  init(using generator: inout SeededGenerator) {
    counts = (0..<Int.random(in: 1...12, using: &generator)).map { _ in
      [0, 1, 17, 300, 5000, 20_000].randomElement(using: &generator)!
    }
    isDouble = Int.random(in: 0..<4, using: &generator) == 0
    var options = SynchronizerOptions()
    options.bucketBytes = [64, 4096, 1 << 20].randomElement(using: &generator)!
    options.firstBucketBytes = [1, 1024, 1 << 20].randomElement(using: &generator)!
    options.lastBucketBytes = [1, 1024, 1 << 20].randomElement(using: &generator)!
    options.reduction = .allCases.randomElement(using: &generator)!
    options.sharding = .allCases.randomElement(using: &generator)!
    options.overlaps = Bool.random(using: &generator)
    options.prioritizes = Bool.random(using: &generator)
    options.checksFinite = Bool.random(using: &generator)
    if !isDouble { options.wireType = .allCases.randomElement(using: &generator)! }
    if Bool.random(using: &generator) { options.readyOrder = counts.indices.shuffled(using: &generator) }
    self.options = options
    seed = generator.next()
  }

  func run<Element: TrainingElement>(_: Element.Type, _ communicator: Communicator) throws {
    let model = TestModel<Element>(counts)
    let synchronizer = try GradientSynchronizer(communicator, model.parameters, options: options)
    let rankCount = communicator.rankCount
    // Exact in 8 bits, also divided by the rank count and added.
    func gradient(_ rank: Int, _ index: Int, _ element: Int, _ step: Int) -> Int {
      (element + index + step) % 3 * rankCount * (rank % 2)
    }
    func isUsed(_ rank: Int, _ index: Int) -> Bool { rank % 3 != 2 || index % 2 == 0 }
    var own = SeededGenerator(seed: seed &+ UInt64(communicator.rank))
    for step in 0..<3 {
      synchronizer.zeroGradients()
      for index in counts.indices.shuffled(using: &own) where isUsed(communicator.rank, index) {
        let memory = synchronizer.gradient(index)
        for element in memory.indices { memory[element] = Element(gradient(communicator.rank, index, element, step)) }
        try synchronizer.markReady(index)
      }
      try synchronizer.finish()
      var checked = 0
      for piece in owned(synchronizer) {
        let memory = synchronizer.gradient(piece.parameter)
        for element in piece.range {
          let sum = (0..<rankCount).reduce(0) {
            $0 + (isUsed($1, piece.parameter) ? gradient($1, piece.parameter, element, step) : 0)
          }
          let expected = options.reduction == .sum ? sum : sum / rankCount
          try #require(
            memory[element] == Element(expected), "step \(step), parameter \(piece.parameter), element \(element)")
          checked += 1
        }
      }
      if options.sharding == .replicated { #expect(checked == counts.reduce(0, +)) }
      let report = try #require(synchronizer.lastStep)
      #expect(report.uses == counts.indices.map { index in (0..<rankCount).count { isUsed($0, index) } })
      #expect(report.buckets.flatMap(\.parameters).sorted() == Array(counts.indices))
      #expect(
        report.buckets.allSatisfy { $0.ready <= $0.started && $0.started <= $0.ended && $0.ended <= report.finishEnded })
    }
  }

  /// The elements that this rank gets results for.
  private func owned<Element: TrainingElement>(
    _ synchronizer: GradientSynchronizer<Element>
  ) -> [ShardedOptimizer<NoRule<Element>>.StatePiece] {
    ShardedOptimizer(synchronizer, NoRule<Element>()).states
  }
}

/// Keeps nothing, changes nothing.
private struct NoRule<Element: TrainingElement>: UpdateRule {
  let stateCount = 0
  func update(_ piece: ParameterPiece<Element>, step: Int) {}
}
