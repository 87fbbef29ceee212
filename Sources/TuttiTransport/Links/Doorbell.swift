import CTuttiLinux
import Glibc
import Synchronization
import TuttiSystem

/// Wakes one rank's engine when it is parked: an eventfd, and a flag that says whether ringing it is needed.
///
/// A sender publishes its segment, then looks at the flag; a waiter raises the flag, then looks for segments once more. The
/// waiter pays for both sides with `membarrier(2)`, so that the sender's look costs a plain load and no fence.
package final class Doorbell: @unchecked Sendable {
  // @unchecked: the descriptor is immutable, and the flag is atomic; both live until deinit.

  private let owner: OwnedDescriptor
  /// Whether the owner is parked. In this object's memory, or in a shared region of the same lifetime.
  package let parked: UnsafeMutablePointer<Atomic<UInt32>>
  private let ownsFlag: Bool

  /// - Parameter flag: Where peers look for the flag (shared memory), zero-initialised and outliving this object; nil for
  ///   memory of its own.
  package init(flag: UnsafeMutablePointer<Atomic<UInt32>>? = nil) throws(FailureReport) {
    owner = OwnedDescriptor(
      try systemCall("eventfd", advice: "Raise the limit of open files (ulimit -n)") { tutti_eventfd() })
    ownsFlag = flag == nil
    if let flag {
      parked = flag
    } else {
      parked = .allocate(capacity: 1)
      parked.initialize(to: Atomic(0))
    }
  }

  deinit {
    if ownsFlag {
      parked.deinitialize(count: 1)
      parked.deallocate()
    }
  }

  /// The eventfd, non-blocking and close-on-exec. It is open as long as this object lives.
  package var descriptor: Int32 { owner.raw }

  /// Announces that the owner is about to park. The owner must look for work once more before it waits.
  ///
  /// - Returns: Whether senders are now certain to see the flag. If not (this kernel has no `membarrier`), limit the wait to
  ///   a millisecond.
  package func arm() -> Bool {
    parked.pointee.store(1, ordering: .relaxed)
    return tutti_membarrier() == 0
  }

  /// Announces that the owner is awake, and forgets rings received meanwhile.
  package func disarm() {
    parked.pointee.store(0, ordering: .relaxed)
    tutti_eventfd_drain(descriptor)
  }

  /// Wakes the owner unconditionally. Callable from any thread.
  package func ring() { tutti_eventfd_ring(descriptor) }

  /// The view a peer has of this doorbell, valid as long as the doorbell.
  package var view: DoorbellView { DoorbellView(descriptor: descriptor, parked: parked) }
}

/// A peer's doorbell as a sender sees it: a descriptor and a flag in memory that the sender can read. It owns neither.
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
