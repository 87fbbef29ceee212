import CTuttiLinux
import Glibc
import Synchronization

/// Mutual exclusion over an engine, held while driving it, with a hint that others wait, so that a driver can step aside.
///
/// Uncontended: one compare-and-swap in, one store and one load out. A waiter sleeps in the kernel. What a comment calls
/// "under the lock" or "without the lock" is asserted in debug builds, which know the thread that holds it.
struct EngineLock: ~Copyable {
  /// 0 free, 1 held.
  private let word: UnsafeMutablePointer<Atomic<UInt32>>
  private let waiters: UnsafeMutablePointer<Atomic<UInt32>>
  /// The thread that holds it, as `pthread_self` names it; 0 for none. Written in debug builds alone.
  private let owner: UnsafeMutablePointer<Atomic<UInt>>

  init() {
    word = .allocate(capacity: 1)
    word.initialize(to: Atomic(0))
    waiters = .allocate(capacity: 1)
    waiters.initialize(to: Atomic(0))
    owner = .allocate(capacity: 1)
    owner.initialize(to: Atomic(0))
  }

  deinit {
    word.deallocate()
    waiters.deallocate()
    owner.deallocate()
  }

  @inline(__always)
  func tryLock() -> Bool {
    let isTaken =
      word.pointee.compareExchange(expected: 0, desired: 1, successOrdering: .acquiring, failureOrdering: .relaxed).exchanged
    assert(!isTaken || noteOwner(UInt(pthread_self())))
    return isTaken
  }

  @inline(__always)
  func lock() {
    assertNotHeld()
    if !tryLock() { lockSlowly() }
  }

  @inline(never)
  private func lockSlowly() {
    waiters.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
    while !tryLock() {
      // Woken by unlock; the bound covers an unlock that did not see this waiter.
      tutti_futex_wait(word, 1, 1_000_000)
    }
    waiters.pointee.wrappingSubtract(1, ordering: .relaxed)
  }

  @inline(__always)
  func unlock() {
    assertHeld()
    assert(noteOwner(0))
    word.pointee.store(0, ordering: .releasing)
    if waiters.pointee.load(ordering: .relaxed) != 0 { tutti_futex_wake(word, 1) }
  }

  /// Whether somebody waits for the lock.
  @inline(__always)
  var isContended: Bool { waiters.pointee.load(ordering: .relaxed) != 0 }

  /// Lets a waiter go first.
  func yield() {
    unlock()
    for _ in 0..<64 where isContended { tutti_pause() }
    tutti_yield()
    lock()
  }

  // MARK: Assertions

  /// What follows belongs to the holder of the lock: in a debug build, stops where that is not the calling thread.
  @inline(__always)
  func assertHeld() { assert(isHeldByThisThread, "this is for the holder of the engine's lock") }

  /// What follows may block, or takes the lock: in a debug build, stops where the calling thread holds it.
  @inline(__always)
  func assertNotHeld() { assert(!isHeldByThisThread, "the engine's lock must not be held here") }

  /// Whether the calling thread holds the lock. Debug builds alone know.
  private var isHeldByThisThread: Bool { owner.pointee.load(ordering: .relaxed) == UInt(pthread_self()) }

  private func noteOwner(_ thread: UInt) -> Bool {
    owner.pointee.store(thread, ordering: .relaxed)
    return true
  }
}
