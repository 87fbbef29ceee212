import CTuttiLinux
import Glibc
import Synchronization
import TuttiSystem

/// Wakes one rank's engine when it is parked: an eventfd, and a flag that says whether ringing it is needed.
///
/// A sender publishes its segment, then looks at the flag; a waiter raises the flag, then looks for segments once more. So that
/// the sender's look costs a plain load and no fence, the waiter pays for both sides with `membarrier(2)`.
package final class Doorbell: @unchecked Sendable {
  // @unchecked: the descriptor is immutable, and the flag is atomic; both live until deinit.

  /// The eventfd. Owned; non-blocking, close-on-exec.
  package let descriptor: Int32
  /// Whether the owner is parked. In this object's memory, or in a shared region of the same lifetime.
  package let parked: UnsafeMutablePointer<Atomic<UInt32>>
  private let ownsFlag: Bool

  /// - Parameter flag: Where peers look for the flag (shared memory), zero-initialised and outliving this object; nil for
  ///   memory of its own.
  package init(flag: UnsafeMutablePointer<Atomic<UInt32>>? = nil) throws(FailureReport) {
    descriptor = try systemCall("eventfd") { tutti_eventfd() }
    ownsFlag = flag == nil
    if let flag {
      parked = flag
    } else {
      parked = .allocate(capacity: 1)
      parked.initialize(to: Atomic(0))
    }
  }

  deinit {
    tutti_close(descriptor)
    if ownsFlag {
      parked.deinitialize(count: 1)
      parked.deallocate()
    }
  }

  /// Says that the owner is about to park. It must look for work once more before it waits.
  ///
  /// - Returns: Whether senders are now certain to see it. If not (no `membarrier` here), bound the wait to a millisecond.
  package func arm() -> Bool {
    parked.pointee.store(1, ordering: .relaxed)
    return tutti_membarrier() == 0
  }

  /// Says that the owner is awake, and forgets rings received meanwhile.
  package func disarm() {
    parked.pointee.store(0, ordering: .relaxed)
    tutti_eventfd_drain(descriptor)
  }

  /// Wakes the owner unconditionally. Callable from any thread.
  package func ring() { tutti_eventfd_ring(descriptor) }

  /// The view a peer has of this doorbell, valid as long as the doorbell.
  package var view: DoorbellView { DoorbellView(descriptor: descriptor, parked: parked) }
}

/// A peer's doorbell as a sender sees it: a descriptor and a flag in memory it can read. Owns neither.
@frozen @usableFromInline
package struct DoorbellView: @unchecked Sendable {
  // @unchecked: the flag is atomic; whoever makes the view keeps flag and descriptor alive.
  package let descriptor: Int32
  @usableFromInline package let parked: UnsafeMutablePointer<Atomic<UInt32>>

  package init(descriptor: Int32, parked: UnsafeMutablePointer<Atomic<UInt32>>) {
    self.descriptor = descriptor
    self.parked = parked
  }

  /// Wakes the peer if it is parked. Called after publishing a segment.
  @inlinable
  package func wakeIfParked() {
    if parked.pointee.load(ordering: .relaxed) != 0 { ring() }
  }

  @usableFromInline @inline(never)
  package func ring() { tutti_eventfd_ring(descriptor) }
}
