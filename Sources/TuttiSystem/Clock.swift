import Glibc

// Deadlines are absolute, in nanoseconds of the monotonic clock.

package enum Clock {
  package static let millisecond: UInt64 = 1_000_000
  package static let second: UInt64 = 1_000_000_000

  /// The time `seconds` from now; saturates.
  package static func deadline(seconds: Double) -> UInt64 {
    monotonicNanoseconds() + UInt64(min(max(seconds, 0), 1e9) * 1e9)
  }

  /// The time limit for `poll(2)`: milliseconds until `deadline`, rounded up; 0 when it has passed.
  package static func pollTimeout(until deadline: UInt64) -> Int32 {
    let now = monotonicNanoseconds()
    guard deadline > now else { return 0 }
    return Int32(clamping: (deadline - now + millisecond - 1) / millisecond)
  }

  /// Sleeps for `nanoseconds`, or less when a signal comes.
  package static func pause(_ nanoseconds: UInt64) {
    var duration = timespec(tv_sec: Int(nanoseconds / second), tv_nsec: Int(nanoseconds % second))
    nanosleep(&duration, nil)
  }

  /// Checks every millisecond whether `condition` holds, until `deadline`. For failure and join paths only.
  package static func wait(until deadline: UInt64, for condition: () -> Bool) -> Bool {
    MonotonicClock.system.wait(until: deadline, for: condition)
  }
}

/// Seconds as a person writes them: `60`, `0.5`.
package func secondsText(_ seconds: Double) -> String {
  let rounded = (seconds * 1000).rounded() / 1000
  return rounded == rounded.rounded() && abs(rounded) < 1e15 ? String(Int(rounded)) : String(rounded)
}
