import Testing

@testable import Models

/// What does not fit is refused in words, before anything has changed.
@Suite struct BadInputTests {
  private func message(_ body: () throws -> Void) -> String? {
    do {
      try body()
      return nil
    } catch {
      return String(describing: error)
    }
  }

  @Test func batchesThatDoNotFit() throws {
    let (classifier, languageModel) = (try smallClassifier(Float.self, seed: 1), try smallLanguageModel(Float.self, seed: 1))
    let features = [Float](repeating: 0, count: 12)
    let cases: [(Rig<Float>, Batch, String)] = [
      (classifier, Batch(features: features, targets: [0, 4], rows: 2), "target number 1 is 4"),
      (classifier, Batch(features: features, targets: [0], rows: 2), "1 targets"),
      (classifier, Batch(features: features, targets: [0, 1, 2], rows: 3), "6 features"),
      (classifier, Batch(tokens: [1, 2], targets: [1, 2], rows: 2), "was given tokens"),
      (languageModel, Batch(features: features, targets: [0, 1], rows: 2), "was given features"),
      (languageModel, Batch(tokens: [0, 7], targets: [0, 0], rows: 1), "token number 1 is 7"),
      (languageModel, Batch(tokens: [0, 0], targets: [-1, 0], rows: 1), "target number 0 is -1"),
      (languageModel, Batch(tokens: [0, 0, 0], targets: [0, 0, 0], rows: 2), "as many in each row"),
      (languageModel, Batch(tokens: [0, 0], targets: [0, 0], rows: 0), "0 rows has 2 tokens"),
      (
        languageModel, Batch(tokens: .init(repeating: 0, count: 6), targets: .init(repeating: 0, count: 6), rows: 1),
        "most 5"
      ),
    ]
    for (rig, batch, words) in cases {
      for problem in [message { try rig.train(batch, scale: 1) }, message { _ = try rig.model.evaluate(batch) }] {
        #expect(problem?.contains(words) == true, "\(problem ?? "no error") has not: \(words)")
      }
      #expect(rig.gradients.allSatisfy { $0.allSatisfy { $0 == 0 } })
    }
  }

  @Test func modelsThatCannotBe() {
    #expect(message { _ = try makeDigitsClassifier(hidden: [16, 0]) }?.contains("[64, 16, 0, 10]") == true)
    #expect(
      message { _ = try makeLanguageModel(vocabulary: 9, context: 4, width: 10, heads: 4, layers: 1) }?
        .contains("4 heads do not divide a width of 10") == true)
    #expect(
      message { _ = try makeLanguageModel(vocabulary: 9, context: 0, width: 8, heads: 4, layers: 1) }?
        .contains("context (0)") == true)
  }

  @Test func samplesThatCannotBe() throws {
    let rig = try smallLanguageModel(Float.self, seed: 1)
    let model = try #require(rig.model as? LanguageModel<Float>)
    func problem(_ prompt: [Int32], _ temperature: Double = 1) -> String? {
      message { _ = try sample(from: model, prompt: prompt, count: 2, temperature: temperature, seed: 1) }
    }
    #expect(problem([])?.contains("empty") == true)
    #expect(problem([7])?.contains("prompt token number 0 is 7") == true)
    #expect(problem([1], -1)?.contains("negative") == true)
    rig.values[0][8] = .nan
    #expect(problem([1])?.contains("not finite") == true)
  }
}
