import CTuttiLinux
import Glibc
import Synchronization
import TuttiSchedule
import TuttiSystem
import TuttiTransport

/// Driving until an operation ends: spinning, yielding, parking, deadlines. One caller's thread leads; others follow it.
extension Engine {
  /// Drives, or follows the thread that does, until the operation has ended. Called with the lock held, returns and throws without it.
  @inline(__always)
  func driveUntilDone(_ number: UInt64) throws(FailureReport) {
    let isLeading = !core.pointee.hasLeader
    if isLeading {
      core.pointee.hasLeader = true
      if core.pointee.parkedThreads != 0 { doorbell.disarm() }
      // The common case: a peer that is just as fast.
      var passes = 0
      var busyPasses = 0
      while passes < policy.spinPasses {
        // First: once a call has thrown, the memory of operations that are still there may be gone. And a long operation that
        // always finds something to do must see an abort.
        if hasFailed.load(ordering: .acquiring) { break }
        if pass() {
          if core.pointee.hasDueHandlers { runDueHandlers() }
          if isDone(number) {
            stopLeading()
            lock.unlock()
            return
          }
          passes = 0
          busyPasses += 1
          // Long enough for the clock to be looked at.
          if busyPasses == Self.busyPassesMax { break }
        } else {
          passes += 1
          // A pause can take as long as the peer's answer.
          if passes > policy.passesBeforePause { tutti_pause() }
        }
      }
    }
    try driveSlowly(number, isLeading: isLeading)
  }

  /// Passes that moved something after which the clock is looked at all the same.
  private static var busyPassesMax: Int { 16_384 }

  /// Leadership ends; somebody else may take it. Under the lock.
  @inline(__always)
  private func stopLeading() {
    core.pointee.hasLeader = false
    waitingFor.store(-1, ordering: .relaxed)
    if core.pointee.followers != 0 || core.pointee.inFlight != 0 { handOver() }
  }

  @inline(never)
  private func handOver() {
    if core.pointee.followers != 0 { wakeFollowers() }
    wakeParked()
    wakeBackground()
  }

  /// Wakes a thread that sleeps for the doorbell: whoever calls this has lowered its flag or emptied it. Under the lock.
  func wakeParked() {
    if core.pointee.parkedThreads != 0 { doorbell.ring() }
  }

  /// The waiting that takes time. The lock is held on entry and not at the end.
  @inline(never)
  private func driveSlowly(_ number: UInt64, isLeading: Bool) throws(FailureReport) {
    var isLeading = isLeading
    var idle = IdleTime()
    var busyPasses = 0
    while true {
      if core.pointee.hasDueHandlers { runDueHandlers() }
      if hasFailed.load(ordering: .acquiring) {
        leave(isLeading)
        settle()
        throw failure!
      }
      if isDone(number) {
        leave(isLeading)
        return
      }
      if !isLeading {
        if core.pointee.hasLeader {
          follow()
          continue
        }
        core.pointee.hasLeader = true
        isLeading = true
      }
      if pass() {
        idle.reset()
        busyPasses += 1
        // A transfer's time passes also while other operations keep this thread busy.
        if busyPasses % Self.busyPassesMax == 0 && core.pointee.transfersInFlight != 0,
          let cause = findExpiredTransfer(monotonicNanoseconds())
        {
          leave(isLeading)
          throw failed(cause())
        }
        continue
      }
      idle.passes += 1
      if idle.passes % policy.passesBetweenLooks != 0 && !lock.isContended { continue }
      if let cause = findFailure(&idle) {
        leave(isLeading)
        throw failed(cause())
      }
      core.pointee.awaited = number
      rest(&idle, yieldAfter: policy.yieldAfter, parkAfter: policy.parkAfter)
    }
  }

  private func leave(_ isLeading: Bool) {
    if isLeading { stopLeading() }
    lock.unlock()
  }

  /// Sleeps until the leader has ended an operation or left. Drops the lock meanwhile.
  private func follow() {
    core.pointee.followers += 1
    let seen = epoch.value
    lock.unlock()
    epoch.wait(while: seen, nanoseconds: 10_000_000)
    lock.lock()
    core.pointee.followers -= 1
  }

  func wakeFollowers() {
    epoch.wake()
  }

  /// Calls the handlers of what has ended. Drops the lock meanwhile: a handler may make calls of its own.
  @inline(never)
  func runDueHandlers() {
    let due = core.pointee.dueHandlers
    core.pointee.dueHandlers = []
    core.pointee.hasDueHandlers = false
    lock.unlock()
    for handler in due { handler() }
    lock.lock()
  }

  // MARK: Idling

  /// Time without progress, of one driver.
  struct IdleTime {
    var passes = 0
    /// How often ``findFailure(_:)`` was called.
    var looks = 0
    /// When the clock was first read since the last progress; 0 before.
    var since: UInt64 = 0
    var now: UInt64 = 0

    mutating func reset() { self = IdleTime() }
  }

  /// Reasons to give up, looked for while nothing moves. Returns what makes the report, to be called without the lock.
  func findFailure(_ idle: inout IdleTime) -> (() -> FailureReport)? {
    idle.looks += 1
    idle.now = monotonicNanoseconds()
    if idle.since == 0 { idle.since = idle.now }
    if let mismatch = core.pointee.pendingMismatch { return { [unowned self] in explain(mismatch) } }
    if let report = core.pointee.pendingFailure {
      let delegate = delegate
      return { delegate.explain(loss: report) }
    }
    // All links take in what their credit allows, so that no peer is stuck on a full socket because this rank waits for another.
    if idle.looks & 15 == 0 || idle.now - idle.since >= policy.parkAfter {
      let isLate = idle.now - idle.since >= Self.uncalledLinksAfter
      if isLate { takeInLinks() }
      // By index: an array's iterator allocates memory in an unoptimised build.
      for index in 0..<core.pointee.ownedLinks.count {
        let link = core.pointee.ownedLinks[index]
        if link.needsProgress { link.progress() }
        noteUncalledArrivals(link)
        if isLate && link.status.pointee.asked != 0 { answerLate(link) }
        if link.status.pointee.failed, let report = link.failure, isNeeded(link) {
          // What came before the link broke may have come since the last pass.
          if pass() { return nil }
          guard isNeeded(link) else { continue }
          let delegate = delegate
          return { delegate.explain(loss: report) }
        }
      }
    }
    for index in 0..<Lane.operationSlots {
      let slot = core.pointee.slots + index
      if slot.pointee.isActive, isExpired(slot.pointee.operation, idle.now) {
        return timeout(of: slot.pointee.operation, blocked: blockedStep(slot, index))
      }
    }
    // What waits for a slot has its deadline too, and waits for what the slot's operation waits for.
    var number = core.pointee.lastAdmitted
    while number < core.pointee.lastStarted {
      number += 1
      let operation = core.pointee.pending + Int(number % EngineCore.pendingCapacity)
      guard isExpired(operation, idle.now) else { continue }
      let index = Int(number % UInt64(Lane.operationSlots))
      let slot = core.pointee.slots + index
      let peer = slot.pointee.isActive ? blockedStep(slot, index).peer : -1
      return timeout(of: operation, blocked: (-1, peer))
    }
    return core.pointee.transfersInFlight == 0 ? nil : findExpiredTransfer(idle.now)
  }

  /// Whether the time of an operation is over; it begins when the operation is first seen to wait.
  private func isExpired(_ operation: UnsafeMutablePointer<Operation>, _ now: UInt64) -> Bool {
    if operation.pointee.deadline == 0 { operation.pointee.deadline = now &+ operation.pointee.timeout }
    return now >= operation.pointee.deadline
  }

  private func timeout(
    of operation: UnsafeMutablePointer<Operation>, blocked: (step: Int, peer: Int)
  ) -> () -> FailureReport {
    let described = describe(operation.pointee.number)
    let (delegate, timeout, operationNumber) = (delegate, operation.pointee.timeout, operation.pointee.number)
    return {
      delegate.explainTimeout(
        operationNumber: operationNumber, operation: described, waitingFor: blocked.peer, timeoutNanoseconds: timeout,
        step: blocked.step)
    }
  }

  /// Nanoseconds without progress after which links are taken in that no plan of this rank needs: they tell that another rank is in
  /// another call.
  private static let uncalledLinksAfter: UInt64 = 10_000_000

  /// Finds out that the peer is in another call of the same number also where this rank's plan expects nothing from it: another algorithm
  /// sends along other links, and the ranks would wait for each other until the deadline.
  private func noteUncalledArrivals(_ link: Link) {
    for index in 0..<Lane.operationSlots where core.pointee.slots[index].isActive {
      let operation = core.pointee.slots[index].operation
      for channel in 0..<Lane.channels {
        guard let arrival = link.peek(Lane.index(operationSlot: index, channel: channel)),
          arrival.pointee.call.operationNumber == operation.pointee.call.operationNumber,
          arrival.pointee.call != operation.pointee.call
            || arrival.pointee.count != operation.pointee.count && !operation.pointee.tables.pointee.countsByMessage
        else { continue }
        noteMismatch(
          Unmanaged.passUnretained(link), arrival, operation, operation.pointee.count, arrival.pointee.bytes)
      }
    }
  }

  /// A broken link matters when a running operation still has something to send on it, or expects a segment that has not arrived: a peer
  /// that has left in good order has sent all that this rank needs, though it may not have been consumed yet.
  private func isNeeded(_ link: Link) -> Bool {
    if core.pointee.transfersInFlight != 0 && isNeededByTransfers(link) { return true }
    for index in 0..<Lane.operationSlots {
      let slot = core.pointee.slots + index
      guard slot.pointee.isActive else { continue }
      let tables = slot.pointee.operation.pointee.tables
      for step in 0..<tables.pointee.stepCount {
        let entry = tables.pointee.steps + step
        guard anyPeer(of: step, tables, { $0 == link.peer }) else { continue }
        let isUnfinished = slot.pointee.cursors[step].segments < entry.pointee.segmentCount
        if entry.pointee.kind == .send {
          if isUnfinished || !isReleased(slot, index, step, to: link) { return true }
        } else if isUnfinished && !link.hasArrival(Lane.index(operationSlot: index, channel: Int(entry.pointee.channel))) {
          return true
        }
      }
    }
    return false
  }

  /// Whether the peer has released all that a finished send gave it.
  private func isReleased(
    _ slot: UnsafeMutablePointer<OperationSlot>, _ slotIndex: Int, _ step: Int, to link: Link
  ) -> Bool {
    let tables = slot.pointee.operation.pointee.tables
    let entry = tables.pointee.steps + step
    let lane = Lane.index(operationSlot: slotIndex, channel: Int(entry.pointee.channel))
    for peer in entry.pointee.peers.asInts where Int(tables.pointee.peers[Int(peer)]) == link.peer {
      return link.released(lane) >= slot.pointee.firstSequences[Int(peer)] + entry.pointee.segmentCount - 1
    }
    return true
  }

  /// Calls `body` with the ranks a step sends to or receives from, until it returns true. Allocates nothing.
  private func anyPeer(
    of step: Int, _ tables: UnsafeMutablePointer<PlanTables>, _ body: (Int) -> Bool
  ) -> Bool {
    let entry = tables.pointee.steps + step
    for index in entry.pointee.peers.asInts where body(Int(tables.pointee.peers[index])) { return true }
    for index in entry.pointee.sources.asInts {
      let source = tables.pointee.sources + index
      if source.pointee.isSlot && body(Int(source.pointee.peer)) { return true }
    }
    return false
  }

  /// The first step of an operation that waits for a peer, and that peer.
  private func blockedStep(_ slot: UnsafeMutablePointer<OperationSlot>, _ slotIndex: Int) -> (step: Int, peer: Int) {
    let tables = slot.pointee.operation.pointee.tables
    var firstSend: (step: Int, peer: Int)?
    if !tables.pointee.linksReady {
      let plan = slot.pointee.operation.pointee.plan.takeUnretainedValue()
      return (-1, plan.peers.first { core.pointee.links[$0] == nil } ?? -1)
    }
    for queue in 0..<tables.pointee.queueCount {
      let head = slot.pointee.heads[queue]
      if head == tables.pointee.queues[queue].upperBound { continue }
      let index = Int(tables.pointee.queueSteps[Int(head)])
      let lane = Lane.index(operationSlot: slotIndex, channel: Int(tables.pointee.steps[index].channel))
      let origin = Int(tables.pointee.steps[index].origin)
      let isSend = tables.pointee.steps[index].kind == .send
      var awaited = -1
      let isReceiving = anyPeer(of: index, tables) { peer in
        guard let link = core.pointee.links[peer]?.takeUnretainedValue() else { return false }
        if isSend && firstSend == nil && !link.canSend(lane) { firstSend = (origin, peer) }
        if isSend || link.peek(lane) != nil { return false }
        awaited = peer
        return true
      }
      if isReceiving { return (origin, awaited) }
    }
    if let firstSend { return firstSend }
    // All steps are done, and a peer has not yet read what was sent to it.
    for step in 0..<tables.pointee.stepCount where tables.pointee.steps[step].kind == .send {
      var reader = -1
      let hasReader = anyPeer(of: step, tables) { peer in
        guard let link = core.pointee.links[peer]?.takeUnretainedValue(), !isReleased(slot, slotIndex, step, to: link) else {
          return false
        }
        reader = peer
        return true
      }
      if hasReader { return (Int(tables.pointee.steps[step].origin), reader) }
    }
    return (-1, -1)
  }

  /// Spins, yields or parks, by how long nothing has moved. May drop the lock meanwhile.
  func rest(_ idle: inout IdleTime, yieldAfter: UInt64, parkAfter: UInt64) {
    if lock.isContended {
      lock.yield()
      return
    }
    let elapsed = idle.now - idle.since
    if elapsed < yieldAfter {
      for _ in 0..<16 { tutti_pause() }
      return
    }
    if idle.looks & 63 == 0 { publishWaitingFor() }
    if elapsed < parkAfter {
      tutti_yield()
      return
    }
    park(idle)
  }

  /// Lets a diagnosis see which rank this one waits for.
  private func publishWaitingFor() {
    if publishAwaitedTransfer(core.pointee.awaited) { return }
    for index in 0..<Lane.operationSlots where core.pointee.slots[index].isActive {
      awaitedMessage.store(0, ordering: .relaxed)
      waitingFor.store(blockedStep(core.pointee.slots + index, index).peer, ordering: .relaxed)
      return
    }
    publishAnyTransfer()
  }

  /// Sleeps in the kernel until a peer rings, a socket is ready, or a bound is reached. Drops the lock meanwhile.
  private func park(_ idle: IdleTime) {
    publishWaitingFor()
    let isSeen = doorbell.arm()
    if pass() || hasFailed.load(ordering: .acquiring) {
      doorbell.disarm()
      return
    }
    // Without certainty that senders see the flag, and with links that need a look now and then, sleep in short naps.
    var bound: UInt64 = isSeen ? 100_000_000 : 1_000_000
    for index in 0..<Lane.operationSlots where core.pointee.slots[index].isActive {
      if !core.pointee.slots[index].operation.pointee.tables.pointee.linksReady { bound = min(bound, 1_000_000) }
      let deadline = core.pointee.slots[index].operation.pointee.deadline
      if deadline != 0 { bound = min(bound, deadline > idle.now ? deadline - idle.now : 0) }
    }
    if core.pointee.transfersInFlight != 0 { bound = min(bound, transferParkBound(idle.now)) }
    withUnsafeTemporaryAllocation(of: pollfd.self, capacity: core.pointee.ownedLinks.count + 1) { descriptors in
      descriptors[0] = pollfd(fd: doorbell.descriptor, events: Int16(POLLIN), revents: 0)
      var count = 1
      for index in 0..<core.pointee.ownedLinks.count {
        let link = core.pointee.ownedLinks[index]
        bound = min(bound, link.maximumPark)
        if link.descriptor < 0 || link.failure != nil { continue }
        if !link.prepareToPark() { bound = 0 }
        if link.status.pointee.asked != 0 { bound = min(bound, Self.uncalledLinksAfter) }
        let events = link.wantsWrite ? Int16(POLLIN | POLLOUT) : Int16(POLLIN)
        descriptors[count] = pollfd(fd: link.descriptor, events: events, revents: 0)
        count += 1
      }
      core.pointee.parkedThreads += 1
      lock.unlock()
      _ = tutti_poll(descriptors.baseAddress, count, bound)
      lock.lock()
      core.pointee.parkedThreads -= 1
    }
    doorbell.disarm()
    // The ring may have been for another that sleeps there too, and is forgotten now.
    wakeParked()
  }
}
