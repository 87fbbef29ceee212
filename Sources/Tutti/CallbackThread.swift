import CTuttiLinux
import TuttiSystem

/// The one thread of this process that runs programs' handlers: a handler may block without delaying any operation.
///
/// Handlers run one at a time, in the order in which they were handed over. The thread is started at first use and stays,
/// asleep, when there is nothing to call.
final class CallbackThread: Sendable {
  private let pending = Lock([@Sendable () -> Void]())
  private let wake = WakeWord()
  private let generation = tutti_current_fork_generation()

  private static let instance = Lock<CallbackThread?>(nil)
  /// How long the thread sleeps at a time, in nanoseconds; a handler wakes it at once.
  private static let napNanoseconds: UInt64 = 3_600_000_000_000

  /// This process's thread. A forked child gets one of its own: threads do not survive a fork.
  ///
  /// - Throws: `.resources` when it cannot be started.
  static func shared() throws(FailureReport) -> CallbackThread {
    try instance.withLock { current throws(FailureReport) in
      if let current, current.generation == tutti_current_fork_generation() { return current }
      let fresh = CallbackThread()
      try startDetachedThread("tutti-callbacks") { fresh.run() }
      current = fresh
      return fresh
    }
  }

  /// Hands `handler` over to the thread, to be called after those that were handed over before. Does not block.
  func add(_ handler: @escaping @Sendable () -> Void) {
    pending.withLock { $0.append(handler) }
    wake.wake()
  }

  private func run() {
    while true {
      let seen = wake.value
      let due = pending.withLock { handlers in
        defer { handlers = [] }
        return handlers
      }
      for handler in due { handler() }
      if due.isEmpty { wake.wait(while: seen, nanoseconds: Self.napNanoseconds) }
    }
  }
}
