import Foundation
import Testing

@testable import DataParallelTrainer

/// What the overlap report makes of its measurements, and that the command runs.
@Suite struct OverlapTests {
  private func report(ready: [Double], bytes: [Int], communication: Double = 4, overlapped: Double = 10) -> OverlapReport {
    OverlapReport(
      ranks: 2, transport: "tcp", parameters: 20_000_000, rows: 1,
      rounds: [.init(computation: 9, communication: communication, overlapped: overlapped, sequential: 13)],
      buckets: zip(bytes, ready).map { .init(bytes: $0, ready: $1) },
      stateBytes: 100,
      shardedStateBytes: 50)
  }

  @Test func possibleStepFollowsTheBuckets() {
    // Each takes a second; none waits for another, and the last one is ready with the computation.
    #expect(report(ready: [3, 5, 7, 9], bytes: [1, 1, 1, 1]).possibleStep == 10)
    // The second and third wait for the one before.
    #expect(report(ready: [3, 3.5, 4, 4.5], bytes: [1, 1, 1, 1]).possibleStep == 9)
    #expect(report(ready: [7, 7.5, 8, 8], bytes: [1, 1, 1, 1]).possibleStep == 11)
    // Shares are by bytes.
    #expect(report(ready: [5, 9], bytes: [3, 1]).possibleStep == 10)
  }

  @Test func overlapIsWhatWasHidden() {
    let report = report(ready: [3, 5, 7, 9], bytes: [1, 1, 1, 1])
    #expect(report.overlap == 0.75 && report.possibleOverlap == 0.75 && report.firstBucket == 1)
    #expect(report.bars.map(\.isMet) == [true, true, true, true])
    let poor = self.report(ready: [3, 5, 7, 9], bytes: [1, 1, 1, 1], overlapped: 12)
    #expect(poor.overlap == 0.25 && poor.bars.map(\.isMet) == [true, false, false, true])
    #expect(poor.table.contains("missed  overlap / what is possible"))
  }

  /// A machine that is slower in one round than in another is compared with itself.
  @Test func roundsAreComparedEachOnItsOwn() {
    var report = report(ready: [3, 5, 7, 9], bytes: [1, 1, 1, 1])
    report.rounds = [1, 2, 4].map {
      .init(computation: 9 * $0, communication: 4 * $0, overlapped: 10 * $0, sequential: 13 * $0)
    }
    #expect(report.overlap == 0.75 && report.computation == 18 && report.stepRatio == 1)
  }

  @Test func commandMeasures() async throws {
    let sizes = "overlap --ranks 2 --width 32 --layers 2 --heads 2 --context 16 --rounds 2"
    let outcome = try await Tool.run("\(sizes) --format json")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let report = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    for key in ["computationSeconds", "communicationSeconds", "overlappedStepSeconds", "possibleStepSeconds"] {
      #expect((report[key] as? Double ?? 0) > 0, "\(key)")
    }
    #expect((report["bars"] as? [Any])?.count == 4)
    // So small a model misses the first bar.
    #expect(try await Tool.run("\(sizes) --rows 1 --check").status == 1)
    let alone = try await Tool.run("overlap")
    #expect(alone.status == 1 && alone.errors.contains("give --ranks N"))
  }
}
