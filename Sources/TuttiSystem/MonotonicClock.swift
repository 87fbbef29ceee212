/// Tells the time for deadlines, and waits: by the system's monotonic clock, or by one that a test moves.
///
/// The engine, the control plane and the bootstrap are given one. Reading the system's clock through it costs one comparison
/// more.
package struct MonotonicClock: Sendable {
  /// The system's clock.
  package static let system = MonotonicClock(read: nil, sleep: nil)

  /// Gives the time in nanoseconds, never less than before; nil for the system's clock.
  private let read: (@Sendable () -> UInt64)?
  /// Lets so many nanoseconds pass; nil to sleep as long by the system's clock.
  private let sleep: (@Sendable (UInt64) -> Void)?

  private init(read: (@Sendable () -> UInt64)?, sleep: (@Sendable (UInt64) -> Void)?) {
    self.read = read
    self.sleep = sleep
  }

  /// Makes a clock of the caller's own.
  ///
  /// - Parameters:
  ///   - read: Gives the time in nanoseconds, never less than before. Called from any thread.
  ///   - pause: Lets so many nanoseconds pass; nil to sleep as long by the system's clock.
  package init(_ read: @escaping @Sendable () -> UInt64, pause: (@Sendable (UInt64) -> Void)? = nil) {
    self.init(read: read, sleep: pause)
  }

  /// The time in nanoseconds.
  @inline(__always)
  package func now() -> UInt64 {
    guard let read else { return monotonicNanoseconds() }
    return read()
  }

  /// The time when `timeout` from now is over; now where it is negative.
  package func deadline(after timeout: Duration) -> UInt64 {
    let (seconds, attoseconds) = max(timeout, .zero).components
    return now() &+ UInt64(min(seconds, 1 << 30)) * Clock.second &+ UInt64(attoseconds / 1_000_000_000)
  }

  /// Lets `nanoseconds` pass, or less when a signal comes.
  package func pause(_ nanoseconds: UInt64) {
    if let sleep { sleep(nanoseconds) } else { Clock.pause(nanoseconds) }
  }

  /// Waits for at most so many nanoseconds of this clock's time, or until something has come; may return early.
  ///
  /// - Parameter wait: Waits in the kernel, for so many nanoseconds at most. With a clock that a test moves it is not
  ///   called: time passes as it does in ``pause(_:)``.
  package func wait(atMost nanoseconds: UInt64, _ wait: (UInt64) -> Void) {
    if let sleep { sleep(nanoseconds) } else { wait(nanoseconds) }
  }

  /// Looks every millisecond whether `condition` holds, until `deadline`. For failure and join paths only.
  package func wait(until deadline: UInt64, for condition: () -> Bool) -> Bool {
    while !condition() {
      if now() >= deadline { return condition() }
      pause(Clock.millisecond)
    }
    return true
  }

  /// Lets `look` wait for descriptors until it finds some, or until `deadline`. The system cannot wait by another clock than
  /// its own: with such a clock, `look` does not wait, and is called again a millisecond later.
  ///
  /// - Parameter look: Waits for so many milliseconds at most, as `poll(2)` does. Gives what that returns; 0 also when a
  ///   signal ended it.
  /// - Returns: What `look` gave last; 0 at the deadline.
  package func poll(until deadline: UInt64, _ look: (_ milliseconds: Int32) -> Int32) -> Int32 {
    while true {
      let found = look(read == nil ? Clock.pollTimeout(until: deadline) : 0)
      if found != 0 || now() >= deadline { return found }
      if read != nil { pause(Clock.millisecond) }
    }
  }

  /// The time on the system's clock when this one will show `time`, if it goes as fast: for the timers of the system.
  package func systemTime(at time: UInt64) -> UInt64 {
    guard read != nil else { return time }
    let now = now()
    return monotonicNanoseconds() &+ (max(time, now) - now)
  }
}
