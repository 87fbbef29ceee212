import ArgumentParser
import Charts
import Checkpoints
import Foundation
import Models
import Tutti

/// `DataParallelTrainer train`: trains a model, on every rank that takes part.
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
    // What is wrong with data is said once, by the launcher.
    let task = try makeTask(configuration)
    let lastStep = configuration.lastCheckpoint
    let advice = { (wasKilled: Bool) in
      // A run that has only just been refused is not told to go on.
      wasKilled || configuration.lastCheckpoint != lastStep ? resumeAdvice(configuration) : nil
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
    defer { run.close() }
    var loop = try TrainingLoop(run)
    try loop.train()
  }

  /// Where the run can go on after a failure; nil where it has no checkpoints.
  private func resumeAdvice(_ configuration: TrainConfiguration) -> String? {
    guard let step = configuration.lastCheckpoint else { return nil }
    var arguments = CommandLine.arguments.filter { !$0.hasPrefix("--inject") && $0 != options.inject }
    if !configuration.resumes { arguments.append("--resume") }
    return """
      The last checkpoint is of step \(step). To go on from it, on this or another number of ranks:
        \(arguments.joined(separator: " "))
      """
  }
}

extension TrainConfiguration {
  /// The step of the newest checkpoint that there is.
  fileprivate var lastCheckpoint: Int? { checkpoint.flatMap { CheckpointFolder(path: $0).steps.last } }
}
