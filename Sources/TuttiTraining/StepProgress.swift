import Tutti

/// Tracks one step's synchronisation: which gradients are ready, which buckets are in flight, and what comes next. It
/// decides, but does nothing itself.
///
/// All ranks start the same operations in the same order: each bucket's reduction, one by one, and the status at the end.
/// Where buckets have priorities, rank 0 chooses among those that are ready there, and a broadcast before each reduction
/// tells the others.
///
/// Whoever learns something tells it by the event of that name, and then calls ``takeNext()`` until nothing is next.
struct StepProgress {
  enum Phase {
    /// Gradients are missing.
    case filling
    case ready
    case reducing
    case ended
  }

  /// What this rank tells the others at the end of a step.
  struct Status: Equatable {
    /// By parameter: whether the user marked it ready, rather than the end of the step.
    var isUsed: [Bool]
    var firstNonFinite: Int?
    var nonFiniteCount = 0
  }

  /// What to do next. It counts as done: whoever takes it does it at once, and in the order in which it was taken.
  enum Action: Equatable {
    case nothing
    /// Learn from rank 0's announcement of this number which bucket is next.
    case listen(Int)
    /// Tell the others, by the announcement of this number, that a bucket is next, and start it.
    case announce(Int, bucket: Int)
    case start(Int)
    /// Start the all-reduce of the step's status.
    case sendStatus(Status)
  }

  let layout: BucketLayout
  let isRoot: Bool
  let announces: Bool

  /// By parameter: whether somebody is marking or has marked it ready.
  private var isClaimed: [Bool]
  private var claimedCount = 0
  private(set) var readyOrder: [Int] = []
  private(set) var phases: [Phase]
  private var missing: [Int]
  /// Buckets, in the order in which they were started.
  private(set) var started: [Int] = []
  private var endedCount = 0
  /// The bucket that rank 0 has announced, and which has not been started.
  private var announced: Int?
  private var isListening = false
  /// Whether operations may be started.
  private var isReleased = false
  /// Whether every gradient has been marked ready, or counts as unused.
  private var isFinishing = false
  private var status: Status
  private var hasSentStatus = false
  private var hasStatus = false

  private(set) var readyTimes: [ContinuousClock.Instant]
  private(set) var startTimes: [ContinuousClock.Instant]
  private(set) var endTimes: [ContinuousClock.Instant]

  /// How many reductions rank 0 allows in flight: one that moves, and one to follow it without a pause. More would leave
  /// nothing to choose.
  static let chosenMax = 2
  /// How many may be in flight where nobody chooses. A communicator has a bound of its own at which a start waits, and a
  /// handler must not wait.
  static let underWayMax = 8

  init(_ layout: BucketLayout, isRoot: Bool, prioritizes: Bool) {
    self.layout = layout
    self.isRoot = isRoot
    // With no more than these there is nothing to choose.
    announces = prioritizes && layout.buckets.count > Self.chosenMax
    isClaimed = Array(repeating: false, count: layout.ranges.count)
    status = Status(isUsed: isClaimed)
    phases = Array(repeating: .filling, count: layout.buckets.count)
    missing = layout.buckets.map(\.parameters.count)
    let never = ContinuousClock.now
    readyTimes = Array(repeating: never, count: layout.buckets.count)
    (startTimes, endTimes) = (readyTimes, readyTimes)
  }

  /// Whether something has been marked or started.
  var hasBegun: Bool { claimedCount > 0 || isFinishing }
  /// Whether a thread is in the middle of marking a gradient ready.
  var isTakingIn: Bool { claimedCount > readyOrder.count }
  var isDone: Bool { endedCount == layout.buckets.count && hasStatus }

  // MARK: Events

  /// A thread is about to mark a parameter ready. Returns false if one was before.
  mutating func claim(_ parameter: Int) -> Bool {
    if isClaimed[parameter] { return false }
    isClaimed[parameter] = true
    claimedCount += 1
    return true
  }

  /// The gradient of a claimed parameter is complete.
  mutating func markReady(_ parameter: Int, isUsed: Bool, isFinite: Bool) {
    assert(isClaimed[parameter], "a parameter is claimed before it is marked")
    status.isUsed[parameter] = isUsed
    if !isFinite {
      status.nonFiniteCount += 1
      status.firstNonFinite = status.firstNonFinite ?? parameter
    }
    readyOrder.append(parameter)
    let bucket = layout.bucketOf[parameter]
    missing[bucket] -= 1
    if missing[bucket] == 0 {
      phases[bucket] = .ready
      readyTimes[bucket] = .now
    }
  }

  /// Operations may be started.
  mutating func release() { isReleased = true }

  /// Every gradient has been marked ready, or counts as unused.
  mutating func finish() {
    isFinishing = true
    isReleased = true
  }

  /// Rank 0's announcement has come. Returns false if it cannot be: that bucket is not one of those that are left.
  mutating func take(announcement bucket: Int) -> Bool {
    assert(isListening, "an announcement comes when it is listened for")
    guard layout.buckets.indices.contains(bucket), !started.contains(bucket) else { return false }
    announced = bucket
    isListening = false
    return true
  }

  /// The result of a bucket is there.
  mutating func end(_ bucket: Int) {
    assert(phases[bucket] == .reducing, "what ends was started")
    phases[bucket] = .ended
    endedCount += 1
    endTimes[bucket] = .now
  }

  /// The status of all ranks is there.
  mutating func noteStatus() {
    assert(hasSentStatus, "the status was sent before it comes")
    hasStatus = true
  }

  // MARK: Decisions

  /// Decides what to do next by all that is known now, and notes it as done.
  mutating func takeNext() -> Action {
    let next = next
    switch next {
    case .nothing: break
    case .listen: isListening = true
    case .announce(_, let bucket), .start(let bucket):
      phases[bucket] = .reducing
      started.append(bucket)
      startTimes[bucket] = .now
      announced = nil
    case .sendStatus: hasSentStatus = true
    }
    return next
  }

  private var next: Action {
    if !isReleased || !hasBegun { return .nothing }
    if started.count == layout.buckets.count { return isFinishing && !hasSentStatus ? .sendStatus(status) : .nothing }
    if !announces {
      let bucket = started.count
      return phases[bucket] == .ready && bucket - endedCount < Self.underWayMax ? .start(bucket) : .nothing
    }
    if isRoot {
      if started.count - endedCount >= Self.chosenMax { return .nothing }
      let waiting = layout.buckets.indices.filter { phases[$0] == .ready }
      let first = waiting.min { layout.buckets[$0].priority < layout.buckets[$1].priority }
      return first.map { .announce(started.count, bucket: $0) } ?? .nothing
    }
    if let announced { return phases[announced] == .ready ? .start(announced) : .nothing }
    return isListening ? .nothing : .listen(started.count)
  }
}
