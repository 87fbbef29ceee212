import TuttiSchedule
import TuttiSystem
import TuttiTransport

/// The engine's mutable state. Belongs to the holder of the engine's lock: see ``EngineLock/assertHeld()``.
struct EngineCore {
  /// Operations that may be started and wait for their slot.
  static let pendingCapacity: UInt64 = 64

  /// For each rank, the link to it; unretained, owned by `ownedLinks`.
  let links: UnsafeMutablePointer<Unmanaged<Link>?>
  let slots: UnsafeMutablePointer<OperationSlot>
  /// Started operations that wait for their slot, by number modulo the capacity.
  let pending: UnsafeMutablePointer<Operation>
  /// Operands of the combine in hand.
  let sources: UnsafeMutablePointer<UnsafeRawPointer?>
  /// The number of the last operation started, and of the last that got its slot.
  var lastStarted: UInt64 = 0
  var lastAdmitted: UInt64 = 0
  /// The number of operations and transfers that were started and have not ended.
  var inFlight: UInt64 = 0
  /// The number of sends and receives among them.
  var transfersInFlight = 0
  /// Whether a caller's thread is driving.
  var hasLeader = false
  /// The number of callers' threads that sleep until the leader has ended an operation or left.
  var followers = 0
  /// How many want to know when an operation or transfer ends: followers, handlers, and a comparison of data paths.
  var listeners = 0
  /// The operation or transfer that the driver waits for; 0 for the progress thread. A diagnosis is told of it before any
  /// other.
  var awaited: UInt64 = 0
  /// The number of threads that sleep in the kernel until the doorbell rings. A new leader disarms it, so that peers do not
  /// ring in vain.
  var parkedThreads = 0
  /// When the last asynchronous operation was started, in monotonic nanoseconds.
  var lastBegin: UInt64 = 0
  /// Nanoseconds in which this process was seen to be stopped: no deadline counts them.
  var stoppedTime: UInt64 = 0
  /// When the clock was last read, by any thread; what lies between two readings tells whether the process was stopped.
  var lastLook: UInt64 = 0
  /// The number of calls that began to wait while others were in flight. Every so often, one of them looks at what could be
  /// wrong before it drives.
  var crowdedCalls: UInt64 = 0
  /// The latest questions to other ranks, about calls that are near their deadlines: ``Inquiry/countMax`` at most.
  var inquiries: [Inquiry] = []
  /// For each slot, whether its operation moves.
  let stallWatches: UnsafeMutablePointer<StallWatch>
  /// When to look next which operations do not move, in the engine's time.
  var nextStallLook: UInt64 = 0
  /// The latest questions about operations that do not move: one for each slot at most.
  var polls: [CallPoll] = []

  /// The plans of recent calls: repeating a call costs a comparison. Entries of `cache`.
  let memo: UnsafeMutablePointer<PlanMemo>
  /// The plan of the last call, for results.
  var lastPlan: Unmanaged<CompiledPlan>?
  var cache = PlanCache()
  /// How large segments travel, by kind of call. Owned.
  var dataPaths: [DataPathKey: UnsafeMutablePointer<DataPath>] = [:]
  /// The operation whose time is being taken.
  var trial: DataPathTrial?
  /// The engine's clock.
  let clock: MonotonicClock
  var ownedLinks: [Link] = []
  var handlers: [(number: UInt64, handler: @Sendable () -> Void)] = []
  /// Handlers of what has ended, to be called once the lock is dropped.
  var dueHandlers: [@Sendable () -> Void] = []
  var hasDueHandlers = false
  /// The cause of a failure that was found during a pass: the driver reports it.
  var pendingCause: FailureReport?
  /// Another such cause: a peer is in another call, and is asked for that call's name first.
  var pendingMismatch: CallMismatch?

  init(rankCount: Int, clock: MonotonicClock) {
    self.clock = clock
    links = .allocate(capacity: rankCount)
    links.initialize(repeating: nil, count: rankCount)
    slots = .allocate(capacity: Lane.operationSlots)
    for slot in 0..<Lane.operationSlots { (slots + slot).initialize(to: OperationSlot(number: slot)) }
    stallWatches = .allocate(capacity: Lane.operationSlots)
    stallWatches.initialize(repeating: StallWatch(), count: Lane.operationSlots)
    pending = .allocate(capacity: Int(Self.pendingCapacity))
    memo = .allocate(capacity: PlanMemo.count)
    memo.initialize(repeating: PlanMemo(), count: PlanMemo.count)
    // Lowering refuses a combine of more operands.
    sources = .allocate(capacity: rankCount + 1)
    sources.initialize(repeating: nil, count: rankCount + 1)
  }

  func deallocate() {
    for slot in 0..<Lane.operationSlots {
      if slots[slot].isActive { slots[slot].operation.pointee.owner?.release() }
      slots[slot].deallocate()
    }
    var number = lastAdmitted
    while number < lastStarted {
      number += 1
      pending[Int(number % Self.pendingCapacity)].owner?.release()
    }
    links.deallocate()
    slots.deallocate()
    stallWatches.deallocate()
    pending.deallocate()
    sources.deallocate()
    memo.deallocate()
    for path in dataPaths.values { path.deallocate() }
  }
}
