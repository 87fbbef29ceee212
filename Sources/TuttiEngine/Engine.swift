import CTuttiKernels
import CTuttiLinux
import Synchronization
import TuttiSchedule
import TuttiSystem
import TuttiTopology
import TuttiTransport

/// Runs the plans of one communicator over its links: one rank's part of every collective.
///
/// Whoever waits drives: a blocking call and ``wait(for:)`` make progress on the caller's thread, under the engine's
/// lock; a progress thread, started by the first asynchronous call, drives while nobody waits. Operation k runs in
/// slot `k mod Lane.operationSlots`, on lanes of its own, once operation `k - Lane.operationSlots` has ended.
///
/// The state the loop touches is trivial structs behind `let` pointers: no reference counting, exclusivity checks or
/// allocation per step. After the first failure nothing moves any more, and every pending and later call throws that
/// failure.
///
/// Time, threads, links, plans and the other ranks come from outside, so that tests can run it under a virtual clock.
package final class Engine: @unchecked Sendable {
  // @unchecked: `core` and what it points to belong to the holder of `lock`; everything else is immutable or atomic.

  package let rank: Int
  package let rankCount: Int
  package let doorbell: Doorbell
  let lock = EngineLock()
  let core: UnsafeMutablePointer<EngineCore>
  /// Owns this engine.
  unowned let delegate: any EngineDelegate
  let links: any LinkSource
  let planner: any PlanMaker
  let policy: WaitingPolicy
  /// The clock, which is read where nothing moves, and every so often where something does.
  package let clock: MonotonicClock
  /// Starts the progress thread, and those that ask other ranks.
  let threads: ThreadStarter
  /// How long an operation may stay where it is before the ranks that it waits for are asked what they have called.
  let stallNanoseconds: UInt64
  /// The memory of this rank that its peers can reach; nil where there is none.
  package let registeredMemory: RegisteredMemory?
  /// What the progress thread confines itself to; nil for what it inherits.
  let processors: ProcessorSet?

  /// The sends and receives in flight, which are not numbered with the collectives. Belongs to the holder of `lock`.
  let transfers: UnsafeMutablePointer<PointToPoint>
  /// The records of sends and receives. It also says, without the lock, whether one has ended.
  let tickets: TicketTable
  /// For each operation slot, the number of the last operation that ended in it.
  let completedNumbers: UnsafeMutablePointer<Atomic<UInt64>>
  /// The number of the last operation started. A diagnosis reads this, and what follows, without the lock.
  let entered = Atomic<UInt64>(0)
  let recentCalls = RecentCalls()
  /// The rank the driver last saw itself waiting for; -1 when none.
  let waitingFor = Atomic<Int>(-1)
  /// The send or receive in which the driver waits for that rank: twice the message's number, plus one for a send; 0 for a
  /// collective.
  let awaitedMessage = Atomic<UInt64>(0)
  /// The type and the number of that message's elements.
  let awaitedType = Atomic<UInt64>(0)
  let awaitedCount = Atomic<UInt64>(0)
  /// Raised once ``firstCause`` is set.
  let hasFailed = Atomic<Bool>(false)
  /// Why it was aborted first. Read through ``failure``.
  let firstCause = Lock<FailureReport?>(nil)
  /// Changes when an operation ends or a driver leaves, for threads that wait while another drives.
  let epoch = WakeWord()
  /// What the progress thread sleeps on.
  let background = BackgroundState()

  /// - Parameters:
  ///   - doorbell: Rings when a peer has published something and this rank is parked.
  ///   - isOversubscribed: Whether the host's ranks outnumber the processors they may use.
  ///   - processors: What the progress thread confines itself to; nil for what it inherits.
  ///   - waiting: What the transports of its links say about waiting for them.
  ///   - clock: The clock of its deadlines and waits.
  ///   - threads: Starts its threads.
  ///   - stallNanoseconds: How long an operation may stay where it is before other ranks are asked about it.
  ///   - links: Where its links come from.
  ///   - planner: Makes the plans of this rank's calls.
  package init(
    rank: Int, rankCount: Int, doorbell: Doorbell, isOversubscribed: Bool, processors: ProcessorSet?,
    registeredMemory: RegisteredMemory? = nil, waiting: WaitingHints = WaitingHints(),
    clock: MonotonicClock = .system, threads: ThreadStarter = .system,
    stallNanoseconds: UInt64 = Engine.usualStallNanoseconds, links: any LinkSource, planner: any PlanMaker,
    delegate: any EngineDelegate
  ) {
    self.rank = rank
    self.rankCount = rankCount
    self.doorbell = doorbell
    self.clock = clock
    self.threads = threads
    self.stallNanoseconds = stallNanoseconds
    self.planner = planner
    self.delegate = delegate
    self.links = links
    self.registeredMemory = registeredMemory
    policy = WaitingPolicy(isOversubscribed: isOversubscribed, waiting)
    self.processors = processors
    core = .allocate(capacity: 1)
    core.initialize(to: EngineCore(rankCount: rankCount, clock: clock))
    transfers = .allocate(capacity: 1)
    tickets = TicketTable()
    transfers.initialize(to: PointToPoint(rankCount: rankCount, tickets))
    completedNumbers = .allocate(capacity: Lane.operationSlots)
    for slot in 0..<Lane.operationSlots { (completedNumbers + slot).initialize(to: Atomic(0)) }
  }

  deinit {
    core.pointee.deallocate()
    core.deinitialize(count: 1)
    core.deallocate()
    transfers.pointee.deallocate()
    transfers.deallocate()
    completedNumbers.deinitialize(count: Lane.operationSlots)
    completedNumbers.deallocate()
    recentCalls.deallocate()
  }

  // MARK: Calls

  /// Runs one operation to its end on the caller's thread.
  ///
  /// - Throws: The first failure of the communicator, if it has failed or fails meanwhile; buffers are then unspecified.
  package func run(_ request: borrowing Request) throws(FailureReport) {
    lock.lock()
    let number: UInt64
    do throws(FailureReport) { number = try start(request, owner: nil) } catch {
      lock.unlock()
      throw error
    }
    passForLeader()
    try driveUntilDone(number)
  }

  /// Starts one operation; it makes progress in the background and in ``wait(for:)``.
  ///
  /// Returns at once, except where this rank has to dial a link first, or while ``EngineCore/pendingCapacity`` operations
  /// wait for their slot.
  ///
  /// - Parameter owner: Keeps the memory alive; released when the operation ends.
  /// - Returns: Its number, and that of its algorithm in the catalog.
  package func begin(
    _ request: borrowing Request, owner: AnyObject?
  ) throws(FailureReport) -> (number: UInt64, algorithm: UInt8) {
    lock.lock()
    defer { lock.unlock() }
    try startBackground()
    let number = try start(request, owner: owner)
    // Under the lock the record of the call just started is there.
    let algorithm = call(numbered: number)!.algorithm
    _ = pass()
    noteBegin()
    if core.pointee.hasDueHandlers { _ = runDueHandlers(isLeading: false) }
    return (number, algorithm)
  }

  /// Waits for the operation with this number, or the transfer with this ticket, driving meanwhile.
  package func wait(for number: UInt64) throws(FailureReport) {
    if isDone(number) { return }
    lock.lock()
    try driveUntilDone(number)
  }

  /// Waits as ``wait(for:)`` does, but no longer than so many nanoseconds. Returns whether the operation or transfer has
  /// ended.
  package func wait(for number: UInt64, atMost nanoseconds: UInt64) throws(FailureReport) -> Bool {
    if isDone(number) { return true }
    lock.lock()
    try driveSlowly(number, isLeading: false, until: clock.now() &+ nanoseconds)
    return isDone(number)
  }

  /// Whether the operation with this number, or the transfer with this ticket, has ended well.
  @inline(__always)
  package func isDone(_ number: UInt64) -> Bool {
    if number & TicketTable.ticketBit != 0 { return tickets.isDone(number) }
    return completedNumbers[Int(number % UInt64(Lane.operationSlots))].load(ordering: .acquiring) >= number
  }

  // MARK: The end

  /// Stops the progress thread and closes the links. No call follows. Idempotent.
  package func close() {
    background.stop()
    lock.lock()
    // What a link has queued of an operation that was cut short lies in memory that its caller has got back.
    let isCutShort = core.pointee.inFlight > transfers.pointee.standingReceives
    if isCutShort { revokeLinks() }
    for link in core.pointee.ownedLinks {
      link.abortReading()
      if isCutShort, let failure { link.fail(failure) }
    }
    Link.close(core.pointee.ownedLinks)
    lock.unlock()
    runHandlersAfterFailure()
  }

  // MARK: State for a diagnosis

  /// Says what this rank is doing, without taking the lock: the last operation entered, the one up to which all have ended,
  /// the rank that is waited for, and the send or receive in which it is.
  package var snapshot:
    (
      entered: UInt64, completed: UInt64, call: CallRecord?, waitingFor: Int, transfer: TransferIdentity?
    )
  {
    // The first operation that has not ended; those of a slot end in order.
    var pending = UInt64.max
    for slot in 0..<Lane.operationSlots {
      let last = completedNumbers[slot].load(ordering: .acquiring)
      let first = UInt64(slot == 0 ? Lane.operationSlots : slot)
      pending = min(pending, last == 0 ? first : last + UInt64(Lane.operationSlots))
    }
    let completed = pending - 1
    let last = entered.load(ordering: .acquiring)
    return (last, completed, call(numbered: last), waitingFor.load(ordering: .relaxed), awaitedTransfer)
  }

  /// Returns what one of this rank's last calls was, without taking the lock; nil for one that has not been made, or was
  /// made too long ago.
  package func call(numbered number: UInt64) -> CallRecord? { recentCalls.record(of: number, entered: entered) }

  /// The algorithm of the last call, whichever thread made it; empty when there was none.
  package var lastAlgorithm: String {
    lock.lock()
    defer { lock.unlock() }
    return core.pointee.lastPlan?.takeUnretainedValue().algorithm ?? ""
  }

  /// How the large segments of calls like the last one travel over shared memory now; nil where there is no choice.
  package var lastSegmentWay: SegmentWay? {
    lock.lock()
    defer { lock.unlock() }
    guard let plan = core.pointee.lastPlan?.takeUnretainedValue(), let path = plan.tables.pointee.dataPath,
      path.pointee.lastOperation > 0, path.pointee.candidates.count > 1
    else { return nil }
    return path.pointee.kept
  }

  /// The transports of the links that exist.
  package var transports: Set<TransportKind> {
    lock.lock()
    defer { lock.unlock() }
    return Set(core.pointee.ownedLinks.map(\.transport))
  }
}
