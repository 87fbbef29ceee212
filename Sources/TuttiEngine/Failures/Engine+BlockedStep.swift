import TuttiSchedule
import TuttiTransport

/// What the steps of a running operation wait for: who is to be named when its time is over, and whether a link that failed
/// was needed. Everything here runs under the lock.
extension Engine {
  /// Whether a link that has failed matters: a running operation still has something to send on it, or expects a segment
  /// that has not arrived. A peer that has left in good order has sent all that this rank needs, though it may not have been
  /// consumed yet.
  func isNeeded(_ link: Link) -> Bool {
    if core.pointee.transfersInFlight != 0 && isNeededByTransfers(link) { return true }
    for index in 0..<Lane.operationSlots {
      let slot = core.pointee.slots + index
      guard slot.pointee.isActive else { continue }
      let tables = slot.pointee.operation.pointee.tables
      for step in 0..<tables.pointee.stepCount {
        let entry = tables.pointee.steps + step
        guard anyPeer(of: step, tables, { $0 == link.peer }) else { continue }
        let isUnfinished = slot.pointee.cursors[step].segments < entry.pointee.segmentCount
        if entry.pointee.isSend {
          if isUnfinished || !isReleased(slot, step, to: link) { return true }
        } else if isUnfinished && !link.hasArrival(slot.pointee.lane(entry)) {
          return true
        }
      }
    }
    return false
  }

  /// Whether the peer has released all that a finished send gave it.
  private func isReleased(
    _ slot: UnsafeMutablePointer<OperationSlot>, _ step: Int, to link: Link
  ) -> Bool {
    let tables = slot.pointee.operation.pointee.tables
    let entry = tables.pointee.steps + step
    let lane = slot.pointee.lane(entry)
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

  /// Finds the first step of an operation that waits for a peer, and that peer; -1 for what is not known.
  func blockedStep(_ slot: UnsafeMutablePointer<OperationSlot>) -> (step: Int, peer: Int) {
    lock.assertHeld()
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
      let lane = slot.pointee.lane(tables.pointee.steps + index)
      let origin = Int(tables.pointee.steps[index].origin)
      let isSend = tables.pointee.steps[index].isSend
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
    for step in 0..<tables.pointee.stepCount where tables.pointee.steps[step].isSend {
      var reader = -1
      let hasReader = anyPeer(of: step, tables) { peer in
        guard let link = core.pointee.links[peer]?.takeUnretainedValue(), !isReleased(slot, step, to: link) else {
          return false
        }
        reader = peer
        return true
      }
      if hasReader { return (Int(tables.pointee.steps[step].origin), reader) }
    }
    return (-1, -1)
  }

  /// What is known to be wrong with the way to a peer, as ``Link/troubleOnTheWay()`` has it.
  package func troubleOnTheWay() -> String? {
    lock.lock()
    defer { lock.unlock() }
    for peer in 0..<rankCount {
      if let trouble = core.pointee.links[peer]?.takeUnretainedValue().troubleOnTheWay() { return trouble }
    }
    return nil
  }
}
