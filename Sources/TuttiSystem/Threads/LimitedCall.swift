/// Calls `body`, which may block for longer than it should, on a thread of its own.
///
/// - Parameters:
///   - name: The name of the thread; 15 bytes at most.
///   - deadline: When to stop waiting, by `clock`.
///   - message: The message of the failure where no thread can be started.
/// - Returns: What `body` returned; nil when the deadline has passed: the thread is left behind, and must do no harm then.
package func limitedCall<Value: Sendable>(
  _ name: String, until deadline: UInt64, clock: MonotonicClock, rank: Int = -1, orElse message: String,
  _ body: @escaping @Sendable () -> Value
) throws(FailureReport) -> Value? {
  let answer = LimitedAnswer<Value>()
  try startDetachedThread(name, rank: rank, orElse: message) {
    let value = body()
    answer.value.withLock { $0 = value }
  }
  _ = clock.wait(until: deadline) { answer.value.withLock { $0 != nil } }
  return answer.value.withLock { $0 }
}

private final class LimitedAnswer<Value: Sendable>: Sendable {
  let value = Lock<Value?>(nil)
}
