import CTuttiLinux
import Synchronization

/// A futex word in memory of its own.
package final class WakeWord: @unchecked Sendable {
  // @unchecked: the word is atomic and lives as long as this object.
  private let address: UnsafeMutablePointer<Atomic<UInt32>>

  package init() {
    address = .allocate(capacity: 1)
    address.initialize(to: Atomic(0))
  }

  deinit { address.deallocate() }

  package var value: UInt32 { address.pointee.load(ordering: .acquiring) }

  /// Wakes every thread that waits for the value to change.
  package func wake() {
    address.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
    tutti_futex_wake(address, .max)
  }

  /// Waits until the value is no longer `seen`, at most `nanoseconds`; may return early.
  package func wait(while seen: UInt32, nanoseconds: UInt64) { tutti_futex_wait(address, seen, nanoseconds) }
}
