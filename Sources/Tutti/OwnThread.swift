import TuttiSystem

/// Runs `body`, which blocks, on a thread of its own, and suspends the caller until it has ended: what every asynchronous
/// form of a blocking call comes down to, so that no thread of Swift's pool waits for another rank.
///
/// Cancelling the task changes nothing: other ranks take part in what `body` does, so it goes on to its end or its limit.
///
/// - Throws: What `body` throws; `.resources` when no thread can be started, in which case `body` has not run.
package func onOwnThread<Value: Sendable>(
  _ body: @escaping @Sendable () throws(TuttiError) -> Value
) async throws(TuttiError) -> Value {
  let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<Value, TuttiError>, Never>) in
    do throws(FailureReport) {
      try startDetachedThread("tutti-call") {
        do throws(TuttiError) { continuation.resume(returning: .success(try body())) } catch {
          continuation.resume(returning: .failure(error))
        }
      }
    } catch { continuation.resume(returning: .failure(TuttiError(error))) }
  }
  return try result.get()
}
