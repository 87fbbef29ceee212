import Tutti
import TuttiSystem

/// Keeps the replicas of a model equal: reduces their gradients across ranks while the backward pass still computes others.
///
/// ```swift
/// let synchronizer = try GradientSynchronizer(communicator, parameters)
/// try synchronizer.broadcastParameters()
/// for batch in batches {
///   synchronizer.zeroGradients()
///   // The backward pass adds to synchronizer.gradient(i), and then says so:
///   try model.backward(batch) { i in try synchronizer.markReady(i) }
///   try synchronizer.finish()
///   // Now every rank has the same gradients, and updates its parameters with them.
/// }
/// ```
///
/// Parameters are registered once, in the order in which the forward pass uses them. Their gradients lie in buckets; when
/// all gradients of a bucket are ready, its reduction starts and goes on in the background. The first step finds out in
/// which order gradients become ready, and all ranks then follow rank 0's: see ``layoutVersion``.
///
/// Every rank makes the same steps. The results are bit-identical on all ranks, and with and without overlap. They are
/// bit-identical on every run, too, where rank 0's gradients become ready in the same order in the first step, or
/// ``SynchronizerOptions/readyOrder`` gives that order. A synchronizer has a communicator of its own, so that it does not
/// disturb the user's calls. After a failure there, every later call throws the first cause.
///
/// - SeeAlso: `docs/TRAINING.md`; Li et al., PyTorch Distributed, VLDB 2020.
public final class GradientSynchronizer<Element: TrainingElement>: Sendable {
  /// The parameters, as they were registered.
  public let parameters: [Parameter<Element>]
  /// The options, as they were given.
  public let options: SynchronizerOptions
  let conductor: BucketConductor<Element>
  private let mode = Lock(Mode())

  private struct Mode {
    /// The number of calls of ``withoutSynchronization(_:)`` that have not returned.
    var pauses = 0
    /// Whether gradients are reduced, and an optimizer has not used them yet.
    var hasResults = false
    /// Whether the order in which gradients become ready is settled.
    var isSettled = false
    var layoutVersion = 0
    var report: SynchronizationReport?
  }

  /// Registers parameters. Every rank calls this, in the same order as other calls on the communicator.
  ///
  /// - Parameters:
  ///   - communicator: The communicator that the synchronizer duplicates for itself
  ///     (``Tutti/Communicator/duplicate(timeout:)``).
  ///   - parameters: At least one, with names that differ; the same on every rank, in the order in which the forward pass
  ///     uses them.
  ///   - options: The same on every rank.
  /// - Throws: ``TuttiError``: `.mismatch` on all ranks, with the parameter or option that differs and the ranks;
  ///   `.invalidArgument`; `.resources` when there is no memory for the gradients.
  @available(*, noasync, message: "joining ranks blocks the thread")
  public init(
    _ communicator: Communicator, _ parameters: [Parameter<Element>], options: SynchronizerOptions = SynchronizerOptions()
  ) throws(TuttiError) {
    self.parameters = parameters
    self.options = options
    let complaint = Self.complaint(parameters, options)
    // A rank that cannot go on still takes part, so that the others learn of it.
    try communicator.checkAgreement(Self.agreement(parameters, options, complaint))
    if let complaint { throw TuttiError(FailureReport(.invalidArgument, rank: communicator.rank, complaint)) }
    if let algorithm = options.reductionAlgorithm {
      try communicator.checkAlgorithm(algorithm, ofReduceScatter: options.sharding == .sharded)
    }
    let own = try communicator.duplicate(timeout: options.timeout)
    do throws(TuttiError) {
      let order = options.readyOrder ?? parameters.indices.reversed()
      conductor = try BucketConductor(own, Self.layout(parameters, order, options), options)
    } catch {
      own.close()
      throw error
    }
    mode.withLock { $0.isSettled = options.readyOrder != nil }
  }

  deinit { close() }

  /// Ends the synchronizer's communicator. Later calls throw `.closed`. Idempotent; dropping the last reference does the
  /// same.
  @available(*, noasync, message: "use 'await synchronizer.close()'")
  public func close() {
    conductor.communicator.close()
  }

  /// Ends the synchronizer's communicator: suspends while a thread of the library's own closes it. Cancelling the task
  /// changes nothing.
  public func close() async { await conductor.communicator.close() }

  /// Ends the synchronizer on every rank: all pending and later calls throw `reason`. A rank that cannot go on calls it
  /// before it closes.
  public func abort(_ reason: String) { conductor.communicator.abort(reason) }

  /// This rank.
  public var rank: Int { conductor.communicator.rank }
  /// The number of ranks.
  public var rankCount: Int { conductor.communicator.rankCount }

  // MARK: Gradients

  /// Returns the gradient of a parameter: shape `[count]`, zero at first. It is the synchronizer's memory and valid as long
  /// as the synchronizer lives.
  ///
  /// Add to it between ``finish()`` and the next ``markReady(_:)`` of that parameter; between ``markReady(_:)`` and
  /// ``finish()``, leave it alone. After ``finish()`` it holds the reduced gradient: all of it or, with
  /// ``GradientSharding/sharded``, this rank's shard.
  ///
  /// - Parameter index: The index in ``parameters``.
  public func gradient(_ index: Int) -> UnsafeMutableBufferPointer<Element> { conductor.memory.gradient(index) }

  /// A number that rises when gradients have moved: at the end of the first ``finish()``, if they became ready in another
  /// order than that of their buckets. Call ``gradient(_:)`` again then.
  public var layoutVersion: Int { mode.withLock { $0.layoutVersion } }

  /// The order in which gradients become ready, as parameter indices. Buckets are made by it. With it in
  /// ``SynchronizerOptions/readyOrder``, another run has the same buckets, and the same bits, from its first step.
  public var readyOrder: [Int] { conductor.layout.order }

  /// The parameters of each bucket.
  public var buckets: [[Int]] { conductor.layout.buckets.map(\.parameters) }

  /// The report of the last step; nil before the end of the first.
  public var lastStep: SynchronizationReport? { mode.withLock { $0.report } }

  /// Makes all gradients zero. Must not be called between the first ``markReady(_:)`` and the end of ``finish()``.
  public func zeroGradients() {
    precondition(!conductor.look { $0.hasBegun }, "gradients are being reduced: call finish() first")
    conductor.memory.gradients.pointer.update(repeating: 0)
    mode.withLock { $0.hasResults = false }
  }

  // MARK: A step

  /// Says that a parameter's gradient is complete on this rank. If it was the last one of its bucket, the bucket's reduction
  /// starts, at once or when its turn has come.
  ///
  /// Call it from any thread, once for each parameter and step. Inside ``withoutSynchronization(_:)`` it does nothing.
  ///
  /// - Throws: ``TuttiError``: `.invalidArgument` when it has been marked in this step; otherwise the first failure.
  public func markReady(_ index: Int) throws(TuttiError) {
    if mode.withLock({ $0.pauses > 0 }) { return }
    if let failure = conductor.failure { throw failure }
    guard parameters.indices.contains(index) else {
      throw refused("there is no parameter \(index)", "Give an index from 0 to \(parameters.count - 1)")
    }
    guard conductor.look({ $0.claim(index) }) else {
      throw refused(
        "the gradient of '\(parameters[index].name)' was marked ready twice in one step",
        "Accumulate inside withoutSynchronization, and call finish() at the end of each step")
    }
    conductor.takeIn(index, isUsed: true)
    conductor.advance()
  }

  /// Ends the step, and returns once all gradients are reduced.
  ///
  /// Parameters that were not marked ready are unused on this rank: it contributes what their gradients hold, normally zero.
  /// Their buckets wait until this call, and without priorities so do those behind them. If that matters, mark early what a
  /// step does not use.
  ///
  /// - Throws: ``TuttiError``: `.nonFinite` on all ranks, naming a parameter and a rank, if there was a gradient that is
  ///   infinite or not a number: gradients are then unspecified, and the next step can go on as usual; otherwise the first
  ///   failure.
  @available(*, noasync, message: "finish() blocks its thread")
  public func finish() throws(TuttiError) {
    if let failure = conductor.failure { throw failure }
    let began = ContinuousClock.now
    // They are claimed in the order of the buckets.
    for index in conductor.layout.order where conductor.look({ $0.claim(index) }) {
      conductor.takeIn(index, isUsed: false)
    }
    conductor.look { $0.finish() }
    conductor.advance()
    guard try conductor.wait(until: { $0.isDone }) else {
      preconditionFailure("a step stopped before its end")
    }
    let ended = ContinuousClock.now

    let uses = (0..<parameters.count).map { Int(conductor.status[$0]) }
    let report = conductor.look { progress in
      let buckets = progress.started.map { index in
        let bucket = conductor.layout.buckets[index]
        return SynchronizationReport.Bucket(
          parameters: bucket.parameters, bytes: bucket.range.count * MemoryLayout<Element>.stride,
          ready: progress.readyTimes[index], started: progress.startTimes[index], ended: progress.endTimes[index])
      }
      return SynchronizationReport(buckets: buckets, finishBegan: began, finishEnded: ended, uses: uses)
    }
    let order = conductor.look { $0.readyOrder }
    conductor.reset()
    let isSettled = mode.withLock { mode in
      defer { mode.isSettled = true }
      mode.report = report
      return mode.isSettled
    }
    // Either all ranks are in their first step or none is, and all know whether one of them relies on the buckets as they
    // are.
    if !isSettled && conductor.status[conductor.status.count - 1] == 0 { try follow(order) }
    try checkFinite()
    mode.withLock { $0.hasResults = true }
  }

  /// Returns once the gradient of one parameter is reduced, before all are. ``finish()`` must still be called.
  ///
  /// It is for an optimizer that updates the parameters which the next forward pass needs first, while the rest is still on
  /// its way.
  ///
  /// - Throws: ``TuttiError``: `.invalidArgument` when it waits for a gradient that has not been marked ready; otherwise the
  ///   first failure.
  @available(*, noasync, message: "wait(for:) blocks its thread")
  public func wait(for index: Int) throws(TuttiError) {
    if let failure = conductor.failure { throw failure }
    guard parameters.indices.contains(index) else {
      throw refused("there is no parameter \(index)", "Give an index from 0 to \(parameters.count - 1)")
    }
    let bucket = conductor.layout.bucketOf[index]
    if try conductor.wait(until: { $0.phases[bucket] == .ended }) { return }
    throw refused(
      "the gradient of '\(parameters[index].name)' cannot be waited for: it, or one that goes before it, has not been marked ready",
      options.overlaps ? "Mark all gradients first" : "Without overlap, finish() reduces them")
  }

  /// Runs `body`, in which ``markReady(_:)`` does nothing. Use it for all but the last of the batches whose gradients are
  /// accumulated.
  ///
  /// Must not be called between the first ``markReady(_:)`` of a step and its ``finish()``.
  public func withoutSynchronization<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result
  {
    mode.withLock { $0.pauses += 1 }
    defer { mode.withLock { $0.pauses -= 1 } }
    return try body()
  }

  /// Keeps the buckets as they are on all ranks, whatever the first step shows, because somebody relies on them.
  func keepLayout() { conductor.keepsLayout.store(true, ordering: .releasing) }

  /// Throws if a step is under way, so that a call between steps is not allowed, or if there has been a failure.
  func checkBetweenSteps(_ call: String) throws(TuttiError) {
    if let failure = conductor.failure { throw failure }
    if conductor.look({ $0.hasBegun }) {
      throw refused("\(call) was called while gradients are being reduced", "Call finish() first")
    }
  }

  /// Takes the results of a step, for an optimizer.
  func takeResults() throws(TuttiError) {
    try checkBetweenSteps("step()")
    let hadResults = mode.withLock { mode in
      defer { mode.hasResults = false }
      return mode.hasResults
    }
    if !hadResults { throw refused("there are no reduced gradients for step()", "Call finish() before each step()") }
  }

  // MARK: The ends of a step

  /// Makes new buckets by the order in which rank 0's gradients became ready.
  private func follow(_ order: [Int]) throws(TuttiError) {
    var agreed = order.map { Int32($0) }
    do throws(TuttiError) {
      try conductor.communicator.broadcast(&agreed, root: 0, timeout: options.timeout)
      let layout = Self.layout(parameters, agreed.map { Int($0) }, options)
      if layout == conductor.layout { return }
      try conductor.rebuild(layout)
    } catch {
      conductor.fail(error)
      throw error
    }
    mode.withLock { $0.layoutVersion += 1 }
  }

  /// Throws the failure that the status reports, which is the same on all ranks.
  private func checkFinite() throws(TuttiError) {
    let findings = (0..<rankCount).compactMap { rank -> (rank: Int, parameter: Int, count: Int)? in
      let first = Int(conductor.status[parameters.count + 2 * rank])
      if first == 0 { return nil }
      return (rank, first - 1, Int(conductor.status[parameters.count + 2 * rank + 1]))
    }
    guard let first = findings.first else { return }
    let words =
      options.wireType == .full ? "infinite or not a number" : "too large for \(options.wireType.rawValue), or not a number,"
    var text = "the gradient of '\(parameters[first.parameter].name)' is \(words) on rank \(first.rank)"
    if first.count == 2 { text += ", and so is 1 other there" }
    if first.count > 2 { text += ", and so are \(first.count - 1) others there" }
    if findings.count > 1 { text += "; also on \(rankListText(findings.dropFirst().map(\.rank)))" }
    throw TuttiError(
      FailureReport(
        .nonFinite, rank: rank, peer: first.rank, text,
        advice:
          "No parameter has been updated with them. Lower the learning rate, clip gradients, or look at that rank's data"))
  }

  func refused(_ message: String, _ advice: String) -> TuttiError {
    TuttiError(FailureReport(.invalidArgument, rank: rank, message, advice: advice))
  }
}
