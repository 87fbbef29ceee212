import CTuttiLinux
import TuttiSchedule
import TuttiSystem
import TuttiTransport

/// Reasons to give up waiting: deadlines, broken links, other ranks in other calls. Everything here runs under the
/// lock but what the returned closures do.
extension Engine {
  /// Between two looks of a driver lie at most a nap of 100 ms, or some passes: where more than this does, the
  /// process did not run.
  private static let stoppedFrom: UInt64 = 500_000_000

  /// The time without that in which this process was seen to be stopped: what deadlines are in. Under the lock.
  func ownTime() -> UInt64 { clock.now() &- core.pointee.stoppedTime }

  /// Reasons to give up, looked for while nothing moves, and now and then while something does. Returns what makes
  /// the report, to be called without the lock.
  func findFailure(_ idle: inout IdleTime) -> (() -> FailureReport)? {
    idle.looks += 1
    let time = clock.now()
    // Where another thread has made calls meanwhile, it was only this driver that did not look.
    if idle.lastLook != 0 && idle.lastStarted == core.pointee.lastStarted {
      let gap = time - max(idle.lastLook, core.pointee.lastLook)
      if gap >= Self.stoppedFrom { core.pointee.stoppedTime += gap }
    }
    core.pointee.lastLook = time
    idle.lastLook = time
    idle.lastStarted = core.pointee.lastStarted
    idle.now = time - core.pointee.stoppedTime
    if idle.since == 0 { idle.since = idle.now }
    if let mismatch = core.pointee.pendingMismatch { return { [unowned self] in explain(mismatch) } }
    if let report = core.pointee.pendingFailure {
      let delegate = delegate
      return { delegate.cause(of: report) }
    }
    // All links take in what their credit allows, so that no peer is stuck on a full socket because this rank waits
    // for another.
    if idle.looks & 15 == 0 || idle.elapsed >= policy.parkAfter {
      let isLate = idle.elapsed >= Self.uncalledLinksAfter
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
          return { delegate.cause(of: report) }
        }
      }
    }
    return findExpiredOperation(idle.now)
      ?? (core.pointee.transfersInFlight == 0 ? nil : findExpiredTransfer(idle.now))
  }

  /// Finds an operation whose time is over, and asks the other ranks about those whose time nearly is.
  private func findExpiredOperation(_ now: UInt64) -> (() -> FailureReport)? {
    for index in 0..<Lane.operationSlots {
      let slot = core.pointee.slots + index
      guard slot.pointee.isActive else { continue }
      if let cause = expiry(of: slot.pointee.operation, now, blocked: { blockedStep(slot, index) }) { return cause }
    }
    // What waits for a slot has its deadline too, and waits for what the slot's operation waits for.
    var number = core.pointee.lastAdmitted
    while number < core.pointee.lastStarted {
      number += 1
      let index = Int(number % UInt64(Lane.operationSlots))
      let slot = core.pointee.slots + index
      let operation = core.pointee.pending + Int(number % EngineCore.pendingCapacity)
      let cause = expiry(of: operation, now) {
        (-1, slot.pointee.isActive ? blockedStep(slot, index).peer : -1)
      }
      if let cause { return cause }
    }
    return nil
  }

  /// What to report of an operation whose time is over; nil when it is not. Its time begins when it is first seen to
  /// wait, if it has not before.
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

  /// Finds out that the peer is in another call of the same number also where this rank's plan expects nothing from
  /// it: another algorithm sends along other links, and the ranks would wait for each other until the deadline.
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

  /// A broken link matters when a running operation still has something to send on it, or expects a segment that has
  /// not arrived: a peer that has left in good order has sent all that this rank needs, though it may not have been
  /// consumed yet.
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
  func blockedStep(_ slot: UnsafeMutablePointer<OperationSlot>, _ slotIndex: Int) -> (step: Int, peer: Int) {
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
}
