import ArgumentParser
import Checkpoints
import Datasets
import Models
import TuttiTraining

/// `DataParallelTrainer sample` lets a trained language model continue a text. It is one process; any number of ranks may
/// have trained the model.
struct SampleCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sample", abstract: "Lets a language model from a checkpoint continue a text.")

  @Option(help: "The folder of checkpoints, of which the newest is taken; or the folder of one, such as run/step-00000500.")
  var checkpoint: String

  @Option(help: "The text to go on from.")
  var prompt = "LOVE, n. "

  @Option(help: "Characters to write.")
  var count = 500

  @Option(help: "1 draws as the model predicts, less plays safe, 0 always takes the likeliest character.")
  var temperature = 0.8

  @Option(help: "Equal seeds give equal texts.")
  var seed: UInt64 = 1

  func validate() throws {
    try check("--count", count, in: 1...1_000_000)
    try check("--temperature", temperature, in: 0...100)
    guard !prompt.isEmpty else { throw ValidationError("--prompt: must not be empty.") }
  }

  func run() throws {
    let folder = CheckpointFolder(path: checkpoint)
    let found = folder.isOne ? try Checkpoint(folder: checkpoint) : try folder.latest()
    let text =
      found.manifest.identity.elementType == Double.checkpointName
      ? try text(found, Double.self) : try text(found, Float.self)
    try Terminal.write(text)
  }

  private func text<Element: TrainedElement>(_ checkpoint: Checkpoint, _: Element.Type) throws -> String {
    let identity = checkpoint.manifest.identity
    guard identity.model == "text" else {
      throw CommandFailure("\(checkpoint.folder): has a model of \(identity.model), which writes no text.")
    }
    // As `train` limits them.
    func size(_ name: String, in limits: ClosedRange<Int>) throws -> Int {
      guard let size = identity.configuration[name].flatMap(Int.init), limits.contains(size) else {
        throw CommandFailure(
          "\(checkpoint.folder): its manifest has no \(name) from \(limits.lowerBound) to \(limits.upperBound). "
            + "Use another checkpoint.")
      }
      return size
    }
    let vocabulary = Vocabulary(of: identity.configuration["vocabulary"] ?? "")
    let model = try makeLanguageModel(
      Element.self, vocabulary: vocabulary.count, context: try size("context", in: 1...65_536),
      width: try size("width", in: 1...16_384), heads: try size("heads", in: 1...1024),
      layers: try size("layers", in: 1...1000))
    try checkpoint.check(parameters: model.definitions.map { CheckpointParameter(name: $0.name, shape: $0.shape) })
    let memory = try ParameterMemory<Element>(model.definitions)
    // Nothing is trained, so the model never looks at its gradients.
    let values = memory.values.map { $0.baseAddress! }
    model.bind(values: values, gradients: values)
    try checkpoint.read(
      into: memory.values.enumerated().map { index, values in
        CheckpointPiece(parameter: index, part: .values, range: 0..<values.count, memory: values)
      })
    return try continued(
      prompt, by: model, vocabulary, count: count, temperature: temperature, seed: seed)
  }
}

extension TextTask {
  func text<Element: TrainedElement>(
    from model: LanguageModel<Element>, prompt: String, count: Int, temperature: Double, seed: UInt64
  ) throws -> String {
    // A text of the user's own may not have all of its characters.
    let known = prompt.unicodeScalars.filter(corpus.vocabulary.characters.contains)
    let start = known.isEmpty ? String(corpus.vocabulary.characters[0]) : String(String.UnicodeScalarView(known))
    return try continued(start, by: model, corpus.vocabulary, count: count, temperature: temperature, seed: seed)
  }
}

/// Returns the prompt and what the model makes of it.
private func continued<Element: TrainedElement>(
  _ prompt: String, by model: LanguageModel<Element>, _ vocabulary: Vocabulary, count: Int, temperature: Double, seed: UInt64
) throws -> String {
  let tokens = try vocabulary.encode(prompt)
  return prompt
    + vocabulary.decode(try Models.sample(from: model, prompt: tokens, count: count, temperature: temperature, seed: seed))
}
