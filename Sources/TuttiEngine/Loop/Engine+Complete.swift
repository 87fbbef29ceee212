import TuttiSystem
import TuttiTransport

/// How an operation ends well. Everything here runs under the lock.
extension Engine {
  /// Whether no peer and no kernel buffer reads this operation's memory any more.
  @inline(__always)
  func sourcesAreReleased(_ slot: UnsafeMutablePointer<OperationSlot>) -> Bool {
    let tables = slot.pointee.operation.pointee.tables
    for index in 0..<tables.pointee.stepCount where tables.pointee.steps[index].isSend {
      let step = tables.pointee.steps + index
      let lane = slot.pointee.lane(step)
      for peer in step.pointee.peers.asInts {
        let last = slot.pointee.firstSequences[peer] + step.pointee.segmentCount - 1
        let link = core.pointee.links[Int(tables.pointee.peers[peer])].unsafelyUnwrapped
        let isReleased = link._withUnsafeGuaranteedRef { link in
          if link.released(lane) >= last { return true }
          if !link.needsProgress { return false }
          link.progress()
          return link.released(lane) >= last
        }
        if !isReleased { return false }
      }
    }
    return true
  }

  @inline(__always)
  func complete(_ slot: UnsafeMutablePointer<OperationSlot>) {
    let operation = slot.pointee.operation
    assert(slot.pointee.isActive && slot.pointee.isDone, "an operation ends once all its steps are done")
    assert(core.pointee.inFlight > 0 && !isDone(operation.pointee.number), "an operation ends once")
    slot.pointee.isActive = false
    core.pointee.inFlight -= 1
    operation.pointee.plan._withUnsafeGuaranteedRef { $0.uses -= 1 }
    let number = operation.pointee.number
    if let owner = operation.pointee.owner { owner.release() }
    completedNumbers[slot.pointee.number].store(number, ordering: .releasing)
    if core.pointee.listeners != 0 { announce(number) }
  }

  /// Tells threads that wait for this operation or transfer, queues its handlers to be called, and ends the trial that times
  /// it, if there is one.
  @inline(never)
  func announce(_ number: UInt64) {
    lock.assertHeld()
    if core.pointee.followers != 0 { wakeFollowers() }
    if let trial = core.pointee.trial, trial.operation == number { endTrial(trial) }
    for entry in core.pointee.handlers where entry.number == number {
      core.pointee.dueHandlers.append(entry.handler)
      core.pointee.hasDueHandlers = true
    }
    let before = core.pointee.handlers.count
    core.pointee.handlers.removeAll { $0.number == number }
    core.pointee.listeners -= before - core.pointee.handlers.count
  }
}
