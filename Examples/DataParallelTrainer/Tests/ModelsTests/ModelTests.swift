import Testing

@testable import Models

/// What every model promises, for both of them.
@Suite struct ModelTests {
  @Test(arguments: Kind.allCases) func gradientsAreThoseOfTheLoss(kind: Kind) throws {
    let seed = testSeed()
    let rig = try kind.rig(Double.self, seed: seed)
    rig.scatter(seed: seed &+ 1)
    let batch = kind.batch(rows: 3, seed: seed)
    let loss = try rig.train(batch, scale: 0.5)
    #expect(try loss == rig.model.evaluate(batch).lossSum)
    for (index, definition) in rig.model.definitions.enumerated() {
      let error = try gradientError(
        Array(rig.gradients[index]), of: { try 0.5 * rig.model.evaluate(batch).lossSum }, by: rig.values[index])
      #expect(error < 1e-6, "\(definition.name), TUTTI_TEST_SEED=\(seed)")
    }
  }

  /// Gradients are complete when announced: nothing touches them afterwards.
  @Test(arguments: Kind.allCases, [0, 3]) func gradientsAreAnnouncedOnceInReverse(kind: Kind, rows: Int) throws {
    let seed = testSeed()
    let rig = try kind.rig(Float.self, seed: seed)
    var announced: [Int] = []
    var atAnnouncement: [Int: [Float]] = [:]
    var forwardEnds = 0
    _ = try rig.model.train(kind.batch(rows: rows, seed: seed), scale: 1) {
      forwardEnds += 1
      #expect(announced.isEmpty)
    } gradientReady: { index in
      announced.append(index)
      atAnnouncement[index] = Array(rig.gradients[index])
    }
    #expect(announced == rig.model.definitions.indices.reversed())
    #expect(forwardEnds == 1)
    for (index, gradient) in rig.gradients.enumerated() {
      #expect(atAnnouncement[index] == Array(gradient), "\(rig.model.definitions[index].name), TUTTI_TEST_SEED=\(seed)")
    }
  }

  @Test(arguments: Kind.allCases) func errorsOfTheCallerEndTheBackwardPass(kind: Kind) throws {
    struct Stop: Error {}
    let rig = try kind.rig(Float.self, seed: 1)
    var announced = 0
    #expect(throws: Stop.self) {
      _ = try rig.model.train(kind.batch(rows: 2, seed: 1), scale: 1, forwardEnded: {}) { _ in
        announced += 1
        if announced == 2 { throw Stop() }
      }
    }
    #expect(announced == 2)
  }

  @Test(arguments: Kind.allCases) func noRowsChangeNothing(kind: Kind) throws {
    let rig = try kind.rig(Float.self, seed: 1)
    for gradient in rig.gradients { gradient.update(repeating: 7) }
    #expect(try rig.train(kind.batch(rows: 0, seed: 1), scale: 1) == 0)
    #expect(rig.gradients.allSatisfy { $0.allSatisfy { $0 == 7 } })
    #expect(try rig.model.evaluate(kind.batch(rows: 0, seed: 1)) == Evaluation())
  }

  /// Two halves add up to the whole; so do the shares of two ranks.
  @Test(arguments: Kind.allCases) func gradientsAccumulate(kind: Kind) throws {
    let seed = testSeed()
    let (first, second) = (kind.batch(rows: 3, seed: seed), kind.batch(rows: 5, seed: seed &+ 1))
    let (whole, halves) = (try kind.rig(Double.self, seed: seed), try kind.rig(Double.self, seed: seed))
    let loss = try whole.train(first + second, scale: 1.0 / 8)
    let parts = try halves.train(first, scale: 1.0 / 8) + halves.train(second, scale: 1.0 / 8)
    #expect(abs(loss - parts) < 1e-12 * loss, "TUTTI_TEST_SEED=\(seed)")
    #expect(largestDifference(whole.gradientNumbers, halves.gradientNumbers) < 1e-12, "TUTTI_TEST_SEED=\(seed)")
  }

  @Test(arguments: Kind.allCases) func equalSeedsGiveEqualBits(kind: Kind) throws {
    let seed = testSeed()
    func train() throws -> ([Double], Double) {
      let rig = try kind.rig(Float.self, seed: seed)
      let loss = try rig.descend(kind.batch(rows: 4, seed: seed), rate: 0.1, steps: 5)
      return (rig.valueNumbers, loss)
    }
    let (once, again) = (try train(), try train())
    #expect(once == again, "TUTTI_TEST_SEED=\(seed)")
    #expect(try kind.rig(Float.self, seed: seed).valueNumbers != kind.rig(Float.self, seed: seed &+ 1).valueNumbers)
  }

  /// What a larger batch left in the workspace is not seen by a smaller one.
  @Test(arguments: Kind.allCases) func batchesOfChangingSize(kind: Kind) throws {
    let seed = testSeed()
    let (used, fresh) = (try kind.rig(Float.self, seed: seed), try kind.rig(Float.self, seed: seed))
    for rows in [1, 6, 0, 2] { try used.train(kind.batch(rows: rows, seed: seed &+ 1), scale: 1) }
    used.zeroGradients()
    let batch = kind.batch(rows: 3, seed: seed)
    #expect(try used.train(batch, scale: 1) == fresh.train(batch, scale: 1), "TUTTI_TEST_SEED=\(seed)")
    #expect(used.gradientNumbers == fresh.gradientNumbers, "TUTTI_TEST_SEED=\(seed)")
  }

  @Test(arguments: Kind.allCases) func floatFollowsDouble(kind: Kind) throws {
    let seed = testSeed()
    let (float, double) = (try kind.rig(Float.self, seed: seed), try kind.rig(Double.self, seed: seed))
    #expect(float.valueNumbers == double.valueNumbers.map { Double(Float($0)) })
    let batch = kind.batch(rows: 4, seed: seed)
    let losses = (try float.train(batch, scale: 0.25), try double.train(batch, scale: 0.25))
    #expect(abs(losses.0 - losses.1) < 1e-4 * losses.1, "TUTTI_TEST_SEED=\(seed)")
    #expect(largestDifference(float.gradientNumbers, double.gradientNumbers) < 1e-4, "TUTTI_TEST_SEED=\(seed)")
  }

  /// Gradients that have moved are found again.
  @Test func rebinding() throws {
    let (rig, memory) = (try Kind.classifier.rig(Float.self, seed: 3), Memory<Float>())
    let batch = Kind.classifier.batch(rows: 2, seed: 3)
    try rig.train(batch, scale: 1)
    let moved = rig.model.definitions.map { memory.zeros($0.count) }
    rig.model.bind(values: rig.values.map { $0.baseAddress! }, gradients: moved.map { $0.baseAddress! })
    try rig.train(batch, scale: 1)
    #expect(moved.map(Array.init) == rig.gradients.map(Array.init))
  }

  /// Eight rows by heart, by plain gradient descent: everything that learns does.
  @Test(arguments: Kind.allCases) func learnsByHeart(kind: Kind) throws {
    let rig = try kind.rig(Float.self, seed: 5)
    let batch: Batch
    switch kind {
    case .classifier: batch = kind.batch(rows: 8, seed: 5)
    case .languageModel:
      // A row's first token tells in which steps it goes on, so that all of it can be known.
      func text(_ row: Int32) -> [Int32] { (0..<6).map { (row + $0 * (row + 1)) % 7 } }
      let texts = (0..<8).map(text)
      batch = Batch(tokens: texts.flatMap { $0.prefix(5) }, targets: texts.flatMap { $0.suffix(5) }, rows: 8)
    }
    let loss = try rig.descend(batch, rate: 0.5, steps: 400)
    #expect(loss < 0.05)
  }

  @Test func namesAndShapes() throws {
    let classifier = try makeDigitsClassifier(hidden: [32])
    #expect(classifier.definitions.map(\.name) == ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"])
    #expect(classifier.definitions.map(\.shape) == [[32, 64], [32], [10, 32], [10]])
    #expect(classifier.definitions.map(\.decays) == [true, false, true, false])
    #expect(classifier.parameterCount == 32 * 64 + 32 + 10 * 32 + 10)

    let model = try makeLanguageModel(vocabulary: 50, context: 16, width: 24, heads: 3, layers: 4)
    let names = model.definitions.map(\.name)
    #expect(names.first == "embedding.tokens.weight" && names.last == "head.weight")
    #expect(names.contains("blocks.3.attention.qkv.weight"))
    #expect(Set(names).count == names.count)
    #expect(model.parameterCount == 50 * 24 + 16 * 24 + 4 * (12 * 24 * 24 + 13 * 24) + 2 * 24 + 50 * 24)
  }

  @Test func initialValues() throws {
    let wide = Rig(try makeDigitsClassifier(Double.self, inputs: 200, hidden: [100], classes: 10), seed: 11)
    func deviation(_ weights: UnsafeMutableBufferPointer<Double>) -> Double {
      (weights.reduce(0) { $0 + $1 * $1 } / Double(weights.count)).squareRoot()
    }
    #expect(abs(deviation(wide.values[0]) / (2.0 / 200).squareRoot() - 1) < 0.03)
    #expect(wide.values[1].allSatisfy { $0 == 0 })

    let text = Rig(
      try makeLanguageModel(Double.self, vocabulary: 40, context: 32, width: 64, heads: 4, layers: 2), seed: 11)
    for (definition, values) in zip(text.model.definitions, text.values) {
      switch definition.name {
      case let name where name.hasSuffix("norm.weight"): #expect(values.allSatisfy { $0 == 1 })
      case let name where name.hasSuffix("bias"): #expect(values.allSatisfy { $0 == 0 })
      case let name where name.contains("projection") || name.contains("contraction"):
        #expect(abs(deviation(values) / 0.01 - 1) < 0.06, "\(name)")
      default: #expect(abs(deviation(values) / 0.02 - 1) < 0.06, "\(definition.name)")
      }
    }
  }
}

extension Batch {
  static func + (first: Batch, second: Batch) -> Batch {
    let (targets, rows) = (first.targets + second.targets, first.rows + second.rows)
    switch (first.inputs, second.inputs) {
    case (.features(let a), .features(let b)): return Batch(features: a + b, targets: targets, rows: rows)
    case (.tokens(let a), .tokens(let b)): return Batch(tokens: a + b, targets: targets, rows: rows)
    default: preconditionFailure("batches of one kind")
    }
  }
}
