import Tutti

/// Tracks one step's synchronisation: which gradients are ready, which buckets are in flight, and what comes next. It
/// decides, but does nothing itself.
///
/// All ranks start the same operations in the same order: each bucket's reduction, one by one, and the status at the end.
/// Where buckets have priorities, rank 0 chooses among those that are ready there, and a broadcast before each reduction
/// tells the others.
struct StepProgress {
  enum Phase {
    /// Gradients are missing.
    case filling
    case ready
    case reducing
    case ended
  }

  /// What to do next.
  enum Action: Equatable {
    case nothing
    /// Learn from rank 0 which bucket is next.
    case listen
    /// Tell the others that this bucket is next, and start it.
    case announce(Int)
    case start(Int)
    /// Start the all-reduce of the step's status.
    case sendStatus
  }

  let layout: BucketLayout
  let isRoot: Bool
  let announces: Bool

  /// By parameter: whether somebody is marking or has marked it ready.
  private(set) var isClaimed: [Bool]
  private var claimedCount = 0
  /// By parameter: whether the user marked it ready, rather than the end of the step.
  private(set) var isUsed: [Bool]
  private(set) var readyOrder: [Int] = []
  private(set) var phases: [Phase]
  private var missing: [Int]
  /// Buckets, in the order in which they were started.
  private(set) var started: [Int] = []
  private(set) var endedCount = 0
  /// The bucket that rank 0 has announced, and which has not been started.
  var announced: Int?
  var isListening = false
  /// Whether operations may be started.
  var isReleased = false
  /// Whether every gradient has been marked ready, or counts as unused.
  var isFinishing = false
  private(set) var hasSentStatus = false
  var hasStatus = false
  /// What the status reports about this rank.
  var firstNonFinite: Int?
  var nonFiniteCount = 0

  var readyTimes: [ContinuousClock.Instant]
  var startTimes: [ContinuousClock.Instant]
  var endTimes: [ContinuousClock.Instant]

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
    isUsed = isClaimed
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

  /// Claims a parameter. Returns false if it had been claimed before.
  mutating func claim(_ parameter: Int) -> Bool {
    if isClaimed[parameter] { return false }
    isClaimed[parameter] = true
    claimedCount += 1
    return true
  }

  /// Marks a parameter ready that has been claimed.
  mutating func markReady(_ parameter: Int, isUsed: Bool) {
    self.isUsed[parameter] = isUsed
    readyOrder.append(parameter)
    let bucket = layout.bucketOf[parameter]
    missing[bucket] -= 1
    if missing[bucket] == 0 {
      phases[bucket] = .ready
      readyTimes[bucket] = .now
    }
  }

  /// What to do next, by all that is known now.
  var next: Action {
    if !isReleased || !hasBegun { return .nothing }
    if started.count == layout.buckets.count { return isFinishing && !hasSentStatus ? .sendStatus : .nothing }
    if !announces {
      let bucket = started.count
      return phases[bucket] == .ready && bucket - endedCount < Self.underWayMax ? .start(bucket) : .nothing
    }
    if isRoot {
      if started.count - endedCount >= Self.chosenMax { return .nothing }
      let waiting = layout.buckets.indices.filter { phases[$0] == .ready }
      return waiting.min { layout.buckets[$0].priority < layout.buckets[$1].priority }.map { .announce($0) } ?? .nothing
    }
    if let announced { return phases[announced] == .ready ? .start(announced) : .nothing }
    return isListening ? .nothing : .listen
  }

  mutating func start(_ bucket: Int) {
    phases[bucket] = .reducing
    started.append(bucket)
    startTimes[bucket] = .now
    announced = nil
  }

  mutating func end(_ bucket: Int) {
    phases[bucket] = .ended
    endedCount += 1
    endTimes[bucket] = .now
  }

  mutating func sendStatus() { hasSentStatus = true }
}
