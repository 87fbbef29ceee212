/// Tells the time for deadlines: by the system's monotonic clock, or by one that a test moves.
///
/// The engine, the control plane and the bootstrap are given one. Reading the system's clock through it costs one comparison
/// more.
package struct MonotonicClock: Sendable {
  /// The system's clock.
  package static let system = MonotonicClock(read: nil)

  /// Gives the time in nanoseconds, never less than before; nil for the system's clock.
  private let read: (@Sendable () -> UInt64)?

  private init(read: (@Sendable () -> UInt64)?) { self.read = read }

  /// Makes a clock of the caller's own. `read` is called from any thread and gives nanoseconds, never less than before.
  package init(_ read: @escaping @Sendable () -> UInt64) { self.init(read: read) }

  /// The time in nanoseconds.
  @inline(__always)
  package func now() -> UInt64 {
    guard let read else { return monotonicNanoseconds() }
    return read()
  }
}
