import Testing

@testable import Models

@Suite struct LanguageModelTests {
  /// A later token changes nothing of what is predicted before it.
  @Test func looksOnlyBack() throws {
    let seed = testSeed()
    let rig = try smallLanguageModel(Float.self, seed: seed)
    rig.scatter(seed: seed)
    let model = try #require(rig.model as? LanguageModel<Float>)
    func logits(_ tokens: [Int32]) -> [[Float]] {
      let matrix = model.forward(tokens, length: 5)
      return (0..<5).map { Array(UnsafeBufferPointer(start: matrix.row($0), count: matrix.columns)) }
    }
    let text: [Int32] = [1, 5, 0, 3, 2]
    for changed in 0..<5 {
      var other = text
      other[changed] = 6
      let (before, after) = (logits(text), logits(other))
      for position in 0..<5 {
        #expect(
          (before[position] == after[position]) == (position < changed),
          "position \(position), changed \(changed), TUTTI_TEST_SEED=\(seed)")
      }
    }
  }

  /// Rows of a batch do not see each other.
  @Test func rowsAreIndependent() throws {
    let seed = testSeed()
    let rig = try smallLanguageModel(Double.self, seed: seed)
    rig.scatter(seed: seed)
    let (first, second) = (textBatch(rows: 1, seed: seed), textBatch(rows: 2, seed: seed &+ 1))
    let together = try rig.model.evaluate(first + second)
    var apart = try rig.model.evaluate(first)
    apart += try rig.model.evaluate(second)
    #expect(abs(together.lossSum - apart.lossSum) < 1e-12 * apart.lossSum, "TUTTI_TEST_SEED=\(seed)")
    #expect(together.correct == apart.correct && together.targets == apart.targets)
  }

  @Test func textsShorterThanTheContext() throws {
    let seed = testSeed()
    let rig = try smallLanguageModel(Double.self, seed: seed)
    rig.scatter(seed: seed)
    let batch = textBatch(rows: 2, length: 3, seed: seed)
    try rig.train(batch, scale: 1)
    for index in rig.values.indices {
      let error = try gradientError(
        Array(rig.gradients[index]), of: { try rig.model.evaluate(batch).lossSum }, by: rig.values[index])
      #expect(error < 1e-6, "\(rig.model.definitions[index].name), TUTTI_TEST_SEED=\(seed)")
    }
  }

  @Test func samplesRepeatBySeed() throws {
    let rig = try smallLanguageModel(Float.self, seed: 1)
    let model = try #require(rig.model as? LanguageModel<Float>)
    func text(_ seed: UInt64, _ temperature: Double = 1) throws -> [Int32] {
      try sample(from: model, prompt: [1, 2], count: 30, temperature: temperature, seed: seed)
    }
    #expect(try text(1) == text(1))
    #expect(try text(1) != text(2))
    #expect(try text(1).count == 30)
    #expect(try text(1, 0) == text(2, 0))
    #expect(try Set(text(1)).count > 3)
  }

  @Test func continuesWhatItHasLearned() throws {
    let rig = try smallLanguageModel(Float.self, seed: 1)
    let model = try #require(rig.model as? LanguageModel<Float>)
    let text = (0..<9).map { Int32([2, 5, 0, 4][$0 % 4]) }
    let rows = (0..<4).map { text[$0..<$0 + 6] }
    let batch = Batch(tokens: rows.flatMap { $0.prefix(5) }, targets: rows.flatMap { $0.suffix(5) }, rows: 4)
    _ = try rig.descend(batch, rate: 0.5, steps: 100)
    #expect(try sample(from: model, prompt: [2, 5], count: 7, temperature: 0, seed: 1) == [0, 4, 2, 5, 0, 4, 2])
    #expect(try sample(from: model, prompt: [2, 5], count: 7, temperature: 0.3, seed: 1) == [0, 4, 2, 5, 0, 4, 2])
  }
}
