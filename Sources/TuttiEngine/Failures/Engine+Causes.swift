import CTuttiLinux
import TuttiSchedule
import TuttiSystem
import TuttiTransport

/// Causes to give up waiting: deadlines, broken links, other ranks in other calls. Everything here runs under the lock
/// but what the returned closures do.
extension Engine {
  /// The gap between two readings of the clock, in nanoseconds, that shows that the process was stopped. While anything is
  /// in flight, only a nap of at most 100 ms or some passes lie between two readings.
  private static let stoppedFrom: UInt64 = 500_000_000

  /// Returns the engine's time, which deadlines are in: the clock's, without what passed while this process was seen to be
  /// stopped. Under the lock.
  func ownTime() -> UInt64 {
    noteTime()
    return core.pointee.lastLook &- core.pointee.stoppedTime
  }

  /// Looks for a cause to give up: while nothing moves, and now and then while something does. Returns what makes the
  /// report, to be called without the lock.
  func findCause(_ idle: inout IdleTime) -> (() -> FailureReport)? {
    lock.assertHeld()
    idle.looks += 1
    idle.now = ownTime()
    if idle.since == 0 { idle.since = idle.now }
    if let mismatch = core.pointee.pendingMismatch { return { [unowned self] in cause(of: mismatch) } }
    if let found = core.pointee.pendingCause { return { [unowned self] in cause(of: found) } }
    // All links take in what their credit allows, so that no peer is stuck on a full socket because this rank waits
    // for another.
    if idle.looks & 15 == 0 || idle.elapsed >= policy.parkAfter {
      switch lookAtLinks(isLate: idle.elapsed >= Self.uncalledLinksAfter) {
      case .whole: break
      case .moved: return nil
      case .failed(let loss): return { [unowned self] in cause(of: loss) }
      }
    }
    return findStall(idle.now) ?? findExpiredOperation(idle.now)
      ?? (core.pointee.transfersInFlight == 0 ? nil : findExpiredTransfer(idle.now))
  }

  /// Finds what to report of a link that failed or could not be opened. Without the lock.
  func cause(of loss: FailureReport) -> FailureReport {
    lock.assertNotHeld()
    return delegate.cause(of: loss)
  }

  /// Reads the clock. Where too long has passed since it was last read, leaves that time out of the engine's: the process
  /// was stopped. Under the lock.
  ///
  /// Time is left out only while a limit runs. Limits begin when the clock is read, so a call with one has been in flight,
  /// and driven, since the last reading at least. Without one, nothing may have been in flight, and nobody had to look.
  func noteTime() {
    let last = core.pointee.lastLook
    markTime()
    let gap = core.pointee.lastLook - last
    if last != 0 && gap >= Self.stoppedFrom && hasRunningLimit { core.pointee.stoppedTime += gap }
  }

  /// Whether the limit of anything in flight has begun.
  private var hasRunningLimit: Bool {
    for index in 0..<Lane.operationSlots where core.pointee.slots[index].isActive {
      if core.pointee.slots[index].operation.pointee.limit.deadline != 0 { return true }
    }
    var number = core.pointee.lastAdmitted
    while number < core.pointee.lastStarted {
      number += 1
      if core.pointee.pending[Int(number % EngineCore.pendingCapacity)].limit.deadline != 0 { return true }
    }
    return hasRunningTransferLimit
  }

  /// Reads the clock where the time since it was last read says nothing about this process. Under the lock.
  func markTime() {
    lock.assertHeld()
    core.pointee.lastLook = clock.now()
  }

  private enum LinkState {
    case whole
    /// One has failed, and what it had brought before has moved something, so nothing is decided yet.
    case moved
    case failed(FailureReport)
  }

  /// Looks at every link: whether it has failed, and whether something came that no step waits for.
  ///
  /// - Parameter isLate: Whether nothing has moved for so long that other ranks may be in another call.
  private func lookAtLinks(isLate: Bool) -> LinkState {
    if isLate { takeInLinks() }
    // By index: an array's iterator allocates memory in an unoptimised build.
    for index in 0..<core.pointee.ownedLinks.count {
      let link = core.pointee.ownedLinks[index]
      if link.needsProgress { link.progress() }
      noteUncalledArrivals(link)
      if isLate && link.status.pointee.asked != 0 { answerLate(link) }
      if link.status.pointee.failed, let report = link.failure, isNeeded(link) {
        // What came before the link broke may have come since the last pass.
        if pass() { return .moved }
        guard isNeeded(link) else { continue }
        return .failed(report)
      }
    }
    if isLate, let loss = findAbsence() { return .failed(loss) }
    return .whole
  }

  /// Finds a rank that has gone without opening the link that an operation or a transfer needs.
  func findAbsence() -> FailureReport? {
    for index in 0..<Lane.operationSlots where core.pointee.slots[index].isActive {
      let operation = core.pointee.slots[index].operation
      if operation.pointee.tables.pointee.linksReady { continue }
      for peer in operation.pointee.plan.takeUnretainedValue().peers where core.pointee.links[peer] == nil {
        if let loss = links.absence(of: peer) { return loss }
      }
    }
    return core.pointee.transfersInFlight == 0 ? nil : findAbsenceForTransfers()
  }

  /// Finds an operation whose time is over, and asks the other ranks about those whose time nearly is.
  private func findExpiredOperation(_ now: UInt64) -> (() -> FailureReport)? {
    for index in 0..<Lane.operationSlots {
      let slot = core.pointee.slots + index
      guard slot.pointee.isActive else { continue }
      if let cause = expiry(of: slot.pointee.operation, now, blocked: { blockedStep(slot) }) { return cause }
    }
    // What waits for a slot has its deadline too, and waits for what the slot's operation waits for.
    var number = core.pointee.lastAdmitted
    while number < core.pointee.lastStarted {
      number += 1
      let index = Int(number % UInt64(Lane.operationSlots))
      let slot = core.pointee.slots + index
      let operation = core.pointee.pending + Int(number % EngineCore.pendingCapacity)
      let cause = expiry(of: operation, now) {
        (-1, slot.pointee.isActive ? blockedStep(slot).peer : -1)
      }
      if let cause { return cause }
    }
    return nil
  }

  /// Says what to report of an operation whose time is over; nil when it is not. Asks the other ranks about one whose time
  /// nearly is. The time begins when the operation is first seen to wait, if it has not before.
  private func expiry(
    of operation: UnsafeMutablePointer<Operation>, _ now: UInt64, blocked: () -> (step: Int, peer: Int)
  ) -> (() -> FailureReport)? {
    operation.pointee.limit.begin(at: now)
    if now < operation.pointee.limit.askTime { return nil }
    let isOver = now >= operation.pointee.limit.deadline
    if !isOver && operation.pointee.limit.isAsked { return nil }
    let (step, peer) = blocked()
    let call = AwaitedCall(
      number: operation.pointee.number, peer: peer, step: step, nanoseconds: operation.pointee.limit.nanoseconds,
      description: describe(operation.pointee.number))
    if isOver { return timeout(of: call) }
    operation.pointee.limit.isAsked = true
    inquire(call, until: operation.pointee.limit.deadline)
    return nil
  }

  /// Nanoseconds without progress after which links are taken in that no plan of this rank needs: they tell that
  /// another rank is in another call.
  static let uncalledLinksAfter: UInt64 = 10_000_000

  /// Notes a peer that is in another call of the same number, even where this rank's plan expects nothing from it: another
  /// algorithm sends along other links, and the ranks would wait for each other until the deadline.
  private func noteUncalledArrivals(_ link: Link) {
    for index in 0..<Lane.operationSlots where core.pointee.slots[index].isActive {
      let operation = core.pointee.slots[index].operation
      for channel in 0..<Lane.channels {
        guard let arrival = link.peek(Lane.index(operationSlot: index, channel: channel)),
          arrival.pointee.call.operationNumber == operation.pointee.call.operationNumber,
          arrival.pointee.call != operation.pointee.call
            || arrival.pointee.count != operation.pointee.count && !operation.pointee.tables.pointee.countsByMessage
        else { continue }
        core.pointee.noteMismatch(
          Unmanaged.passUnretained(link), arrival, operation, operation.pointee.count, arrival.pointee.bytes)
      }
    }
  }

  /// Tells a peer that asks where to write to send as usual, because this rank has not come to that receive for a while,
  /// or has no such receive: it is in another call, or waits for one that the peer sends later.
  @inline(never)
  private func answerLate(_ link: Link) {
    for index in 0..<Lane.operationSlots where core.pointee.slots[index].isActive {
      for channel in 0..<Lane.channels {
        let lane = Lane.index(operationSlot: index, channel: channel)
        if link.isAsked(lane) { link.asInPlaceLink.declineGrants(lane, UInt64(Lane.credit)) }
      }
    }
  }
}
