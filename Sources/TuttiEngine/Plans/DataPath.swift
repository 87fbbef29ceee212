import TuttiSchedule
import TuttiSystem

/// Decides how the large segments of calls of one kind and size travel over shared memory: through windows, or copied by
/// the receiver from where the sender has them.
///
/// Which is faster depends on the processor, the kernel and the neighbours, and cannot change bits: so it is measured. Every
/// so often a few operations take turns, and the better way is taken until the next time. In between no clock is read.
/// All ranks count the same operations, so that they try the same way at the same time.
///
/// See `docs/decisions/0029-the-data-path-measures-itself.md`.
struct DataPath {
  /// Which way segments take now. Each says in its header how it travels, so this may change at any time.
  private(set) var usesWindows: Bool
  /// The last operation that was counted.
  private(set) var lastOperation: UInt64 = 0
  /// Which way they take outside of a comparison: it is kept unless the other is clearly better.
  private(set) var keepsWindows: Bool
  /// Operations until the next comparison.
  private var operationsLeft = Self.settlingOperations
  /// Operations from the next comparison to the one after.
  private var interval = Self.intervalMin
  /// The operation of a comparison that runs or comes next, from 0; -1 outside of one.
  private var turn = -1
  private var fastest = (kept: UInt64.max, other: UInt64.max)

  /// The first comparison begins with this operation: those before it touch memory and open links, and tell nothing.
  static let settlingOperations = 4
  /// Operations in a row that go the same way. The first is not counted: it finds the caches as the other way left them.
  static let runLength = 3
  /// Runs of a comparison; the ways take turns.
  static let runCount = 4
  static let intervalMin = 64
  static let intervalMax = 4096
  /// How many hundredths faster the other way must be: without a margin, two ways that are alike would take turns for ever.
  static let marginHundredths: UInt64 = 6

  init(startsWithWindows: Bool) {
    usesWindows = startsWithWindows
    keepsWindows = startsWithWindows
  }

  /// Counts an operation that begins. Returns whether it is one of a comparison, whose time is wanted.
  mutating func begin(_ operation: UInt64) -> Bool {
    lastOperation = operation
    if turn < 0 {
      operationsLeft -= 1
      if operationsLeft > 0 { return false }
      turn = 0
      fastest = (.max, .max)
    }
    usesWindows = keepsWindows == isOfKept(turn)
    return true
  }

  /// Notes how long the operation took for which ``begin(_:)`` has last returned true.
  mutating func end(nanoseconds: UInt64) {
    if turn % Self.runLength > 0 {
      if isOfKept(turn) {
        fastest.kept = min(fastest.kept, nanoseconds)
      } else {
        fastest.other = min(fastest.other, nanoseconds)
      }
    }
    turn += 1
    if turn == Self.runLength * Self.runCount { decide() }
  }

  private func isOfKept(_ turn: Int) -> Bool { turn / Self.runLength % 2 == 0 }

  private mutating func decide() {
    let isOtherBetter = fastest.other / 100 * (100 + Self.marginHundredths) < fastest.kept / 100 * 100
    if isOtherBetter {
      keepsWindows.toggle()
      interval = Self.intervalMin
    } else {
      interval = min(2 * interval, Self.intervalMax)
    }
    usesWindows = keepsWindows
    operationsLeft = interval
    turn = -1
  }
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
    let bytes = plan.tables.pointee.bytesOfLargestHeldSend
    if bytes == 0 { return }
    let like = DataPathKey(
      collective: key.collective, algorithm: plan.algorithm, magnitude: bytes.bitWidth - bytes.leadingZeroBitCount)
    let path: UnsafeMutablePointer<DataPath>
    if let known = core.pointee.dataPaths[like] {
      path = known
    } else {
      path = .allocate(capacity: 1)
      path.initialize(to: DataPath(startsWithWindows: plan.tables.pointee.prefersWindows))
      core.pointee.dataPaths[like] = path
    }
    plan.tables.pointee.dataPath = path
  }

  /// Counts an operation at its first large segment, and takes its time if it is one of a comparison. One at a time.
  @inline(never)
  static func begin(_ operation: UInt64, _ path: UnsafeMutablePointer<DataPath>, _ core: UnsafeMutablePointer<EngineCore>) {
    if core.pointee.trial == nil && path.pointee.begin(operation) {
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
