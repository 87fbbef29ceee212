import Testing
import TuttiSystem

@testable import Tutti

/// What a join says about the time it took.
@Suite struct JoinPhasesTests {
  @Test func partsAddUp() {
    let time = Lock(5 * Clock.second)
    var phases = JoinPhases(clock: MonotonicClock { time.withLock { $0 } })
    for (part, nanoseconds) in [("meeting", 3 * Clock.second), ("threads", 250 * Clock.millisecond), ("nothing", 0)] {
      time.withLock { $0 += nanoseconds }
      phases.end(part)
    }
    #expect(phases.seconds == 3.25)
    let text = phases.description(rankCount: 512)
    #expect(text == "joined 512 ranks in 3.25 s: meeting 3 s, threads 0.25 s, nothing 0 s")
  }
}
