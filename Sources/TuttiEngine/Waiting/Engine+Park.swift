import CTuttiLinux
import Glibc
import Synchronization
import TuttiSystem
import TuttiTransport

/// What a driver does while nothing moves: it spins, then yields, then parks in the kernel.
extension Engine {
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
    lock.assertHeld()
    if publishAwaitedTransfer(core.pointee.awaited) { return }
    for index in 0..<Lane.operationSlots where core.pointee.slots[index].isActive {
      awaitedMessage.store(0, ordering: .relaxed)
      waitingFor.store(blockedStep(core.pointee.slots + index).peer, ordering: .relaxed)
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
    // Without certainty that senders see the flag, sleep in short naps.
    var bound = min(isSeen ? 100_000_000 : 1_000_000, timeUntilLook(idle.now))
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
      clock.wait(atMost: bound) { _ = tutti_poll(descriptors.baseAddress, count, $0) }
      lock.lock()
      core.pointee.parkedThreads -= 1
    }
    doorbell.disarm()
    // The ring that was taken may have been meant for another thread that sleeps there too.
    wakeParked()
  }

  /// Returns in how many nanoseconds a driver must look again: at a call's deadline, a while before it to ask the other
  /// ranks, and soon where a link is being opened.
  private func timeUntilLook(_ now: UInt64) -> UInt64 {
    var bound = UInt64.max
    for index in 0..<Lane.operationSlots where core.pointee.slots[index].isActive {
      let operation = core.pointee.slots[index].operation
      if !operation.pointee.tables.pointee.linksReady { bound = min(bound, 1_000_000) }
      let limit = operation.pointee.limit
      if limit.deadline == 0 { continue }
      let next = limit.isAsked ? limit.deadline : limit.askTime
      bound = min(bound, next > now ? next - now : 0)
    }
    return core.pointee.transfersInFlight == 0 ? bound : min(bound, transferParkBound(now))
  }

  /// Wakes a thread that sleeps until the doorbell rings: the caller has disarmed the doorbell, or taken its ring. Under the
  /// lock.
  func wakeParked() {
    lock.assertHeld()
    if core.pointee.parkedThreads != 0 { doorbell.ring() }
  }

  /// Makes a pass for a leader that sleeps in the kernel, and wakes it: it does not see what this thread has started.
  @inline(__always)
  func passForLeader() {
    lock.assertHeld()
    if core.pointee.parkedThreads != 0 { passAndWakeParked() }
  }

  @inline(never)
  private func passAndWakeParked() {
    _ = pass()
    wakeParked()
  }
}
