import Glibc

/// A pthread mutex and the value that it protects, which one thread at a time may use.
///
/// It stands in for `Synchronization.Mutex`, whose futex the thread sanitizer does not see: it would report every use as a
/// race. It is not recursive. A value that is not Sendable must not leave ``withLock(_:)``.
package final class Lock<Value>: @unchecked Sendable {
  // @unchecked: `value` is reached through `withLock` only. The mutex's memory lives until deinit.
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private var value: Value

  package init(_ value: sending Value) {
    mutex = .allocate(capacity: 1)
    mutex.initialize(to: pthread_mutex_t())
    pthread_mutex_init(mutex, nil)
    self.value = value
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  package func withLock<Result, Failure: Error>(
    _ body: (inout Value) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body(&value)
  }
}
