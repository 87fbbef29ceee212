import CTuttiLinux
import Glibc
import Synchronization
import TuttiSystem

/// The thread that drives while no caller does: started by the first asynchronous operation, asleep while nothing is
/// in flight.
///
/// It holds its engine until `close()` ends it.
final class BackgroundState: Sendable {
  /// Changes to wake the thread; what it sleeps on.
  let word: WakeWord = WakeWord()
  let isRunning = Atomic<Bool>(false)
  let mustStop = Atomic<Bool>(false)
  /// Asleep without a bound: a start must wake it. Otherwise it looks by itself within ``nap``.
  let isAsleep = Atomic<Bool>(false)

  /// Nanoseconds between looks while asynchronous operations come and go: waking a thread for each would cost more
  /// than they do.
  static let nap: UInt64 = 100_000
  /// How long after the last start it keeps looking by itself.
  static let lingering: UInt64 = 10_000_000

  func wake() {
    if isRunning.load(ordering: .acquiring) { word.wake() }
  }

  /// The thread, as `pthread_self` names it; 0 before it runs.
  let thread = Atomic<UInt>(0)

  /// Ends the thread and waits until it has left the engine.
  ///
  /// Called on that thread, by a handler that drops its communicator's last reference, it returns at once: the thread
  /// ends when the handler has returned, and keeps the engine alive until then.
  func stop() {
    mustStop.store(true, ordering: .sequentiallyConsistent)
    if thread.load(ordering: .acquiring) == UInt(pthread_self()) { return }
    while isRunning.load(ordering: .acquiring) {
      word.wake()
      tutti_yield()
    }
  }
}

extension Engine {
  /// Sees to it that something drives what is in flight. Under the lock.
  func wakeBackground() {
    let background = background
    if background.isRunning.load(ordering: .relaxed) {
      if background.isAsleep.load(ordering: .sequentiallyConsistent) { background.word.wake() }
    }
  }

  /// Starts the thread at the first asynchronous operation. Under the lock.
  func startBackground() throws(FailureReport) {
    core.pointee.lastBegin = clock.now()
    if background.isRunning.load(ordering: .relaxed) { return }
    background.isRunning.store(true, ordering: .releasing)
    do throws(FailureReport) {
      try startDetachedThread("tutti-progress", rank: rank, orElse: "the progress thread could not be started") { [self] in
        driveInBackground()
      }
    } catch {
      background.isRunning.store(false, ordering: .releasing)
      throw error
    }
  }

  private func driveInBackground() {
    background.thread.store(UInt(pthread_self()), ordering: .releasing)
    defer {
      background.thread.store(0, ordering: .releasing)
      background.isRunning.store(false, ordering: .releasing)
    }
    // Whoever started it may be a thread that was there before the rank was confined. Where the kernel has changed
    // its mind, it goes on as it is.
    _ = processors?.confineCallingThread()
    var idle = IdleTime()
    while !background.mustStop.load(ordering: .sequentiallyConsistent) {
      let seen = background.word.value
      guard lock.tryLock() else {
        // Another thread leads, or has led.
        idle = IdleTime()
        background.word.wait(while: seen, nanoseconds: BackgroundState.nap)
        continue
      }
      let isFailed = hasFailed.load(ordering: .acquiring)
      if core.pointee.hasLeader || core.pointee.inFlight == 0 || isFailed {
        idle = IdleTime()
        if !core.pointee.hasLeader { waitingFor.store(-1, ordering: .relaxed) }
        if isFailed && !(core.pointee.handlers.isEmpty && core.pointee.dueHandlers.isEmpty) {
          lock.unlock()
          settle()
          runHandlersAfterFailure()
          continue
        }
        sleep(seen, mayWork: core.pointee.inFlight != 0 && !isFailed && !core.pointee.hasLeader)
        continue
      }
      if pass() {
        idle.reset()
        if mayLook(&idle), let cause = findFailure(&idle) {
          lock.unlock()
          _ = failed(cause())
          continue
        }
        if core.pointee.hasDueHandlers { idle = IdleTime() }
        stepAside(seen)
        continue
      }
      if let cause = findFailure(&idle) {
        lock.unlock()
        _ = failed(cause())
        continue
      }
      core.pointee.awaited = 0
      rest(&idle, yieldAfter: 0, parkAfter: policy.backgroundParkAfter)
      if core.pointee.hasDueHandlers { idle = IdleTime() }
      stepAside(seen)
    }
  }

  /// Drops the lock, and leaves time to a caller that wants it.
  private func stepAside(_ seen: UInt32) {
    if core.pointee.hasDueHandlers { _ = runDueHandlers(isLeading: false) }
    let isWanted = lock.isContended
    lock.unlock()
    if isWanted { background.word.wait(while: seen, nanoseconds: BackgroundState.nap) }
  }

  /// Sleeps until there may be something to do. Called with the lock held, returns without it.
  private func sleep(_ seen: UInt32, mayWork: Bool) {
    let isLingering = clock.now() &- core.pointee.lastBegin < BackgroundState.lingering
    if !isLingering && !mayWork {
      background.isAsleep.store(true, ordering: .sequentiallyConsistent)
      lock.unlock()
      background.word.wait(while: seen, nanoseconds: 1_000_000_000)
      background.isAsleep.store(false, ordering: .sequentiallyConsistent)
    } else {
      lock.unlock()
      background.word.wait(while: seen, nanoseconds: BackgroundState.nap)
    }
  }
}
