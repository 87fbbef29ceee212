import CTuttiKernels
import CTuttiLinux
import Synchronization
import TuttiSchedule
import TuttiSystem
import TuttiTopology
import TuttiTransport

/// Runs the plans of one communicator over its links: one rank's half of every collective.
///
/// Whoever waits drives: a blocking call and ``wait(for:)`` make progress on the caller's thread, under the engine's lock; a progress thread,
/// started by the first asynchronous call, drives while nobody waits. Operation k runs in slot `k mod Lane.operationSlots`, on lanes of its
/// own, once operation `k - Lane.operationSlots` has ended.
///
/// The state the loop touches is trivial structs behind `let` pointers: no reference counting, exclusivity checks or allocation per step.
/// After the first failure nothing moves any more, and every pending and later call throws that failure.
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
  /// What time it is; looked at where nothing moves, and every so often where something does.
  package let clock: MonotonicClock
  /// What of this rank's memory its peers can reach; nil where none can.
  package let registeredMemory: RegisteredMemory?
  /// What the progress thread confines itself to; nil for what it inherits.
  let processors: ProcessorSet?

  /// Sends and receives, which are not numbered with the collectives; and whether they have ended, which is asked without the lock.
  let transfers: UnsafeMutablePointer<PointToPoint>
  let tickets: TicketTable
  /// For each operation slot, the number of the last operation that ended in it.
  let completedNumbers: UnsafeMutablePointer<Atomic<UInt64>>
  /// The last operation started; what a diagnosis reads without the lock.
  let entered = Atomic<UInt64>(0)
  let recentCalls = RecentCalls()
  /// The rank the driver last saw itself waiting for; -1 when none.
  let waitingFor = Atomic<Int>(-1)
  /// The send or receive it does so in: twice the message's number, plus one for a send; 0 for a collective.
  let awaitedMessage = Atomic<UInt64>(0)
  let awaitedType = Atomic<UInt64>(0)
  let awaitedCount = Atomic<UInt64>(0)
  /// Raised once ``firstFailure`` is set.
  let hasFailed = Atomic<Bool>(false)
  private let firstFailure = Lock<FailureReport?>(nil)
  /// Changes when an operation ends or a driver leaves, for threads that wait while another drives.
  let epoch = WakeWord()
  /// What the progress thread sleeps on.
  let background = BackgroundState()

  /// - Parameters:
  ///   - doorbell: Rings when a peer has published something and this rank is parked.
  ///   - isOversubscribed: Whether the host's ranks outnumber the processors they may use.
  ///   - processors: What the progress thread confines itself to; nil for what it inherits.
  ///   - waiting: What the transports of its links say about waiting for them.
  ///   - clock: What its deadlines are measured by.
  ///   - links: Where its links come from.
  ///   - planner: Makes the plans of this rank's calls.
  package init(
    rank: Int, rankCount: Int, doorbell: Doorbell, isOversubscribed: Bool, processors: ProcessorSet?,
    registeredMemory: RegisteredMemory? = nil, waiting: WaitingHints = WaitingHints(),
    clock: MonotonicClock = .system, links: any LinkSource, planner: any PlanMaker, delegate: any EngineDelegate
  ) {
    self.rank = rank
    self.rankCount = rankCount
    self.doorbell = doorbell
    self.clock = clock
    self.planner = planner
    self.delegate = delegate
    self.links = links
    self.registeredMemory = registeredMemory
    policy = WaitingPolicy(isOversubscribed: isOversubscribed, waiting)
    self.processors = processors
    core = .allocate(capacity: 1)
    core.initialize(to: EngineCore(rankCount: rankCount))
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
  /// Returns at once, but for the first operation that needs a link which this rank has to dial, and while
  /// ``EngineCore/pendingCapacity`` operations wait for their slot.
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
    wakeParked()
    wakeBackground()
    if core.pointee.hasDueHandlers { _ = runDueHandlers(isLeading: false) }
    return (number, algorithm)
  }

  /// Waits for the operation with this number, or the transfer with this ticket, driving meanwhile.
  package func wait(for number: UInt64) throws(FailureReport) {
    if isDone(number) { return }
    lock.lock()
    try driveUntilDone(number)
  }

  /// Whether the operation with this number, or the transfer with this ticket, has ended well.
  @inline(__always)
  package func isDone(_ number: UInt64) -> Bool {
    if number & TicketTable.ticketBit != 0 { return tickets.isDone(number) }
    return completedNumbers[Int(number % UInt64(Lane.operationSlots))].load(ordering: .acquiring) >= number
  }

  /// Calls `handler` once, when the operation or transfer has ended, well or not; from the thread that notices, without the lock.
  package func notify(_ number: UInt64, _ handler: @escaping @Sendable () -> Void) {
    lock.lock()
    let isOver = isDone(number) || hasFailed.load(ordering: .acquiring)
    if !isOver { core.pointee.handlers.append((number, handler)) }
    lock.unlock()
    if isOver {
      if hasFailed.load(ordering: .acquiring) { settle() }
      handler()
    }
  }

  // MARK: Failure

  /// Why the communicator has failed, if it has.
  package var failure: FailureReport? {
    hasFailed.load(ordering: .acquiring) ? firstFailure.withLock { $0 } : nil
  }

  /// Makes every pending and later call throw `cause`, unless it has failed before. Local, bounded, from any thread.
  ///
  /// - Returns: Whether this was the first failure.
  @discardableResult
  package func abort(_ cause: FailureReport) -> Bool {
    let isFirst = firstFailure.withLock { first in
      if first != nil { return false }
      first = cause
      return true
    }
    hasFailed.store(true, ordering: .releasing)
    doorbell.ring()
    wakeFollowers()
    background.wake()
    return isFirst
  }

  /// Returns once no thread is inside the loop: after ``abort(_:)``, nothing reads or writes callers' memory any more.
  package func quiesce() {
    lock.lock()
    if hasFailed.load(ordering: .acquiring) {
      for link in core.pointee.ownedLinks { link.abandonArrivals() }
    }
    lock.unlock()
  }

  /// Aborts with `cause`, tells the other ranks, and returns the failure to throw: the first, which may be another. Without the lock.
  func failed(_ cause: FailureReport) -> FailureReport {
    // The control plane first: it may know an earlier cause, and all ranks throw the same one.
    abort(delegate.report(cause))
    settle()
    runHandlersAfterFailure()
    return failure ?? cause
  }

  /// After a failure: returns once no other rank reads or writes callers' memory any more. Without the lock.
  func settle() {
    lock.lock()
    revokeLinks()
    lock.unlock()
    delegate.settle()
  }

  /// Takes callers' memory back from the peers. Under the lock.
  private func revokeLinks() {
    let lost = failure.flatMap { $0.code == .peerLost ? $0.peer : nil }
    Link.revoke(core.pointee.ownedLinks, lost: lost ?? -1)
  }

  func runHandlersAfterFailure() {
    lock.lock()
    let handlers = core.pointee.dueHandlers + core.pointee.handlers.map(\.handler)
    core.pointee.handlers = []
    core.pointee.dueHandlers = []
    core.pointee.hasDueHandlers = false
    lock.unlock()
    for handler in handlers { handler() }
  }

  /// Returns when what was sent will arrive though the process ends, or after a bounded wait.
  package func drain() {
    // Whoever holds the lock for longer is in the middle of a call, which the exit cuts short.
    let end = clock.now() + 100_000_000
    while !lock.tryLock() {
      if clock.now() >= end { return }
      tutti_yield()
    }
    Link.drain(core.pointee.ownedLinks)
    lock.unlock()
  }

  /// Stops the progress thread and closes the links. No call follows. Idempotent.
  package func close() {
    background.stop()
    lock.lock()
    // What a link has queued of an operation that was cut short lies in memory that its caller has got back.
    let isCutShort = core.pointee.inFlight != 0
    if isCutShort { revokeLinks() }
    for link in core.pointee.ownedLinks {
      link.abandonArrivals()
      if isCutShort, let failure { link.fail(failure) }
    }
    Link.close(core.pointee.ownedLinks)
    lock.unlock()
    runHandlersAfterFailure()
  }

  // MARK: State for a diagnosis

  /// What this rank is doing, read without the lock: the last operation entered, the one up to which all have ended, the rank waited for,
  /// and the send or receive it is waited for in.
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

  /// What one of this rank's last calls was, read without the lock; nil where it has not been made, or too long ago.
  package func call(numbered number: UInt64) -> CallRecord? { recentCalls.record(of: number, entered: entered) }

  /// The algorithm of the last call, whichever thread made it; empty when there was none.
  package var lastAlgorithm: String {
    lock.lock()
    defer { lock.unlock() }
    return core.pointee.lastPlan?.takeUnretainedValue().algorithm ?? ""
  }

  /// The transports of the links that exist.
  package var transports: Set<TransportKind> {
    lock.lock()
    defer { lock.unlock() }
    return Set(core.pointee.ownedLinks.map(\.transport))
  }
}
