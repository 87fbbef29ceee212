import Charts
import Checkpoints
import Datasets
import Foundation
import Models
import Tutti
import TuttiTraining

/// One rank's part of a training run.
///
/// Invariant: after every step all ranks have the same parameters, bit for bit, and they are those that one process would
/// have with the same global batch, up to the rounding of sums in another order. Every rank makes the same calls in the same
/// order.
final class TrainingRun<Rule: TrainingRule> {
  typealias Element = Rule.Element

  let communicator: Communicator
  let configuration: TrainConfiguration
  let task: any TrainingTask
  let model: any Model<Element>
  let memory: ParameterMemory<Element>
  let synchronizer: GradientSynchronizer<Element>
  let optimizer: ShardedOptimizer<Rule>
  let store: CheckpointStore?
  let schedule: LearningRateSchedule
  let steps: Int
  var sampler: Sampler
  var timeline: StepTimeline

  /// The step to begin with: that of the checkpoint that was read, or 0.
  let firstStep: Int
  var bestMetric: Double?
  private var boundLayout = 0

  /// The results of a step, alike on every rank except for the times.
  struct StepResult {
    /// The mean over the global batch, in nats a target.
    var loss: Double
    var samples: Int
    var learningRate: Double
    /// The norm of the gradients before clipping; nil when they are not clipped.
    var gradientNorm: Double?
    /// Seconds, on this rank.
    var seconds: Double
    /// Seconds in which this rank waited for communication that computation did not hide.
    var exposedSeconds: Double
  }

  /// Joins the others with the same model on all: a new one, or that of the newest checkpoint.
  init(
    _ communicator: Communicator, _ configuration: TrainConfiguration, _ job: JobOptions, _ task: any TrainingTask,
    rule: Rule,
    model: any Model<Element>
  ) throws {
    self.communicator = communicator
    self.configuration = configuration
    self.task = task
    self.model = model
    sampler = Sampler(sampleCount: task.sampleCount, batchSize: configuration.batch, seed: configuration.seed)
    steps = configuration.steps(stepsPerEpoch: sampler.stepsPerEpoch)
    schedule = .warmupCosine(
      peak: configuration.learningRate, warmupSteps: configuration.warmup(steps: steps), totalSteps: steps,
      final: configuration.learningRate / 10)
    memory = try ParameterMemory(model.definitions)

    try communicator.checkAgreement(
      configuration.settings + job.settings + task.modelConfiguration.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
    let identity = Self.identity(task, configuration, model.definitions, rule)
    store = configuration.checkpoint.map { folder in
      CheckpointStore(
        folder: folder, identity: identity, keep: configuration.checkpointKeep, rank: communicator.rank,
        rankCount: communicator.rankCount, exchange: { try communicator.exchange($0) })
    }
    let checkpoint = configuration.resumes ? try store?.latest() : nil
    firstStep = checkpoint?.manifest.progress.step ?? 0
    timeline = StepTimeline(firstStep..<max(steps, firstStep), isWanted: configuration.output != nil)
    try store?.prepare(lastStep: firstStep)

    var options = job.synchronizerOptions(overlaps: configuration.overlaps, shards: configuration.shards)
    if let order = checkpoint?.manifest.progress.readyOrder, !order.isEmpty { options.readyOrder = order }
    synchronizer = try GradientSynchronizer(communicator, memory.parameters, options: options)
    optimizer = ShardedOptimizer(synchronizer, rule)
    memory.bind(model, synchronizer)
    if let checkpoint {
      try restore(checkpoint)
    } else {
      // The memory of the others stays zero until rank 0's values come.
      if communicator.rank == 0 { model.initialize(seed: configuration.seed) }
      try synchronizer.broadcastParameters()
    }
    try synchronizer.checkReplicas()
  }

  func close() { synchronizer.close() }

  // MARK: A step

  /// One optimizer step on the global batch.
  ///
  /// - Parameter index: The number of the step, from 0, over the whole run.
  func step(_ index: Int) throws -> StepResult {
    let clock = ContinuousClock()
    let began = clock.now
    if case .kill(communicator.rank, index) = configuration.injection { kill(getpid(), SIGKILL) }
    synchronizer.zeroGradients()
    let (rank, rankCount) = (communicator.rank, communicator.rankCount)
    let own = sampler.batch(step: index, rank: rank, rankCount: rankCount)
    let samples = sampler.globalBatchCount(step: index)
    let targets = Double(samples * task.targetsPerSample)
    var lossSum = 0.0
    for part in 0..<configuration.accumulate {
      let share = Sampler.share(of: own.count, rank: part, rankCount: configuration.accumulate)
      let batch = task.batch(own[share], step: index, sampler)
      if part + 1 < configuration.accumulate {
        lossSum += try synchronizer.withoutSynchronization { try pass(batch, index, scale: 1 / targets) }
      } else {
        lossSum += try pass(batch, index, scale: 1 / targets)
      }
    }
    try synchronizer.finish()
    let finished = clock.now
    var norm: Double?
    if configuration.clipNorm > 0 { norm = try synchronizer.clipGradients(toNorm: configuration.clipNorm) }
    let learningRate = schedule.rate(step: index)
    optimizer.rule.learningRate = learningRate
    try optimizer.step()
    timeline.record(.optimizer, "optimizer", from: finished, to: clock.now)
    if let report = synchronizer.lastStep { timeline.record(report) }
    rebindIfMoved()

    let loss = try communicator.sum([lossSum])[0] / targets
    let every = configuration.checkReplicasEvery
    if every > 0, (index + 1) % every == 0 { try synchronizer.checkReplicas() }
    return StepResult(
      loss: loss, samples: samples, learningRate: learningRate, gradientNorm: norm,
      seconds: (clock.now - began) / .seconds(1),
      exposedSeconds: (synchronizer.lastStep?.exposed ?? .zero) / .seconds(1))
  }

  /// Makes one pass forward and backward. Gradients leave as soon as they are complete.
  private func pass(_ batch: Batch, _ step: Int, scale: Double) throws -> Double {
    let clock = ContinuousClock()
    let began = clock.now
    var forwardEnd = began
    let loss = try model.train(
      batch, scale: scale, forwardEnded: { forwardEnd = clock.now },
      gradientReady: { parameter in
        if configuration.injection == .nan(rank: communicator.rank, step: step, parameter: parameter) {
          synchronizer.gradient(parameter)[0] = .nan
        }
        try synchronizer.markReady(parameter)
      })
    timeline.record(.forward, "forward", from: began, to: forwardEnd)
    timeline.record(.backward, "backward", from: forwardEnd, to: clock.now)
    return loss
  }

  /// The first step finds out in which order gradients become ready, and they move once.
  private func rebindIfMoved() {
    guard synchronizer.layoutVersion != boundLayout else { return }
    boundLayout = synchronizer.layoutVersion
    memory.bind(model, synchronizer)
  }

  // MARK: Evaluation

  /// Evaluates the model on the held-out data: each rank takes a share, and the results are summed over the ranks.
  func evaluate() throws -> Evaluation {
    var own = Evaluation()
    for batch in task.evaluationBatches(rank: communicator.rank, rankCount: communicator.rankCount) {
      own += try model.evaluate(batch)
    }
    let sums = try communicator.sum([own.lossSum, Double(own.correct), Double(own.targets)])
    return Evaluation(lossSum: sums[0], correct: Int(sums[1]), targets: Int(sums[2]))
  }

  // MARK: Checkpoints

  private static func identity(
    _ task: any TrainingTask, _ configuration: TrainConfiguration, _ definitions: [ParameterDefinition], _ rule: Rule
  ) -> CheckpointIdentity {
    var sizes = task.modelConfiguration
    // With these equal, the run goes on with the samples that come next.
    sizes["seed"] = "\(configuration.seed)"
    sizes["batch"] = "\(configuration.batch)"
    return CheckpointIdentity(
      model: task.name, configuration: sizes, elementType: Element.checkpointName,
      parameters: definitions.map { CheckpointParameter(name: $0.name, shape: $0.shape) }, states: rule.stateNames)
  }

  /// Writes a checkpoint of the state after `step` steps.
  func writeCheckpoint(after step: Int) throws {
    let (epoch, stepInEpoch) = step.quotientAndRemainder(dividingBy: sampler.stepsPerEpoch)
    let progress = CheckpointProgress(
      step: step, seed: configuration.seed,
      samplePosition: epoch * sampler.sampleCount + stepInEpoch * sampler.batchSize,
      hyperParameters: configuration.hyperParameters, readyOrder: synchronizer.readyOrder, bestMetric: bestMetric)
    try store?.write(progress, ownPieces())
  }

  private func restore(_ checkpoint: Checkpoint) throws {
    let values = memory.values.enumerated().map { index, values in
      CheckpointPiece(parameter: index, part: .values, range: 0..<values.count, memory: values)
    }
    try store?.read(checkpoint, into: values + optimizer.states.flatMap { Self.pieces(of: $0, within: $0.range) })
    optimizer.stepCount = checkpoint.manifest.progress.step
    bestMetric = checkpoint.manifest.progress.bestMetric
  }

  /// The pieces that this rank writes, so that every element is written once. When sharded, these are the ones it holds the
  /// optimizer's state of; otherwise every rank has all of it, and writes an equal share of all elements.
  private func ownPieces() -> [CheckpointPiece<Element>] {
    let states = optimizer.states
    if configuration.shards {
      return states.flatMap { state in [values(state.parameter, state.range)] + Self.pieces(of: state, within: state.range) }
    }
    let total = memory.values.reduce(0) { $0 + $1.count }
    let share = Sampler.share(of: total, rank: communicator.rank, rankCount: communicator.rankCount)
    var start = 0
    var pieces: [CheckpointPiece<Element>] = []
    for (index, buffer) in memory.values.enumerated() {
      let own = share.clamped(to: start..<start + buffer.count)
      let range = own.lowerBound - start..<own.upperBound - start
      start += buffer.count
      if range.isEmpty { continue }
      pieces.append(values(index, range))
      for state in states where state.parameter == index { pieces += Self.pieces(of: state, within: range) }
    }
    return pieces
  }

  private func values(_ parameter: Int, _ range: Range<Int>) -> CheckpointPiece<Element> {
    CheckpointPiece(
      parameter: parameter, part: .values, range: range,
      memory: UnsafeMutableBufferPointer(rebasing: memory.values[parameter][range]))
  }

  /// The pieces of the optimizer's state that lie in a range of its parameter.
  private static func pieces(
    of piece: ShardedOptimizer<Rule>.StatePiece, within range: Range<Int>
  ) -> [CheckpointPiece<Element>] {
    let common = piece.range.clamped(to: range)
    if common.isEmpty { return [] }
    let places = common.lowerBound - piece.range.lowerBound..<common.upperBound - piece.range.lowerBound
    return piece.states.enumerated().map { index, state in
      CheckpointPiece(
        parameter: piece.parameter, part: .state(index), range: common,
        memory: UnsafeMutableBufferPointer(rebasing: state[places]))
    }
  }
}
