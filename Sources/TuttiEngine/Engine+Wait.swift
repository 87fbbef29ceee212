import CTuttiLinux
import Glibc
import Synchronization
import TuttiSchedule
import TuttiSystem
import TuttiTransport

/// Driving until an operation ends: spinning, yielding, parking, deadlines. One caller's thread leads; others follow
/// it.
extension Engine {
  /// Drives, or follows the thread that does, until the operation has ended. Called with the lock held, returns and
  /// throws without it.
  @inline(__always)
  func driveUntilDone(_ number: UInt64) throws(FailureReport) {
    let isLeading = !core.pointee.hasLeader
    if isLeading {
      core.pointee.hasLeader = true
      if core.pointee.parkedThreads != 0 { doorbell.disarm() }
      if core.pointee.inFlight > 1 && mustLook() {
        return try driveSlowly(number, isLeading: true, looksFirst: true)
      }
      // The common case: a peer that is just as fast.
      var passes = 0
      var busyPasses = 0
      while passes < policy.spinPasses {
        // First: once a call has thrown, the memory of operations that are still there may be gone. And a long
        // operation that always finds something to do must see an abort.
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
  func mustLook() -> Bool {
    core.pointee.crowdedCalls &+= 1
    return core.pointee.crowdedCalls % UInt64(Self.busyPassesBetweenLooks) == 0
  }

  /// Passes that moved something after which the clock, and all that could be wrong, is looked at all the same.
  private static var busyPassesMax: Int { 16_384 }
  /// The same for a driver that does not wait for the fastest peer any more.
  private static var busyPassesBetweenLooks: Int { 64 }

  /// Whether a driver that has just moved something is to look at what could be wrong: a call can be stuck, and its
  /// time over, while others go on.
  func mayLook(_ idle: inout IdleTime) -> Bool {
    idle.busyPasses += 1
    if idle.busyPasses < Self.busyPassesBetweenLooks { return false }
    idle.busyPasses = 0
    return true
  }

  /// Leadership ends; somebody else may take it. Under the lock.
  @inline(__always)
  private func stopLeading() {
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

  /// Wakes a thread that sleeps for the doorbell: whoever calls this has lowered its flag or emptied it. Under the
  /// lock.
  func wakeParked() {
    if core.pointee.parkedThreads != 0 { doorbell.ring() }
  }

  /// The waiting that takes time. The lock is held on entry and not at the end.
  @inline(never)
  private func driveSlowly(
    _ number: UInt64, isLeading: Bool, looksFirst: Bool = false, until: UInt64 = .max
  ) throws(FailureReport) {
    var isLeading = isLeading
    var idle = IdleTime(until: until)
    // Links are looked at in one look of sixteen: in this one.
    if looksFirst { idle.looks = 15 }
    if looksFirst, let cause = findFailure(&idle) {
      leave(isLeading)
      throw failed(cause())
    }
    while true {
      if core.pointee.hasDueHandlers { isLeading = runDueHandlers(isLeading: isLeading) }
      if hasFailed.load(ordering: .acquiring) {
        leave(isLeading)
        settle()
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
      let hasMoved = pass()
      if hasMoved {
        idle.reset()
        if !mayLook(&idle) { continue }
      } else {
        idle.passes += 1
        if idle.passes % policy.passesBetweenLooks != 0 && !lock.isContended { continue }
      }
      if let cause = findFailure(&idle) {
        leave(isLeading)
        throw failed(cause())
      }
      core.pointee.awaited = number
      if !hasMoved { rest(&idle, yieldAfter: policy.yieldAfter, parkAfter: policy.parkAfter) }
    }
  }

  /// Waits as ``wait(for:)`` does, but no longer than so many nanoseconds. Returns whether the operation or transfer has
  /// ended.
  package func wait(for number: UInt64, atMost nanoseconds: UInt64) throws(FailureReport) -> Bool {
    if isDone(number) { return true }
    lock.lock()
    try driveSlowly(number, isLeading: false, until: clock.now() &+ nanoseconds)
    return isDone(number)
  }

  private func leave(_ isLeading: Bool) {
    if isLeading { stopLeading() }
    lock.unlock()
  }

  /// Sleeps until the leader has ended an operation or left. Drops the lock meanwhile.
  private func follow() {
    core.pointee.followers += 1
    let seen = epoch.value
    lock.unlock()
    epoch.wait(while: seen, nanoseconds: 10_000_000)
    lock.lock()
    core.pointee.followers -= 1
  }

  func wakeFollowers() {
    epoch.wake()
  }

  /// Calls the handlers of what has ended. Drops the lock meanwhile, and leadership: a handler may make calls of its
  /// own, and wait.
  ///
  /// - Returns: Whether the caller leads afterwards: never. Whoever led takes it again if nobody else has.
  @inline(never)
  func runDueHandlers(isLeading: Bool) -> Bool {
    let due = core.pointee.dueHandlers
    core.pointee.dueHandlers = []
    core.pointee.hasDueHandlers = false
    if isLeading { stopLeading() }
    lock.unlock()
    for handler in due { handler() }
    lock.lock()
    return false
  }

  // MARK: Idling

  /// Time without progress, of one driver.
  struct IdleTime {
    var passes = 0
    /// Passes that moved something since ``findFailure(_:)`` was called.
    var busyPasses = 0
    /// How often ``findFailure(_:)`` was called.
    var looks = 0
    /// When the clock was first read since the last progress; 0 before. In the engine's time.
    var since: UInt64 = 0
    var now: UInt64 = 0
    /// When the clock was last read by this driver; 0 before. By the clock.
    var lastLook: UInt64 = 0
    /// The last operation that had been started then.
    var lastStarted: UInt64 = 0
    /// When the driver gives up waiting, though its call goes on; by the clock.
    var until: UInt64 = .max

    /// Nanoseconds without progress, as of the last look. 0 also where another driver has noticed since that the process was stopped.
    var elapsed: UInt64 { now > since ? now - since : 0 }

    mutating func reset() {
      self = IdleTime(
        busyPasses: busyPasses, looks: looks & 15, lastLook: lastLook, lastStarted: lastStarted, until: until)
    }
  }

  /// Spins, yields or parks, by how long nothing has moved. May drop the lock meanwhile.
  func rest(_ idle: inout IdleTime, yieldAfter: UInt64, parkAfter: UInt64) {
    if lock.isContended {
      lock.yield()
      return
    }
    let elapsed = idle.elapsed
    if elapsed < yieldAfter {
      for _ in 0..<16 { tutti_pause() }
      return
    }
    if idle.looks & 63 == 0 { publishWaitingFor() }
    if elapsed < parkAfter {
      tutti_yield()
      return
    }
    park(idle)
  }

  /// Lets a diagnosis see which rank this one waits for.
  private func publishWaitingFor() {
    if publishAwaitedTransfer(core.pointee.awaited) { return }
    for index in 0..<Lane.operationSlots where core.pointee.slots[index].isActive {
      awaitedMessage.store(0, ordering: .relaxed)
      waitingFor.store(blockedStep(core.pointee.slots + index, index).peer, ordering: .relaxed)
      return
    }
    publishAnyTransfer()
  }

  /// Sleeps in the kernel until a peer rings, a socket is ready, or a bound is reached. Drops the lock meanwhile.
  private func park(_ idle: IdleTime) {
    publishWaitingFor()
    let isSeen = doorbell.arm()
    if pass() || hasFailed.load(ordering: .acquiring) {
      doorbell.disarm()
      return
    }
    // Without certainty that senders see the flag, and with links that need a look now and then, sleep in short naps.
    var bound: UInt64 = isSeen ? 100_000_000 : 1_000_000
    for index in 0..<Lane.operationSlots where core.pointee.slots[index].isActive {
      if !core.pointee.slots[index].operation.pointee.tables.pointee.linksReady { bound = min(bound, 1_000_000) }
      let limit = core.pointee.slots[index].operation.pointee.limit
      if limit.deadline == 0 { continue }
      let deadline = limit.isAsked ? limit.deadline : limit.askTime
      bound = min(bound, deadline > idle.now ? deadline - idle.now : 0)
    }
    if core.pointee.transfersInFlight != 0 { bound = min(bound, transferParkBound(idle.now)) }
    if idle.until != .max { bound = min(bound, idle.until - min(idle.until, clock.now())) }
    withUnsafeTemporaryAllocation(of: pollfd.self, capacity: core.pointee.ownedLinks.count + 1) { descriptors in
      descriptors[0] = pollfd(fd: doorbell.descriptor, events: Int16(POLLIN), revents: 0)
      var count = 1
      for index in 0..<core.pointee.ownedLinks.count {
        let link = core.pointee.ownedLinks[index]
        bound = min(bound, link.maximumPark)
        if link.descriptor < 0 || link.failure != nil { continue }
        if !link.prepareToPark() { bound = 0 }
        if link.status.pointee.asked != 0 { bound = min(bound, Self.uncalledLinksAfter) }
        let events = link.wantsWrite ? Int16(POLLIN | POLLOUT) : Int16(POLLIN)
        descriptors[count] = pollfd(fd: link.descriptor, events: events, revents: 0)
        count += 1
      }
      core.pointee.parkedThreads += 1
      lock.unlock()
      _ = tutti_poll(descriptors.baseAddress, count, bound)
      lock.lock()
      core.pointee.parkedThreads -= 1
    }
    doorbell.disarm()
    // The ring may have been for another that sleeps there too, and is forgotten now.
    wakeParked()
  }
}
