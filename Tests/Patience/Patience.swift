import Glibc
import TuttiSystem

/// How long tests are patient: what their limits of time are multiplied by, so that a machine that is busy with something
/// else makes no test fail.
///
/// When a limit is asked for, this measures how much of the processors this process gets: two threads compute, and are
/// timed. A machine that has two processors for them gives 1. The largest result of the last minute counts, since the wait
/// that is judged lies behind.
package enum Patience {
  /// 1 where nothing else runs; under a sanitizer, which makes everything slower, ten times as much.
  package static var factor: Int { (isSanitized ? 10 : 1) * max(given, measured()) }

  /// - Parameter seconds: A limit on a machine where nothing else runs.
  package static func seconds(_ seconds: Double) -> Double { seconds * Double(factor) }

  /// - Parameter seconds: A limit on a machine where nothing else runs, from now.
  /// - Returns: The time on the monotonic clock, in nanoseconds, when it is over.
  package static func deadline(seconds: Double) -> UInt64 {
    monotonicNanoseconds() + UInt64(Patience.seconds(seconds) * 1e9)
  }

  package static let isSanitized = getenv("TUTTI_TEST_SANITIZER") != nil

  /// The factor that Scripts/test has measured, because inside a virtual machine nobody can measure it.
  private static let given = getenv("TUTTI_TEST_PATIENCE").flatMap { Int(String(cString: $0)) } ?? 1
  /// Nobody waits for ever, however little the machine gives.
  private static let most = 20

  private static let computedNanoseconds: UInt64 = 30_000_000
  private static let secondNanoseconds: UInt64 = 1_000_000_000
  private static let history = Lock<[(time: UInt64, factor: Int)]>([])

  private static func measured() -> Int {
    history.withLock { history in
      let now = monotonicNanoseconds()
      history.removeAll { now - $0.time > 60 * secondNanoseconds }
      if now - (history.last?.time ?? 0) > 5 * secondNanoseconds {
        // A third more than the least is noise.
        let stretch = Double(longestComputation()) / Double(computedNanoseconds)
        history.append((now, min(most, max(1, Int((stretch + 0.65).rounded(.down))))))
      }
      return history.map(\.factor).max() ?? 1
    }
  }

  /// How long two threads take that want the same processor time each, in nanoseconds.
  private static func longestComputation() -> UInt64 {
    let times = Lock<[UInt64]>([])
    @Sendable func compute() {
      let start = monotonicNanoseconds()
      let end = processorNanoseconds() + computedNanoseconds
      while processorNanoseconds() < end {}
      times.withLock { $0.append(monotonicNanoseconds() - start) }
    }
    // Without the second thread, which a process may be refused, the first one says enough.
    let count = (try? startDetachedThread("patience", compute)) == nil ? 1 : 2
    compute()
    while times.withLock({ $0.count }) < count { usleep(1000) }
    return times.withLock { $0.max() ?? 0 }
  }

  /// The processor time of the calling thread.
  private static func processorNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * secondNanoseconds + UInt64(time.tv_nsec)
  }
}
