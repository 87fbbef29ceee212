import CTuttiLinux
import Synchronization
import TuttiSystem
import TuttiTransport

// What happens once there is a cause to give up. Five verbs, here as everywhere: a link *fails*; its engine *reports* the
// cause to the other ranks; every engine is *aborted* with the first cause; callers' memory is *revoked*; and what was
// sent is *drained* before a process ends.

extension Engine {
  /// Why the communicator has failed, if it has.
  package var failure: FailureReport? {
    hasFailed.load(ordering: .acquiring) ? firstCause.withLock { $0 } : nil
  }

  /// Makes every pending and later call throw `cause`, unless it has failed before. Local, bounded, from any thread.
  ///
  /// - Returns: Whether this was the first failure.
  @discardableResult
  package func abort(_ cause: FailureReport) -> Bool {
    let isFirst = firstCause.withLock { first in
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

  /// Returns once ``abort(_:)`` has taken effect: no thread is inside the loop, and nothing here reads or writes memory of
  /// callers, of this rank's or another's, any more.
  package func awaitAbort() {
    lock.lock()
    if hasFailed.load(ordering: .acquiring) {
      for link in core.pointee.ownedLinks { link.abortReading() }
    }
    lock.unlock()
  }

  /// Reports `cause` to the other ranks, aborts this engine with the first cause, and revokes callers' memory. Without
  /// the lock.
  ///
  /// - Returns: The failure to throw: the first, which may be another.
  func report(_ cause: FailureReport) -> FailureReport {
    lock.assertNotHeld()
    // The control plane first: it may know an earlier cause, and all ranks throw the same one.
    abort(delegate.report(cause))
    revokeMemory()
    runHandlersAfterFailure()
    return failure ?? cause
  }

  /// After a failure: returns once no other rank reads or writes callers' memory any more. Without the lock.
  func revokeMemory() {
    lock.lock()
    assert(hasFailed.load(ordering: .acquiring), "memory is revoked after a failure")
    // An orderly close with receives that nobody waits for cuts nothing short, and no peer may hear of it as a failure.
    let isOrderly = failure?.code == .closed && core.pointee.inFlight <= transfers.pointee.standingReceives
    if !isOrderly { revokeLinks() }
    lock.unlock()
    if !isOrderly { delegate.revokeMemory() }
  }

  /// Takes callers' memory back from the peers. Under the lock.
  func revokeLinks() {
    lock.assertHeld()
    let lost = failure.flatMap { $0.code == .peerLost ? $0.peer : nil }
    Link.revoke(core.pointee.ownedLinks, lost: lost ?? -1)
  }

  /// Calls the handlers of all that has not ended, and never will. Without the lock.
  func runHandlersAfterFailure() {
    lock.lock()
    let handlers = core.pointee.dueHandlers + core.pointee.handlers.map(\.handler)
    core.pointee.listeners -= core.pointee.handlers.count
    core.pointee.handlers = []
    core.pointee.dueHandlers = []
    core.pointee.hasDueHandlers = false
    lock.unlock()
    for handler in handlers { handler() }
  }

  /// Drains what was sent: returns when it will arrive even if the process ends, or after a bounded wait.
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
}
