import Testing
import TuttiSystem

@testable import TuttiBootstrap

/// The first cause, and who is told of it.
@Suite struct FailureSpreadTests {
  private func cause(_ text: String) -> FailureReport { FailureReport(.aborted, text) }

  @Test func onlyTheFirstCauseSpreads() {
    var spread = FailureSpread()
    #expect(spread.lateNews == nil && !spread.isOver)
    let first = spread.report(cause("first"), from: 4)
    #expect(first?.source == 4 && first?.isAnnounced == false)
    guard case .abort(let told)? = first?.message, told.message == "first" else {
      Issue.record("the cause is not what is told")
      return
    }
    #expect(spread.report(cause("second"), from: nil) == nil)
    #expect(spread.firstCause?.message == "first" && spread.isOver)
    guard case .abort(let late)? = spread.lateNews, late.message == "first" else {
      Issue.record("an edge that is attached later is not told")
      return
    }
  }

  @Test func whoHasLeftFailsNoMore() {
    var spread = FailureSpread()
    #expect(spread.leave() && !spread.leave())
    #expect(spread.report(cause("late"), from: 1) == nil && spread.firstCause == nil && spread.isOver)
  }

  /// In whatever order things happen: the runtime hears of a failure exactly once, from the moment it listens, unless the
  /// rank left first.
  @Test(arguments: machineSeeds(200))
  func theRuntimeHearsOnce(_ seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var spread = FailureSpread()
    var events = ["listen", "leave"] + (0..<Int.random(in: 0..<4, using: &generator)).map { "\($0)" }
    events.shuffle(using: &generator)
    var heard: [String] = []
    var expected: String?
    var hasLeft = false
    for event in events {
      switch event {
      case "listen": if let missed = spread.listen() { heard.append(missed.message) }
      case "leave": hasLeft = spread.leave()
      default:
        if expected == nil, !hasLeft { expected = event }
        let told = spread.report(cause(event), from: nil)
        #expect((told != nil) == (expected == event), "seed \(seed): \(events)")
        if told?.isAnnounced == true { heard.append(event) }
      }
    }
    #expect(heard == (expected.map { [$0] } ?? []), "seed \(seed): \(events)")
  }
}
