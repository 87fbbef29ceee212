import TuttiSchedule
import TuttiSystem
import TuttiTransport

/// Decides how the large segments of calls of one kind and size travel over shared memory.
///
/// Which way is fastest depends on the processor, the kernel and the neighbours, and cannot change bits: so it is measured.
/// Every so often a few operations take turns, and the best way is taken until the next time. In between no clock is read.
/// All ranks count the same operations, so that they try the same way at the same time.
///
/// See `docs/decisions/0029-the-data-path-measures-itself.md`.
struct DataPath {
  /// The ways that may be taken.
  private(set) var candidates: SegmentWays
  /// Which way segments take now. Each says in its header how it travels, so this may change at any time.
  private(set) var way: SegmentWay
  /// Which way they take outside of a comparison: it is kept unless another is clearly better.
  private(set) var kept: SegmentWay
  /// The last operation that was counted.
  private(set) var lastOperation: UInt64 = 0
  /// Operations until the next comparison.
  private var operationsLeft = Self.settlingOperations
  /// Operations from the next comparison to the one after.
  private var interval = Self.intervalMin
  /// The operation of a comparison that runs or comes next, from 0; -1 outside of one.
  private var turn = -1
  /// Whether a comparison has ended.
  private(set) var hasCompared = false
  /// What the fastest operation of each way took in this comparison.
  private var fastest = InlineArray<3, UInt64>(repeating: .max)

  /// The first comparison begins with this operation: those before it touch memory and open links, and tell nothing.
  static let settlingOperations = 4
  /// Operations in a row that go the same way. The first is not counted: it finds the caches as another way left them.
  static let runLength = 3
  /// Runs of each way in a comparison; the ways take turns.
  static let roundCount = 2
  static let intervalMin = 64
  static let intervalMax = 4096
  /// How many hundredths faster another way must be: without a margin, ways that are alike would take turns for ever.
  static let marginHundredths: UInt64 = 6

  /// - Parameter first: The way to begin with.
  init(startingWith first: SegmentWay, among candidates: SegmentWays) {
    way = first
    kept = first
    self.candidates = candidates
  }

  /// Operations of a comparison.
  var comparisonLength: Int { Self.runLength * Self.roundCount * candidates.count }

  /// Counts an operation that begins. Returns whether it is one of a comparison, whose time is wanted.
  ///
  /// - Parameter allowed: The ways that the links have.
  mutating func begin(_ operation: UInt64, allowed: SegmentWays = .all) -> Bool {
    lastOperation = operation
    if !candidates.isSubset(of: allowed) { restrict(to: allowed) }
    if candidates.count < 2 { return false }
    if turn < 0 {
      operationsLeft -= 1
      if operationsLeft > 0 { return false }
      turn = 0
      fastest = InlineArray(repeating: .max)
    }
    way = candidates.way(at: turn / Self.runLength % candidates.count)
    return true
  }

  /// Notes how long the operation took for which ``begin(_:allowed:)`` has last returned true.
  mutating func end(nanoseconds: UInt64) {
    // What is allowed has changed meanwhile.
    if turn < 0 { return }
    if turn % Self.runLength > 0 { fastest[way.index] = min(fastest[way.index], nanoseconds) }
    turn += 1
    if turn == comparisonLength { decide() }
  }

  private mutating func restrict(to allowed: SegmentWays) {
    candidates.formIntersection(allowed)
    if !candidates.contains(kept) { kept = candidates.isEmpty ? .window : candidates.way(at: 0) }
    way = kept
    turn = -1
  }

  private mutating func decide() {
    var best = kept
    for index in 0..<candidates.count {
      let other = candidates.way(at: index)
      if fastest[other.index] < fastest[best.index] { best = other }
    }
    if fastest[best.index] / 100 * (100 + Self.marginHundredths) < fastest[kept.index] / 100 * 100 {
      kept = best
      interval = Self.intervalMin
    } else {
      interval = min(2 * interval, Self.intervalMax)
    }
    way = kept
    hasCompared = true
    operationsLeft = interval
    turn = -1
  }
}

extension SegmentWay {
  /// Its place among all ways.
  fileprivate var index: Int { Int(rawValue) }
}

/// The calls that share a ``DataPath``: of one collective and algorithm, and of about one size.
struct DataPathKey: Hashable {
  var collective: Collective
  var algorithm: String
  /// The binary logarithm of the bytes of the largest send.
  var magnitude: Int
}

/// An operation whose time is taken.
struct DataPathTrial {
  var path: UnsafeMutablePointer<DataPath>
  var operation: UInt64
  var startedAt: UInt64
}

extension Engine {
  /// Gives a plan the data path of calls like it; none where no segment has the choice.
  func setDataPath(of plan: CompiledPlan, _ key: PlanKey) {
    lock.assertHeld()
    let sends = plan.tables.pointee.largeSends
    if sends.bytes == 0 { return }
    let like = DataPathKey(
      collective: key.collective, algorithm: plan.algorithm,
      magnitude: sends.bytes.bitWidth - sends.bytes.leadingZeroBitCount)
    let path: UnsafeMutablePointer<DataPath>
    if let known = core.pointee.dataPaths[like] {
      path = known
    } else {
      let candidates: SegmentWays = sends.canBeHeld ? .all : [.window, .streamedWindow]
      let preferred: SegmentWay = sends.canBeHeld && !plan.tables.pointee.prefersWindows ? .held : .window
      let known = wayOfNearest(like).flatMap { candidates.contains($0) ? $0 : nil }
      path = .allocate(capacity: 1)
      path.initialize(to: DataPath(startingWith: known ?? preferred, among: candidates))
      core.pointee.dataPaths[like] = path
    }
    plan.tables.pointee.dataPath = path
  }

  /// The way that has been found best for calls of the nearest other size of the same collective and algorithm.
  private func wayOfNearest(_ key: DataPathKey) -> SegmentWay? {
    core.pointee.dataPaths
      .filter { $0.key.collective == key.collective && $0.key.algorithm == key.algorithm && $0.value.pointee.hasCompared }
      .min { abs($0.key.magnitude - key.magnitude) < abs($1.key.magnitude - key.magnitude) }?
      .value.pointee.kept
  }

  /// Counts an operation at its first large segment, and takes its time if it is one of a comparison. One at a time.
  @inline(never)
  static func begin(
    _ operation: UInt64, _ path: UnsafeMutablePointer<DataPath>, _ core: UnsafeMutablePointer<EngineCore>,
    allowed: SegmentWays
  ) {
    if core.pointee.trial == nil && path.pointee.begin(operation, allowed: allowed) {
      core.pointee.trial = DataPathTrial(path: path, operation: operation, startedAt: core.pointee.clock.now())
      core.pointee.listeners += 1
    }
  }

  /// Takes the time of an operation of a comparison, which has ended. Under the lock.
  @inline(never)
  func endTrial(_ trial: DataPathTrial) {
    lock.assertHeld()
    trial.path.pointee.end(nanoseconds: clock.now() &- trial.startedAt)
    core.pointee.trial = nil
    core.pointee.listeners -= 1
  }
}
