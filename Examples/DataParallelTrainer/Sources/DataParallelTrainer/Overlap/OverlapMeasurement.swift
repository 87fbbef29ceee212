import Datasets
import Models
import Tutti
import TuttiTraining

/// Measures computation and communication of training steps, apart and together, on the same memory and in the same run.
///
/// Parameters are never updated, so that every step does the same. Every rank makes the same calls in the same order.
final class OverlapMeasurement {
  private let communicator: Communicator
  private let job: JobOptions
  private let corpus: TextCorpus
  private let sizes: LanguageModelSizes
  private let model: LanguageModel<Float>
  private let memory: ParameterMemory<Float>
  private let overlapped: GradientSynchronizer<Float>
  private let sequential: GradientSynchronizer<Float>
  private let clock = ContinuousClock()
  private var batch = Batch(tokens: [], targets: [], rows: 0)

  private static let warmups = 2
  /// How much longer than the communication the backward pass should be.
  private static let reserve = 1.3

  /// What one pass forward and backward took on this rank, in seconds.
  private struct Pass {
    var seconds = 0.0
    var backward = 0.0
    /// By parameter: when its gradient was complete.
    var ready: [Double]
  }

  init(_ communicator: Communicator, _ job: JobOptions, _ corpus: TextCorpus, _ sizes: LanguageModelSizes) throws {
    (self.communicator, self.job, self.corpus, self.sizes) = (communicator, job, corpus, sizes)
    model = try makeLanguageModel(
      Float.self, vocabulary: corpus.vocabulary.count, context: sizes.context, width: sizes.width, heads: sizes.heads,
      layers: sizes.layers)
    memory = try ParameterMemory(model.definitions)
    overlapped = try GradientSynchronizer(
      communicator, memory.parameters, options: job.synchronizerOptions(overlaps: true, shards: false))
    sequential = try GradientSynchronizer(
      communicator, memory.parameters, options: job.synchronizerOptions(overlaps: false, shards: false))
    memory.bind(model, overlapped)
    if communicator.rank == 0 { model.initialize(seed: 1) }
    try overlapped.broadcastParameters()
  }

  func close() {
    overlapped.close()
    sequential.close()
  }

  /// - Parameter rows: The rows of a rank in a step; nil to find out.
  /// - Returns: The report, the same on every rank.
  func run(rows: Int?, rounds: Int) throws -> OverlapReport {
    batch = makeBatch(rows: rows ?? 2)
    for _ in 0..<Self.warmups { try measureAll() }
    let rows = try rows ?? findRows()
    batch = makeBatch(rows: rows)
    try measureAll()

    var samples: [[Double]] = []
    for _ in 0..<rounds { samples.append(try communicator.maximum(try measureAll())) }
    let medians = samples[0].indices.map { index in median(samples.map { $0[index] }) }
    let layout = overlapped.buckets
    let bytes = layout.map { $0.reduce(0) { $0 + memory.definitions[$1].count * MemoryLayout<Float>.stride } }
    return OverlapReport(
      ranks: communicator.rankCount, transport: communicator.lastOperation.transports.description,
      parameters: model.parameterCount, rows: rows,
      rounds: samples.map {
        OverlapReport.Round(computation: $0[0], communication: $0[1], overlapped: $0[2], sequential: $0[3])
      },
      buckets: zip(bytes, medians[4...]).map { OverlapReport.Bucket(bytes: $0, ready: $1) },
      stateBytes: try stateBytes(shards: false), shardedStateBytes: try stateBytes(shards: true))
  }

  // MARK: One of each

  /// - Returns: Seconds of computation, communication, a step with overlap, one without; then, for each bucket, when it was
  ///   ready in the computation alone.
  @discardableResult
  private func measureAll() throws -> [Double] {
    let computation = try compute()
    let communication = try communicate()
    let (with, without) = (try step(overlapped), try step(sequential))
    let ready = overlapped.buckets.map { parameters in parameters.map { computation.ready[$0] }.max() ?? 0 }
    return [computation.seconds, communication, with, without] + ready
  }

  /// Forward and backward, and nothing else.
  private func compute() throws -> Pass {
    try prepare(overlapped)
    var pass = Pass(ready: Array(repeating: 0, count: memory.definitions.count))
    var forward = 0.0
    let began = clock.now
    _ = try model.train(
      batch, scale: 1, forwardEnded: { forward = (clock.now - began) / .seconds(1) },
      gradientReady: { pass.ready[$0] = (clock.now - began) / .seconds(1) })
    pass.seconds = (clock.now - began) / .seconds(1)
    pass.backward = pass.seconds - forward
    return pass
  }

  /// Reduces all buckets, whose gradients are ready at once, in the order in which they become ready in a step.
  private func communicate() throws -> Double {
    try prepare(overlapped)
    let began = clock.now
    for parameter in overlapped.readyOrder { try overlapped.markReady(parameter) }
    try overlapped.finish()
    return (clock.now - began) / .seconds(1)
  }

  private func step(_ synchronizer: GradientSynchronizer<Float>) throws -> Double {
    try prepare(synchronizer)
    let began = clock.now
    _ = try model.train(batch, scale: 1, forwardEnded: {}, gradientReady: { try synchronizer.markReady($0) })
    try synchronizer.finish()
    return (clock.now - began) / .seconds(1)
  }

  /// Makes the ranks begin together. What comes before is not measured.
  private func prepare(_ synchronizer: GradientSynchronizer<Float>) throws {
    memory.bind(model, synchronizer)
    synchronizer.zeroGradients()
    try communicator.barrier()
  }

  // MARK: The job

  private func makeBatch(rows: Int) -> Batch {
    let count = corpus.train.windowCount(context: sizes.context)
    let first = communicator.rank * rows
    let (inputs, targets) = corpus.train.windows((first..<first + rows).map { $0 % count }, context: sizes.context)
    return Batch(tokens: inputs, targets: targets, rows: rows)
  }

  /// Finds a number of rows with which communication can hide. It can hide only behind the backward pass, because there is
  /// nothing to send before.
  private func findRows() throws -> Int {
    // The shortest of a few counts, so that no chance delay makes the job smaller.
    let backward = try (0..<3).map { _ in try compute().backward }.min() ?? 0
    let slowest = try communicator.maximum([backward / Double(batch.rows), try communicate()])
    return min(max(1, Int((Self.reserve * slowest[1] / slowest[0]).rounded(.up))), 4096)
  }

  /// The bytes that AdamW would keep on a rank: the largest number of all ranks.
  private func stateBytes(shards: Bool) throws -> Int {
    var options = job.synchronizerOptions(overlaps: true, shards: shards)
    options.readyOrder = overlapped.readyOrder
    let synchronizer = try GradientSynchronizer(communicator, memory.parameters, options: options)
    defer { synchronizer.close() }
    let rule = AdamW<Float>(learningRate: 0, weightDecay: 0, decays: model.definitions.map(\.decays))
    return Int(try communicator.maximum([Double(ShardedOptimizer(synchronizer, rule).stateBytes)])[0])
  }
}

func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  let middle = sorted.count / 2
  return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
