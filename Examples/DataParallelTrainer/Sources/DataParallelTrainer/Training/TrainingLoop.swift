import Charts
import Foundation
import Models
import Tutti

/// Runs a training: steps, evaluations, checkpoints, and what rank 0 reports about them.
struct TrainingLoop<Rule: TrainingRule> {
  private let run: TrainingRun<Rule>
  private let isTelling: Bool
  private var record: RunRecord
  private let bar: ProgressBar?
  private let began = ContinuousClock.now

  init(_ run: TrainingRun<Rule>) throws {
    self.run = run
    isTelling = run.communicator.rank == 0
    record = try RunRecord(folder: isTelling ? run.configuration.output : nil, firstStep: run.firstStep)
    bar = isTelling ? ProgressBar(stepCount: run.steps, firstStep: run.firstStep) : nil
  }

  /// - Throws: `StatusCode` when a target was missed; whatever else failed.
  mutating func train() throws {
    let configuration = run.configuration
    if run.firstStep > run.steps {
      throw CommandFailure(
        "the checkpoint is of step \(run.firstStep), and the run has only \(run.steps) steps. Give more --steps or --epochs.",
        isShared: true)
    }
    let evaluationInterval = configuration.evaluationInterval(stepsPerEpoch: run.sampler.stepsPerEpoch)
    let checkpointInterval = configuration.checkpointInterval(steps: run.steps)
    defer { bar?.finish() }
    if isTelling { bar?.note(introduction) }
    var evaluation: Evaluation?
    for index in run.firstStep..<run.steps {
      try run.timeline.begin(step: index, run.communicator)
      let result = try run.step(index)
      try checkFinite(result.loss, "the loss of step \(index + 1)")
      tell(result, step: index + 1)
      let isLast = index + 1 == run.steps
      if isLast || (index + 1) % evaluationInterval == 0 { evaluation = try evaluate(after: index + 1) }
      if isLast || (index + 1) % checkpointInterval == 0 {
        let values = run.memory.values
        let isFinite = run.store == nil || values.allSatisfy { $0.allSatisfy(\.isFinite) }
        try checkFinite(isFinite ? 0 : .nan, "a parameter after step \(index + 1)")
        try run.writeCheckpoint(after: index + 1)
        try record.writeLosses()
      }
    }
    try finish(try evaluation ?? evaluate(after: run.steps))
  }

  private var introduction: String {
    let configuration = run.configuration
    let parameters = run.model.parameterCount
    let bytes = parameters * MemoryLayout<Rule.Element>.stride
    let start = run.firstStep == 0 ? "" : ", from step \(run.firstStep)"
    return "\(configuration.model.rawValue): \(parameters) parameters (\(decimal(Double(bytes) / 1e6, 2)) MB), "
      + "\(run.communicator.rankCount) \(run.communicator.rankCount == 1 ? "rank" : "ranks"), "
      + "batch \(configuration.batch), \(run.steps) steps\(start)"
  }

  private mutating func tell(_ result: TrainingRun<Rule>.StepResult, step: Int) {
    guard let bar else { return }
    record.append(
      RunRecord.Entry(
        step: step, loss: result.loss, learningRate: result.learningRate, gradientNorm: result.gradientNorm,
        seconds: result.seconds, exposedSeconds: result.exposedSeconds))
    bar.label = "epoch \(run.sampler.epoch(step: step - 1) + 1)"
    bar.update(
      TrainingProgress(
        step: step, loss: result.loss, samplesPerSecond: Double(result.samples) / result.seconds,
        exposedCommunication: result.exposedSeconds / result.seconds))
  }

  /// Evaluates the model, on every rank alike.
  private mutating func evaluate(after step: Int) throws -> Evaluation {
    let evaluation = try run.evaluate()
    let loss = evaluation.lossSum / Double(evaluation.targets)
    try checkFinite(loss, "the loss on held-out data after step \(step)")
    let accuracy = Double(evaluation.correct) / Double(evaluation.targets)
    record.evaluated(loss: loss, accuracy: accuracy)
    run.bestMetric =
      switch run.configuration.model {
      case .digits: max(run.bestMetric ?? 0, accuracy)
      case .text: min(run.bestMetric ?? .greatestFiniteMagnitude, loss)
      }
    bar?.note("step \(step): \(run.task.describe(evaluation))")
    return evaluation
  }

  /// Throws on every rank alike, so that a model that has diverged is not saved and does not replace a good one.
  private func checkFinite(_ value: Double, _ name: String) throws {
    if value.isFinite { return }
    throw CommandFailure(
      """
      \(name) is \(value): the training has diverged. What was saved before is as it was. Lower --learning-rate, or clip \
      gradients with --clip-norm.
      """, isShared: true)
  }

  // MARK: The end

  private func finish(_ evaluation: Evaluation) throws {
    let spans = run.timeline.recorded.isEmpty ? [] : try run.timeline.gather(run.communicator)
    // This is the state of this rank; the ranks' states differ by a cache line.
    let stateBytes = run.optimizer.stateBytes
    bar?.finish()
    if isTelling {
      try record.writeLosses()
      try record.writePictures(
        spans,
        title: "\(run.task.name), \(run.communicator.rankCount) \(run.communicator.rankCount == 1 ? "rank" : "ranks")",
        run.task)
      try Terminal.write(record.curve(run.task))
      if let text = try sampleText() { try Terminal.write("\(text)\n") }
      let seconds = (ContinuousClock.now - began) / .seconds(1)
      try Terminal.write(
        "\(run.task.describe(evaluation)); \(run.steps) steps, \(decimal(seconds, 1)) s, optimizer state "
          + "\(decimal(Double(stateBytes) / 1e6, 3)) MB a rank")
      if let folder = run.configuration.output {
        try Terminal.write("loss.svg, timeline.svg, trace.json (for ui.perfetto.dev) and losses.jsonl are in \(folder)")
      }
    }
    let accuracy = Double(evaluation.correct) / Double(evaluation.targets)
    guard let target = run.configuration.targetAccuracy, accuracy < target else { return }
    if isTelling {
      Terminal.error("the accuracy is \(decimal(accuracy, 4)), below the \(target) of --target-accuracy")
    }
    throw StatusCode(1)
  }

  /// A text that a language model writes; nil for other models.
  private func sampleText() throws -> String? {
    guard let task = run.task as? TextTask, let model = run.model as? LanguageModel<Rule.Element> else { return nil }
    return try task.text(from: model, prompt: "LOVE, n. ", count: 400, temperature: 0.8, seed: run.configuration.seed)
  }
}
