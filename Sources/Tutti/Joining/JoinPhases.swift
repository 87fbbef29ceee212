import TuttiSystem

/// How long each part of a join has taken on this rank. Rank 0 logs it: there, a part ends when the last rank has come that
/// far.
struct JoinPhases {
  private let clock: MonotonicClock
  private let began: UInt64
  private var ended: UInt64
  private var parts: [(name: String, seconds: Double)] = []

  init(clock: MonotonicClock = .system) {
    self.clock = clock
    began = clock.now()
    ended = began
  }

  /// Ends a part, which began where the one before it ended.
  mutating func end(_ part: String) {
    let now = clock.now()
    parts.append((part, Double(now - ended) / 1e9))
    ended = now
  }

  var seconds: Double { Double(ended - began) / 1e9 }

  /// `joined 512 ranks in 3.2 s: settings and devices 0.02 s, meeting 2.1 s, ...`
  func description(rankCount: Int) -> String {
    "joined \(rankCount) ranks in \(secondsText(seconds)) s: "
      + parts.map { "\($0.name) \(secondsText($0.seconds)) s" }.joined(separator: ", ")
  }
}
