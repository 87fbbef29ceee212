import CTuttiLinux
import Synchronization
import TuttiSystem
import TuttiTransport

/// Driving until an operation ends. One caller's thread leads; others follow it.
extension Engine {
  // MARK: A turn

  /// The outcome of one turn of a driver.
  enum Turn {
    /// There may be more to do.
    case busy
    /// Nothing moved and nothing is wrong: the driver may rest.
    case idle
    /// There is a cause to give up. The function makes the report of it; it is called without the lock.
    case failing(() -> FailureReport)
  }

  /// Takes one turn of whoever drives: makes a pass and, every so often, looks at what could be wrong. It also looks while
  /// things move, because one call can be stuck, and its time over, while others go on. Under the lock.
  @inline(__always)
  func turn(_ idle: inout IdleTime, passesBetweenLooks: Int) -> Turn {
    let hasMoved = pass()
    if hasMoved {
      idle.reset()
      idle.busyPasses += 1
      if idle.busyPasses < Self.busyPassesBetweenLooks { return .busy }
      idle.busyPasses = 0
    } else {
      idle.passes += 1
      if idle.passes % passesBetweenLooks != 0 && !lock.isContended { return .busy }
    }
    if let cause = findCause(&idle) { return .failing(cause) }
    return hasMoved ? .busy : .idle
  }

  /// How many passes that moved something a call makes at most before it looks at the clock, and at all that could be wrong,
  /// for the first time.
  private static var busyPassesMax: Int { 16_384 }
  /// How many such passes a driver makes between two looks from then on.
  private static var busyPassesBetweenLooks: Int { 64 }

  // MARK: Leading and following

  /// Drives, or follows the thread that does, until the operation has ended. Called with the lock held, returns and
  /// throws without it.
  @inline(__always)
  func driveUntilDone(_ number: UInt64) throws(FailureReport) {
    lock.assertHeld()
    let isLeading = !core.pointee.hasLeader
    if isLeading {
      core.pointee.hasLeader = true
      if core.pointee.parkedThreads != 0 { doorbell.disarm() }
      if core.pointee.inFlight > 1 && mustLook() {
        return try driveSlowly(number, isLeading: true, looksFirst: true)
      }
      // The common case, a peer that is just as fast: the call ends before the clock is ever read.
      var passes = 0
      var busyPasses = 0
      while passes < policy.spinPasses {
        // This comes before the pass: once a call has thrown, the memory of operations that are still there may be gone.
        // And a long operation that always finds something to do must see an abort.
        if hasFailed.load(ordering: .acquiring) { break }
        if pass() {
          // Handlers are called without leading: below.
          if core.pointee.hasDueHandlers { break }
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

  /// Whether a call that is not alone is one of those that look at what could be wrong: a stream of short ones would never
  /// do so otherwise, and hide that another is stuck. Under the lock.
  @inline(never)
  private func mustLook() -> Bool {
    core.pointee.crowdedCalls &+= 1
    return core.pointee.crowdedCalls % UInt64(Self.busyPassesBetweenLooks) == 0
  }

  /// Drives, or follows the thread that does, where that takes time. The lock is held on entry and not at the end.
  ///
  /// - Parameters:
  ///   - looksFirst: Whether to look at what could be wrong before anything else.
  ///   - until: When to return though the operation goes on; by the clock.
  @inline(never)
  func driveSlowly(
    _ number: UInt64, isLeading: Bool, looksFirst: Bool = false, until: UInt64 = .max
  ) throws(FailureReport) {
    lock.assertHeld()
    var isLeading = isLeading
    var idle = IdleTime(until: until)
    // Links are looked at in one look of sixteen: in this one.
    if looksFirst { idle.looks = 15 }
    if looksFirst, let cause = findCause(&idle) { throw leave(isLeading, cause) }
    while true {
      if core.pointee.hasDueHandlers { isLeading = runDueHandlers(isLeading: isLeading) }
      if hasFailed.load(ordering: .acquiring) {
        leave(isLeading)
        revokeMemory()
        throw failure!
      }
      if isDone(number) || until != .max && clock.now() >= until {
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
        idle = IdleTime(until: until)
      }
      switch turn(&idle, passesBetweenLooks: policy.passesBetweenLooks) {
      case .busy: break
      case .idle:
        core.pointee.awaited = number
        rest(&idle, yieldAfter: policy.yieldAfter, parkAfter: policy.parkAfter)
      case .failing(let cause): throw leave(isLeading, cause)
      }
    }
  }

  /// Ends this thread's leadership, so that somebody else may take it. Under the lock.
  @inline(__always)
  func stopLeading() {
    lock.assertHeld()
    assert(core.pointee.hasLeader, "only a leader stops leading")
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

  /// Drops the lock, and leadership.
  private func leave(_ isLeading: Bool) {
    if isLeading { stopLeading() }
    lock.unlock()
  }

  /// Drops the lock, and leadership, and reports the cause. Returns the failure to throw.
  private func leave(_ isLeading: Bool, _ cause: () -> FailureReport) -> FailureReport {
    leave(isLeading)
    return report(cause())
  }

  /// Sleeps until the leader has ended an operation or left. Drops the lock meanwhile.
  private func follow() {
    lock.assertHeld()
    core.pointee.followers += 1
    core.pointee.listeners += 1
    let seen = epoch.value
    lock.unlock()
    clock.wait(atMost: 10_000_000) { epoch.wait(while: seen, nanoseconds: $0) }
    lock.lock()
    core.pointee.followers -= 1
    core.pointee.listeners -= 1
  }

  func wakeFollowers() {
    epoch.wake()
  }
}
