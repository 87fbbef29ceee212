// Says what is trained on what: the data, the model for it, and how samples become batches.

import Datasets
import Digests
import Foundation
import Models

/// Data and a model for it. It is loaded on every rank, and ``settings`` makes sure that it is equal on all.
protocol TrainingTask {
  /// The model's name in checkpoints.
  var name: String { get }
  /// The sizes and choices of the model, and the facts about the data that a checkpoint depends on.
  var modelConfiguration: [String: String] { get }
  /// The number of samples of the training data.
  var sampleCount: Int { get }
  /// The number of predictions that a sample asks for.
  var targetsPerSample: Int { get }

  func makeModel<Element: TrainedElement>(_: Element.Type) throws -> any Model<Element>

  /// Makes a batch of these samples of the training data, in this order.
  func batch(_ samples: some Collection<Int>, step: Int, _ sampler: Sampler) -> Batch

  /// A rank's share of the data that is held out, in pieces of moderate size.
  func evaluationBatches(rank: Int, rankCount: Int) -> [Batch]

  /// Tells the result in a sentence.
  func describe(_ evaluation: Evaluation) -> String
  /// The value to compare a loss curve with.
  var reference: (name: String, value: Double)? { get }
  /// Whether a loss curve is read better on a logarithmic axis: where losses come close to zero.
  var prefersLogarithm: Bool { get }
}

func makeTask(_ configuration: TrainConfiguration) throws -> any TrainingTask {
  let source = configuration.data.map { URL(filePath: $0) }
  switch configuration.model {
  case .digits: return DigitsTask(data: try Digits.load(from: source), hidden: configuration.hidden)
  case .text:
    let corpus = try TextCorpus.load(from: source, context: configuration.context)
    return TextTask(
      corpus: corpus,
      sizes: LanguageModelSizes(
        width: configuration.width, layers: configuration.layers, heads: configuration.heads, context: configuration.context)
    )
  }
}

/// A fingerprint that tells data apart: 64 bits of the SHA-256 of its bytes, in hexadecimal.
private func hash<each Element: BitwiseCopyable>(_ arrays: repeat [each Element]) -> String {
  var hash = SHA256()
  for array in repeat each arrays { array.withUnsafeBytes { hash.update($0) } }
  return String(hash.finish().prefix(16))
}

/// Images of handwritten digits, and a multi-layer perceptron that tells which they are.
struct DigitsTask: TrainingTask {
  let data: Digits
  let hidden: [Int]
  private let fingerprint: String

  init(data: Digits, hidden: [Int]) {
    (self.data, self.hidden) = (data, hidden)
    fingerprint = hash(data.train.pixels, data.train.labels)
  }

  var name: String { "digits" }
  var modelConfiguration: [String: String] {
    ["hidden layers": hidden.map(String.init).joined(separator: ","), "training data": fingerprint]
  }
  var sampleCount: Int { data.train.count }
  var targetsPerSample: Int { 1 }
  var reference: (name: String, value: Double)? { nil }
  var prefersLogarithm: Bool { true }

  func makeModel<Element: TrainedElement>(_: Element.Type) throws -> any Model<Element> {
    try makeDigitsClassifier(Element.self, inputs: Digits.pixelCount, hidden: hidden, classes: Digits.classCount)
  }

  func batch(_ samples: some Collection<Int>, step: Int, _ sampler: Sampler) -> Batch {
    Self.batch(data.train.batch(Array(samples)))
  }

  func evaluationBatches(rank: Int, rankCount: Int) -> [Batch] {
    [Self.batch(data.test.batch(Array(Sampler.share(of: data.test.count, rank: rank, rankCount: rankCount))))]
  }

  func describe(_ evaluation: Evaluation) -> String {
    let accuracy = 100 * Double(evaluation.correct) / Double(evaluation.targets)
    return "accuracy \(decimal(accuracy, 2)) % of \(evaluation.targets) test images, loss "
      + "\(decimal(evaluation.lossSum / Double(evaluation.targets), 4)) nats"
  }

  private static func batch(_ images: LabeledImages) -> Batch {
    Batch(features: images.pixels, targets: images.labels, rows: images.count)
  }
}

/// What a language model is made with, beside its vocabulary.
struct LanguageModelSizes {
  var width: Int
  var layers: Int
  var heads: Int
  var context: Int
}

/// A text, and a transformer that continues it character by character.
struct TextTask: TrainingTask {
  let corpus: TextCorpus
  let sizes: LanguageModelSizes
  private let fingerprint: String

  init(corpus: TextCorpus, sizes: LanguageModelSizes) {
    (self.corpus, self.sizes) = (corpus, sizes)
    fingerprint = hash(corpus.train.tokens)
  }

  /// Windows that are evaluated together.
  private static let evaluationRows = 16

  var name: String { "text" }
  var modelConfiguration: [String: String] {
    [
      "width": "\(sizes.width)", "layers": "\(sizes.layers)", "heads": "\(sizes.heads)", "context": "\(sizes.context)",
      "vocabulary": String(String.UnicodeScalarView(corpus.vocabulary.characters)), "training data": fingerprint,
    ]
  }
  var sampleCount: Int { corpus.train.windowCount(context: sizes.context) }
  var targetsPerSample: Int { sizes.context }
  var reference: (name: String, value: Double)? { ("unigram entropy", corpus.unigramEntropy) }
  var prefersLogarithm: Bool { false }

  func makeModel<Element: TrainedElement>(_: Element.Type) throws -> any Model<Element> {
    try makeLanguageModel(
      Element.self, vocabulary: corpus.vocabulary.count, context: sizes.context, width: sizes.width, heads: sizes.heads,
      layers: sizes.layers)
  }

  func batch(_ samples: some Collection<Int>, step: Int, _ sampler: Sampler) -> Batch {
    batch(corpus.train, Array(samples), shift: sampler.shift(step: step, below: sizes.context))
  }

  func evaluationBatches(rank: Int, rankCount: Int) -> [Batch] {
    let own = Sampler.share(of: corpus.validation.windowCount(context: sizes.context), rank: rank, rankCount: rankCount)
    return stride(from: own.lowerBound, to: own.upperBound, by: Self.evaluationRows).map { start in
      batch(corpus.validation, Array(start..<min(start + Self.evaluationRows, own.upperBound)), shift: 0)
    }
  }

  func describe(_ evaluation: Evaluation) -> String {
    let loss = evaluation.lossSum / Double(evaluation.targets)
    return "loss \(decimal(loss, 3)) nats a character on \(evaluation.targets) held-out characters; the unigram entropy is "
      + decimal(corpus.unigramEntropy, 3)
  }

  private func batch(_ tokens: TokenSequence, _ windows: [Int], shift: Int) -> Batch {
    let (inputs, targets) = tokens.windows(windows, context: sizes.context, shift: shift)
    return Batch(tokens: inputs, targets: targets, rows: windows.count)
  }
}
