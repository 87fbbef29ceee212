import Synchronization
import Tutti
import TuttiSystem

/// Starts each bucket's reduction when its turn has come, on whatever thread learns of it: the thread that marks a gradient
/// ready, or the one that notices the end of an operation.
///
/// One thread at a time acts; others leave it their news and go on, so that no handler ever waits.
final class BucketConductor<Element: TrainingElement>: @unchecked Sendable {
  // @unchecked: `memory` changes only between steps, in the user's call that ends one.

  let communicator: Communicator
  let options: SynchronizerOptions
  private(set) var memory: GradientMemory<Element>
  private let progress: Lock<StepProgress>
  /// The operations in flight, with their purposes, and the first failure.
  private let operations = Lock(Operations())
  /// The number of news items that the acting thread has not yet looked at.
  private let news = Atomic<Int>(0)
  /// Changes when something has ended.
  private let changed = WakeWord()
  /// What rank 0 announces, a number for each bucket; lives as long as an operation may read it.
  private let announcements: TuttiBuffer<Int32>
  /// How many ranks used each parameter; then for each rank the first parameter that is not finite, counted from 1, and how
  /// many; then on how many ranks buckets must stay as they are.
  let status: TuttiBuffer<Int32>
  /// Whether buckets must stay as they are on this rank.
  let keepsLayout = Atomic<Bool>(false)

  private struct Operations {
    var underWay: [(purpose: Purpose, work: Work)] = []
    var failure: TuttiError?
  }

  private enum Purpose: Equatable {
    case announcement(Int)
    case bucket(Int)
    case status
  }

  init(
    _ communicator: Communicator, _ layout: BucketLayout, _ options: SynchronizerOptions
  ) throws(TuttiError) {
    self.communicator = communicator
    self.options = options
    memory = try GradientMemory(layout, options, communicator)
    progress = Lock(StepProgress(layout, isRoot: communicator.rank == 0, prioritizes: options.prioritizes))
    announcements = TuttiBuffer(count: layout.ranges.count, repeating: 0)
    status = TuttiBuffer(count: layout.ranges.count + 2 * communicator.rankCount + 1, repeating: 0)
  }

  var layout: BucketLayout { memory.layout }

  /// The elements of the memory whose result this rank gets.
  func ownRange(_ bucket: Int) -> Range<Int> {
    let range = layout.buckets[bucket].range
    if options.sharding == .replicated { return range }
    let counts = shardCounts(bucket)
    let start = range.lowerBound + counts[..<communicator.rank].reduce(0, +)
    return start..<start + counts[communicator.rank]
  }

  func shardCounts(_ bucket: Int) -> [Int] {
    layout.shardCounts(bucket, rankCount: communicator.rankCount, alignment: GradientMemory<Element>.alignment)
  }

  // MARK: A step

  /// Looks at the progress under its lock.
  func look<Result, Failure: Error>(_ body: (inout StepProgress) throws(Failure) -> Result) throws(Failure) -> Result {
    try progress.withLock(body)
  }

  /// Takes a claimed gradient, which will not change any more until the step ends. Call `advance()` afterwards.
  func takeIn(_ parameter: Int, isUsed: Bool) {
    let gradient = memory.gradient(parameter)
    let isFinite =
      !options.checksFinite || ElementLoops.areFinite(UnsafeBufferPointer(gradient), upTo: memory.largest)
    memory.narrow(parameter)
    look {
      $0.markReady(parameter, isUsed: isUsed, isFinite: isFinite)
      if options.overlaps { $0.release() }
    }
  }

  /// Starts whatever can be started.
  func advance() {
    if news.wrappingAdd(1, ordering: .acquiringAndReleasing).oldValue != 0 { return }
    var seen = 1
    repeat {
      while act(look { $0.takeNext() }) {}
      seen = news.wrappingSubtract(seen, ordering: .acquiringAndReleasing).newValue
    } while seen != 0
  }

  /// Does what comes next. Returns whether there may be more to do at once.
  private func act(_ action: StepProgress.Action) -> Bool {
    // After a failure nothing starts any more, so it does not matter that it counts as started.
    if action == .nothing || failure != nil { return false }
    do throws(TuttiError) {
      switch action {
      case .nothing: break
      case .listen(let number): try startAnnouncement(number)
      case .announce(let number, let bucket):
        announcements[number] = Int32(bucket)
        try startAnnouncement(number)
        try startReduction(bucket)
      case .start(let bucket): try startReduction(bucket)
      case .sendStatus(let status): try startStatus(status)
      }
      return true
    } catch {
      fail(error)
      return false
    }
  }

  private func startAnnouncement(_ number: Int) throws(TuttiError) {
    let word = RawMemory(announcements.pointer.baseAddress! + number, count: 1, type: .int32)
    watch(.announcement(number), try communicator.startBroadcast(word, root: 0, timeout: options.timeout))
  }

  private func startReduction(_ bucket: Int) throws(TuttiError) {
    let range = layout.buckets[bucket].range
    let (input, output) = (memory.reduced(range.lowerBound), memory.reduced(ownRange(bucket).lowerBound))
    let operation: ReduceOp = options.wireType == .full && options.reduction == .average ? .average : .sum
    switch options.sharding {
    case .replicated:
      watch(
        .bucket(bucket),
        try communicator.startAllReduce(
          RawMemory(input, count: range.count, type: memory.reducedType),
          to: RawMemory(output, count: range.count, type: memory.reducedType), operation,
          algorithm: AlgorithmName(options.reductionAlgorithm), timeout: options.timeout))
    case .sharded:
      let counts = shardCounts(bucket)
      watch(
        .bucket(bucket),
        try communicator.startReduceScatter(
          RawMemory(input, count: range.count, type: memory.reducedType),
          to: RawMemory(output, count: counts[communicator.rank], type: memory.reducedType), operation,
          blocks: .each(counts), algorithm: AlgorithmName(options.reductionAlgorithm), timeout: options.timeout))
    }
  }

  private func startStatus(_ own: StepProgress.Status) throws(TuttiError) {
    for index in 0..<status.count { status[index] = 0 }
    for parameter in own.isUsed.indices where own.isUsed[parameter] { status[parameter] = 1 }
    let place = own.isUsed.count + 2 * communicator.rank
    status[place] = Int32((own.firstNonFinite ?? -1) + 1)
    status[place + 1] = Int32(own.nonFiniteCount)
    status[status.count - 1] = keepsLayout.load(ordering: .acquiring) ? 1 : 0
    watch(.status, try communicator.startAllReduce(status, .sum, timeout: options.timeout))
  }

  // MARK: Ends

  private func watch(_ purpose: Purpose, _ work: Work) {
    operations.withLock { $0.underWay.append((purpose, work)) }
    work.whenNoticed { [self] in ended(purpose, work) }
  }

  /// Takes in the end of an operation, well or not, and starts what it makes possible.
  private func ended(_ purpose: Purpose, _ work: Work) {
    if !work.isDone {
      // The operation has failed, so this throws at once.
      do throws(TuttiError) { try work.wait() } catch { return fail(error) }
    }
    switch purpose {
    case .bucket(let bucket):
      memory.widen(ownRange(bucket))
      look { $0.end(bucket) }
    case .announcement(let number) where communicator.rank != 0:
      let bucket = Int(announcements[number])
      if !look({ $0.take(announcement: bucket) }) {
        let text = "rank 0 announced bucket \(bucket), which is not one of the buckets that are left"
        fail(TuttiError(FailureReport(.mismatch, rank: communicator.rank, peer: 0, text)))
      }
    case .announcement: break
    case .status: look { $0.noteStatus() }
    }
    advance()
    // This comes last: as long as something is in flight, whoever waits knows that there will be news. It goes by number,
    // because the user may be in the next step by now, with operations for the same purposes.
    operations.withLock { operations in operations.underWay.removeAll { $0.work.number == work.number } }
    changed.wake()
  }

  /// The first failure, which every later call throws.
  var failure: TuttiError? { operations.withLock { $0.failure } }

  /// Ends the synchronizer, on all ranks.
  func fail(_ error: TuttiError) {
    operations.withLock { $0.failure = $0.failure ?? error }
    // If the failure is this rank's alone, this tells the others; otherwise there is a cause already. A rank that has closed
    // has said so.
    if error.code != .closed { communicator.abort(error.message) }
    changed.wake()
  }

  /// Returns once `condition` holds, and drives what is in flight meanwhile. Each operation has its deadline.
  ///
  /// - Returns: Whether it holds; `false` where nothing in flight can make it true.
  func wait(until condition: (StepProgress) -> Bool) throws(TuttiError) -> Bool {
    while true {
      let seen = changed.value
      if look({ condition($0) }) { return true }
      let (works, failure) = operations.withLock { ($0.underWay.map(\.work), $0.failure) }
      if let failure { throw failure }
      if let work = works.first(where: { !$0.isDone }) {
        do throws(TuttiError) { try work.wait() } catch {
          fail(error)
          throw error
        }
      } else if !works.isEmpty || news.load(ordering: .acquiring) != 0 || look({ $0.isTakingIn }) {
        // Another thread is about to announce that something has ended or is ready. A lost wake-up costs 10 ms at most.
        changed.wait(while: seen, nanoseconds: 10_000_000)
      } else if look({ condition($0) }) {
        return true
      } else if changed.value == seen {
        return false
      }
    }
  }

  // MARK: Between steps

  /// Starts to give every rank all shards of a bucket's memory.
  func startGather(_ bucket: Int) throws(TuttiError) -> Work {
    let base = memory.gradients.pointer.baseAddress!
    let (own, all) = (ownRange(bucket), layout.buckets[bucket].range)
    return try communicator.startAllGather(
      RawMemory(base + own.lowerBound, count: own.count, type: Element.dataType),
      to: RawMemory(base + all.lowerBound, count: all.count, type: Element.dataType),
      blocks: .each(shardCounts(bucket)), timeout: options.timeout)
  }

  /// Forgets the step that has ended.
  func reset() {
    look { $0 = StepProgress(layout, isRoot: communicator.rank == 0, prioritizes: options.prioritizes) }
  }

  /// Moves the gradients into another layout. Called between steps.
  func rebuild(_ layout: BucketLayout) throws(TuttiError) {
    // This rank's shards will change: it needs the results from the ranks that had the new ones.
    if options.sharding == .sharded {
      for bucket in self.layout.buckets.indices { try startGather(bucket).wait() }
    }
    let next = try GradientMemory<Element>(layout, options, communicator)
    for parameter in layout.ranges.indices {
      _ = next.gradient(parameter).update(fromContentsOf: memory.gradient(parameter))
    }
    memory = next
    reset()
  }
}
