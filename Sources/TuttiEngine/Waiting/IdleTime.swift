/// Tells for how long one driver has made no progress.
struct IdleTime {
  /// Passes that moved nothing since something last moved.
  var passes = 0
  /// Passes that moved something since ``Engine/findCause(_:)`` was called.
  var busyPasses = 0
  /// How often ``Engine/findCause(_:)`` was called.
  var looks = 0
  /// When the clock was first read since the last progress; 0 before. In the engine's time.
  var since: UInt64 = 0
  /// The time of the last look. In the engine's time.
  var now: UInt64 = 0
  /// When the driver gives up waiting, though its call goes on; by the clock.
  var until: UInt64 = .max

  /// Nanoseconds without progress, at the time of the last look. 0 also where another driver has noticed since then that the
  /// process was stopped.
  var elapsed: UInt64 { now > since ? now - since : 0 }

  /// Begins anew, because something has moved.
  mutating func reset() {
    self = IdleTime(busyPasses: busyPasses, looks: looks & 15, until: until)
  }
}
