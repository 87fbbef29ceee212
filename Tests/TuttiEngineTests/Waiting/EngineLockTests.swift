import Patience
import Synchronization
import Testing
import TuttiSystem

@testable import TuttiEngine

/// The engine's lock, and what debug builds say about it.
@Suite(.serialized) struct EngineLockTests {
  private final class Shared: @unchecked Sendable {
    // @unchecked: `count` belongs to the holder of the lock.
    let lock = EngineLock()
    var count = 0
    let over = Atomic<Int>(0)
  }

  @Test func oneThreadAtATime() throws {
    let shared = Shared()
    for thread in 0..<4 {
      try startDetachedThread("counter") {
        for turn in 0..<20_000 {
          shared.lock.lock()
          shared.count += 1
          if thread == 0 && turn % 64 == 0 { shared.lock.yield() }
          shared.lock.unlock()
        }
        shared.over.wrappingAdd(1, ordering: .sequentiallyConsistent)
      }
    }
    #expect(Clock.wait(until: Patience.deadline(seconds: 30)) { shared.over.load(ordering: .sequentiallyConsistent) == 4 })
    #expect(shared.count == 80_000)
  }

  #if compiler(>=6.2) && DEBUG
    @Test func theRulesAreAsserted() async {
      await #expect(processExitsWith: .success) {
        let lock = EngineLock()
        lock.lock()
        lock.assertHeld()
        lock.unlock()
        lock.assertNotHeld()
      }
      await #expect(processExitsWith: .failure) { EngineLock().assertHeld() }
      await #expect(processExitsWith: .failure) { EngineLock().unlock() }
      await #expect(processExitsWith: .failure) {
        let lock = EngineLock()
        lock.lock()
        lock.assertNotHeld()
      }
      await #expect(processExitsWith: .failure) {
        let lock = EngineLock()
        lock.lock()
        lock.lock()
      }
    }
  #endif
}
