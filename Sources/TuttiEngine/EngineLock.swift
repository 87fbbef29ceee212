import CTuttiLinux
import Synchronization

/// Mutual exclusion over an engine, held while driving it, with a hint that others wait, so that a driver can step aside.
///
/// Uncontended: one compare-and-swap in, one store and one load out. A waiter sleeps in the kernel.
struct EngineLock: ~Copyable {
  /// 0 free, 1 held.
  private let word: UnsafeMutablePointer<Atomic<UInt32>>
  private let waiters: UnsafeMutablePointer<Atomic<UInt32>>

  init() {
    word = .allocate(capacity: 1)
    word.initialize(to: Atomic(0))
    waiters = .allocate(capacity: 1)
    waiters.initialize(to: Atomic(0))
  }

  deinit {
    word.deallocate()
    waiters.deallocate()
  }

  @inline(__always)
  func tryLock() -> Bool {
    word.pointee.compareExchange(expected: 0, desired: 1, successOrdering: .acquiring, failureOrdering: .relaxed).exchanged
  }

  @inline(__always)
  func lock() {
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
}
