import Synchronization
import TuttiSystem

/// Handlers: what is called when an operation or transfer has ended, well or not.
extension Engine {
  /// Calls `handler` once, when the operation or transfer has ended, well or not; from the thread that notices,
  /// without the lock.
  package func notify(_ number: UInt64, _ handler: @escaping @Sendable () -> Void) {
    lock.lock()
    let isOver = isDone(number) || hasFailed.load(ordering: .acquiring)
    if !isOver {
      core.pointee.handlers.append((number, handler))
      core.pointee.listeners += 1
    }
    lock.unlock()
    if isOver {
      if hasFailed.load(ordering: .acquiring) { revokeMemory() }
      handler()
    }
  }

  /// Calls the handlers of what has ended. Drops the lock meanwhile, and leadership: a handler may make calls of its
  /// own, and wait.
  ///
  /// - Returns: Whether the caller leads afterwards, which is always `false`: one that led leads again if nobody else does.
  @inline(never)
  func runDueHandlers(isLeading: Bool) -> Bool {
    lock.assertHeld()
    noteTime()
    let due = core.pointee.dueHandlers
    core.pointee.dueHandlers = []
    core.pointee.hasDueHandlers = false
    if isLeading { stopLeading() }
    lock.unlock()
    for handler in due { handler() }
    lock.lock()
    // The time that handlers take is no time in which this process was stopped.
    markTime()
    return false
  }
}
