import Glibc
import Testing

@testable import Tutti

/// What a join says about the time it took.
@Suite struct JoinPhasesTests {
  @Test func partsAddUp() throws {
    var phases = JoinPhases()
    usleep(20_000)
    phases.end("meeting")
    phases.end("placement and threads")
    #expect(phases.seconds >= 0.02)
    let text = phases.description(rankCount: 512)
    #expect(text.hasPrefix("joined 512 ranks in 0.") && text.contains(" s: meeting 0."), "\(text)")
    #expect(text.contains(" s, placement and threads 0") && text.hasSuffix(" s"), "\(text)")
  }
}
