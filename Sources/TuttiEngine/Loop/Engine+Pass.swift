import TuttiSchedule
import TuttiSystem
import TuttiTransport

/// The inner loop: one pass over the running operations, at most one segment of each queue at a time, so that
/// sending, combining and placing take turns and segments stay in cache. Everything here runs under the lock.
extension Engine {
  /// Makes what progress can be made without waiting. Returns whether there was any.
  @inline(__always)
  func pass() -> Bool {
    lock.assertHeld()
    let core = core
    var moved = admit()
    for index in 0..<Lane.operationSlots {
      let slot = core.pointee.slots + index
      if slot.pointee.isActive && advance(slot) { moved = true }
    }
    if core.pointee.transfersInFlight != 0 && passTransfers() { moved = true }
    return moved
  }

  /// Moves at most one segment of each queue of one operation. Returns whether anything moved.
  private func advance(_ slot: UnsafeMutablePointer<OperationSlot>) -> Bool {
    let operation = slot.pointee.operation
    let tables = operation.pointee.tables
    if !tables.pointee.linksReady && !collectLinks(tables, operation.pointee.plan) { return false }
    let heads = slot.pointee.heads
    let cursors = slot.pointee.cursors
    var moved = false
    for queue in 0..<tables.pointee.queueCount {
      let end = tables.pointee.queues[queue].upperBound
      let head = heads[queue]
      if head == end { continue }
      let index = tables.pointee.queueSteps[Int(head)]
      let step = tables.pointee.steps + Int(index)
      let cursor = cursors + Int(index)
      // A send may have been done by the combine that feeds it.
      if cursor.pointee.segments < step.pointee.segmentCount {
        let hasMoved =
          switch step.pointee.kind {
          case .send: executeSend(slot, step, cursor)
          case .receive: executeReceive(slot, step, cursor)
          case .combine: executeCombine(slot, step, cursor)
          }
        if !hasMoved { continue }
      }
      moved = true
      if cursor.pointee.segments == step.pointee.segmentCount {
        heads[queue] = head + 1
        if head + 1 == end { slot.pointee.openQueues -= 1 }
      }
    }
    if slot.pointee.openQueues == 0 && sourcesAreReleased(slot) {
      complete(slot)
      return true
    }
    return moved
  }

  // Functions of their own, because the loop has registers for one kind of step at a time.

  private func executeSend(
    _ slot: UnsafeMutablePointer<OperationSlot>, _ step: UnsafeMutablePointer<Plan.Step>,
    _ cursor: UnsafeMutablePointer<Cursor>
  ) -> Bool {
    StepContext(core, slot, step, cursor).send()
  }

  private func executeReceive(
    _ slot: UnsafeMutablePointer<OperationSlot>, _ step: UnsafeMutablePointer<Plan.Step>,
    _ cursor: UnsafeMutablePointer<Cursor>
  ) -> Bool {
    StepContext(core, slot, step, cursor).receive()
  }

  private func executeCombine(
    _ slot: UnsafeMutablePointer<OperationSlot>, _ step: UnsafeMutablePointer<Plan.Step>,
    _ cursor: UnsafeMutablePointer<Cursor>
  ) -> Bool {
    StepContext(core, slot, step, cursor).combine()
  }
}
