import Testing

/// Modules whose deadlines run under a clock that tests move read no other one.
@Suite struct ClockTests {
  /// Waits and deadlines go through the `MonotonicClock` that these modules are given.
  static let modules: Set = ["TuttiBootstrap", "TuttiEngine"]

  @Test func timeIsReadFromTheInjectedClock() {
    let direct =
      /\bmonotonicNanoseconds\s*\(|\b(?:Continuous|Suspending)Clock\b|\b(?:clock_gettime|nanosleep|gettimeofday)\s*\(|\bClock\.(?:wait|pause|deadline|pollTimeout)\b/
    var complaints: [String] = []
    for file in Repository.swiftSources where Self.modules.contains(file.module) {
      for index in file.lines.indices where file.code(index).contains(direct) {
        complaints.append(file.complaint(index, "reads the system's clock: use the one that is injected"))
      }
    }
    expectNone(complaints)
  }
}
