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
  /// Whether the thread sleeps for long, up to a second: a start must wake it. Otherwise it looks by itself within ``nap``.
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
  /// Makes sure that something drives what is in flight. Under the lock.
  @inline(__always)
  func wakeBackground() {
    lock.assertHeld()
    if background.isRunning.load(ordering: .relaxed) && background.isAsleep.load(ordering: .sequentiallyConsistent) {
      wakeSleeper()
    }
  }

  /// Wakes the thread. A function of its own, because it counts references, and the thread seldom sleeps while calls
  /// come and go.
  @inline(never)
  private func wakeSleeper() { background.word.wake() }

  /// Starts the thread at the first asynchronous operation. Under the lock.
  func startBackground() throws(FailureReport) {
    lock.assertHeld()
    noteTime()
    if background.isRunning.load(ordering: .relaxed) { return }
    background.isRunning.store(true, ordering: .releasing)
    do throws(FailureReport) {
      try threads.start("tutti-progress") { [self] in driveInBackground() }
    } catch {
      background.isRunning.store(false, ordering: .releasing)
      throw error.with(rank: rank, message: "the progress thread could not be started")
    }
  }

  /// Notes that an asynchronous operation has been started, and wakes who may drive it. Under the lock.
  @inline(__always)
  func noteBegin() {
    markTime()
    core.pointee.lastBegin = core.pointee.lastLook
    wakeParked()
    wakeBackground()
  }

  private func driveInBackground() {
    background.thread.store(UInt(pthread_self()), ordering: .releasing)
    defer {
      background.thread.store(0, ordering: .releasing)
      background.isRunning.store(false, ordering: .releasing)
    }
    // The thread that started this one may have been there before the rank was confined. Where the kernel refuses now what
    // it allowed at the join, the thread goes on unconfined.
    _ = processors?.confineCallingThread()
    var idle = IdleTime()
    while !background.mustStop.load(ordering: .sequentiallyConsistent) { driveInBackgroundOnce(&idle) }
  }

  /// Takes one turn of the thread, and rests. Called without the lock.
  func driveInBackgroundOnce(_ idle: inout IdleTime) {
    let seen = background.word.value
    guard lock.tryLock() else {
      // Another thread leads, or has led.
      idle = IdleTime()
      nap(seen, BackgroundState.nap)
      return
    }
    let isFailed = hasFailed.load(ordering: .acquiring)
    if core.pointee.hasLeader || core.pointee.inFlight == 0 || isFailed {
      idle = IdleTime()
      standBy(seen, isFailed: isFailed)
      return
    }
    switch turn(&idle, passesBetweenLooks: 1) {
    case .busy: break
    case .idle:
      core.pointee.awaited = 0
      rest(&idle, yieldAfter: 0, parkAfter: policy.backgroundParkAfter)
    case .failing(let cause):
      lock.unlock()
      _ = report(cause())
      return
    }
    if core.pointee.hasDueHandlers { idle = IdleTime() }
    stepAside(seen)
  }

  /// Rests while there is nothing to drive. Called with the lock held, returns without it.
  private func standBy(_ seen: UInt32, isFailed: Bool) {
    if !core.pointee.hasLeader { waitingFor.store(-1, ordering: .relaxed) }
    if isFailed && !(core.pointee.handlers.isEmpty && core.pointee.dueHandlers.isEmpty) {
      lock.unlock()
      revokeMemory()
      runHandlersAfterFailure()
      return
    }
    if clock.now() &- core.pointee.lastBegin < BackgroundState.lingering {
      lock.unlock()
      nap(seen, BackgroundState.nap)
      return
    }
    background.isAsleep.store(true, ordering: .sequentiallyConsistent)
    lock.unlock()
    nap(seen, 1_000_000_000)
    background.isAsleep.store(false, ordering: .sequentiallyConsistent)
  }

  /// Calls the handlers that are due, drops the lock, and leaves it for a moment to a caller that waits for it.
  private func stepAside(_ seen: UInt32) {
    if core.pointee.hasDueHandlers { _ = runDueHandlers(isLeading: false) }
    let isWanted = lock.isContended
    lock.unlock()
    if isWanted { nap(seen, BackgroundState.nap) }
  }

  /// Sleeps until it is woken, or so many nanoseconds have gone by. Without the lock.
  private func nap(_ seen: UInt32, _ nanoseconds: UInt64) {
    lock.assertNotHeld()
    clock.wait(atMost: nanoseconds) { background.word.wait(while: seen, nanoseconds: $0) }
  }
}
