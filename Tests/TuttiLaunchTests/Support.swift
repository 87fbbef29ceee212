import Foundation
import Patience
import Testing
import TuttiSystem

/// Collects what launchers report, from whichever thread.
final class Sentences: Sendable {
  private let sentences = Lock<[String]>([])
  var all: [String] { sentences.withLock { $0 } }
  @Sendable func add(_ sentence: String) { sentences.withLock { $0.append(sentence) } }
}

/// Looks until the condition holds, for at most 10 s.
func becomesTrue(_ condition: () throws -> Bool) async throws -> Bool {
  let end = ContinuousClock.now + .seconds(10 * Patience.factor)
  while try !condition() {
    if ContinuousClock.now >= end { return false }
    try await Task.sleep(for: .milliseconds(5))
  }
  return true
}

/// Runs `body` on a thread of its own with one signal blocked.
func onAThread<Result: Sendable>(blocking signal: Int32, _ body: @escaping @Sendable () -> Result) async -> Result {
  await withCheckedContinuation { continuation in
    Thread.detachNewThread {
      var signals = sigset_t()
      sigemptyset(&signals)
      sigaddset(&signals, signal)
      pthread_sigmask(SIG_SETMASK, &signals, nil)
      continuation.resume(returning: body())
    }
  }
}
