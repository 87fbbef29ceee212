import ArgumentParser
import Charts
import Checkpoints
import Datasets
import Foundation
import Models
import Tutti

/// `DataParallelTrainer train` trains a model, on every rank that takes part.
struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train", abstract: "Trains a model. The default command.",
    discussion: """
      The ranks divide each batch, so that their number changes the speed of a run and not its result. Equal seeds give \
      equal runs, bit for bit, on as many ranks.
      """)

  @OptionGroup var options: TrainOptions

  func validate() throws { _ = try TrainConfiguration(options) }

  func run() throws {
    let configuration = try TrainConfiguration(options)
    // The launcher alone reports what is wrong with the data.
    let task = try makeTask(configuration)
    if !options.job.isRank {
      try RunRecord.prepare(configuration.output, resumes: configuration.resumes)
    }
    let lastStep = configuration.lastCheckpoint
    let stepsPerEpoch =
      Sampler(sampleCount: task.sampleCount, batchSize: configuration.batch, seed: configuration.seed).stepsPerEpoch
    let advice = { (wasStopped: Bool) -> String? in
      // A run that has only just been refused, or that has made all its steps, is not told to go on.
      guard let step = configuration.lastCheckpoint, step < configuration.steps(stepsPerEpoch: stepsPerEpoch) else {
        return nil
      }
      return wasStopped || step != lastStep ? resumeAdvice(configuration, step) : nil
    }
    try options.job.run(advice: advice) { communicator in
      switch configuration.element {
      case .float32: try train(Float.self, communicator, configuration, task)
      case .float64: try train(Double.self, communicator, configuration, task)
      }
    }
  }

  private func train<Element: TrainedElement>(
    _: Element.Type, _ communicator: Communicator, _ configuration: TrainConfiguration, _ task: any TrainingTask
  ) throws {
    let model = try task.makeModel(Element.self)
    let decays = model.definitions.map(\.decays)
    switch configuration.optimizer {
    case .sgd:
      let rule = SGD<Element>(
        learningRate: configuration.learningRate, momentum: configuration.momentum, usesNesterov: configuration.nesterov,
        weightDecay: configuration.weightDecay, decays: decays)
      try train(communicator, configuration, task, rule, model)
    case .adamw:
      let rule = AdamW<Element>(
        learningRate: configuration.learningRate, weightDecay: configuration.weightDecay, decays: decays)
      try train(communicator, configuration, task, rule, model)
    }
  }

  private func train<Rule: TrainingRule>(
    _ communicator: Communicator, _ configuration: TrainConfiguration, _ task: any TrainingTask, _ rule: Rule,
    _ model: any Model<Rule.Element>
  ) throws {
    let run = try TrainingRun(communicator, configuration, options.job, task, rule: rule, model: model)
    do {
      var loop = try TrainingLoop(run)
      try loop.train()
    } catch {
      // Before the communicator closes, which the other ranks would take for the cause.
      if error.isOwn { run.synchronizer.abort("\(error)") }
      run.close()
      throw error
    }
    run.close()
  }

  /// How the run can go on after a failure.
  private func resumeAdvice(_ configuration: TrainConfiguration, _ step: Int) -> String {
    var arguments = CommandLine.arguments.filter { !$0.hasPrefix("--inject") && $0 != options.inject }
    if !configuration.resumes { arguments.append("--resume") }
    return """
      The last checkpoint is of step \(step). To go on from it, on this or another number of ranks:
        \(arguments.map(quoted).joined(separator: " "))
      """
  }
}

/// Quotes a word for a shell.
private func quoted(_ word: String) -> String {
  let isPlain = !word.isEmpty && word.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_./=,:+@".contains($0)) }
  return isPlain ? word : "'" + word.replacingOccurrences(of: "'", with: "'\\''") + "'"
}

extension TrainConfiguration {
  /// The step of the newest checkpoint; nil when there is none.
  fileprivate var lastCheckpoint: Int? { checkpoint.flatMap { CheckpointFolder(path: $0).steps.last } }
}
