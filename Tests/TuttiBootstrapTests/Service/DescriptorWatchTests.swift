import Patience
import TuttiSystem
import CTuttiLinux
import Glibc
import Testing

@testable import TuttiBootstrap

@Suite struct DescriptorWatchTests {
  /// A timer descriptor that fires now and then: readable until it is set again.
  private func readable() -> Int32 {
    let descriptor = tutti_timerfd()
    tutti_timerfd_set(descriptor, 1)
    return descriptor
  }

  @Test func callsUntilItIsCancelled() throws {
    let descriptor = readable()
    defer { tutti_close(descriptor) }
    let calls = Lock(0)
    let watch = try DescriptorWatch(descriptor) { calls.withLock { $0 += 1 } }
    #expect(Clock.wait(until: Patience.deadline(seconds: 5)) { calls.withLock { $0 > 2 } })
    watch.cancel()
    watch.cancel()
    // One call may be on its way.
    Clock.pause(20 * Clock.millisecond)
    let seen = calls.withLock { $0 }
    Clock.pause(20 * Clock.millisecond)
    #expect(calls.withLock { $0 } == seen)
  }

  @Test func letGoIsCancelled() throws {
    let descriptor = readable()
    defer { tutti_close(descriptor) }
    let calls = Lock(0)
    do {
      let watch = try DescriptorWatch(descriptor) { calls.withLock { $0 += 1 } }
      #expect(Clock.wait(until: Patience.deadline(seconds: 5)) { calls.withLock { $0 > 0 } })
      withExtendedLifetime(watch) {}
    }
    Clock.pause(20 * Clock.millisecond)
    let seen = calls.withLock { $0 }
    Clock.pause(20 * Clock.millisecond)
    #expect(calls.withLock { $0 } == seen)
    // The number is free to be watched by somebody else.
    let again = try DescriptorWatch(descriptor) {}
    again.cancel()
  }

  @Test func whatCannotBeWatchedIsRefused() {
    let error = #expect(throws: FailureReport.self) { try DescriptorWatch(-1) {} }
    #expect(error?.code == .resources)
  }
}
