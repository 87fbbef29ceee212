import Testing

/// Code whose deadlines run under a clock that tests move reads no other one.
@Suite struct ClockTests {
  /// Waits and deadlines here go through the `MonotonicClock` that the control plane or the engine is given.
  static let places = [
    "Sources/TuttiBootstrap/", "Sources/TuttiEngine/", "Sources/Tutti/Collectives/", "Sources/Tutti/Messages/",
    "Sources/Tutti/Work.swift",
  ]

  @Test func timeIsReadFromTheInjectedClock() {
    let direct =
      /\bmonotonicNanoseconds\s*\(|\b(?:Continuous|Suspending)Clock\b|\b(?:clock_gettime|nanosleep|gettimeofday)\s*\(|\bClock\.(?:wait|pause|deadline|pollTimeout)\b/
    var complaints: [String] = []
    for file in Repository.swiftSources where Self.places.contains(where: { file.path.hasPrefix($0) }) {
      for index in file.lines.indices where file.code(index).contains(direct) {
        complaints.append(file.complaint(index, "reads the system's clock: use the one that is injected"))
      }
    }
    expectNone(complaints)
  }
}
