import Testing

@testable import Charts

@Suite struct ProgressBarTests {
  private static let progress = TrainingProgress(
    step: 30, loss: 1.23456, samplesPerSecond: 12_345, exposedCommunication: 0.034)

  private static func features(terminal: Bool = true, width: Int = 80, _ environment: [String: String] = [:])
    -> TerminalFeatures
  {
    TerminalFeatures(isTerminal: terminal, width: width, environment: environment)
  }

  private static func line(_ features: TerminalFeatures, progress: TrainingProgress = progress, label: String = "digits")
    -> String
  {
    progressLine(progress, of: 120, label: label, secondsLeft: 95, features: features)
  }

  @Test func terminalsAreKnownByTheirEnvironment() {
    let unicode = ProgressBarTests.features(["LANG": "de_DE.UTF-8"])
    #expect(unicode.isTerminal && unicode.hasColors && unicode.hasUnicode)
    #expect(!ProgressBarTests.features(["LANG": "de_DE.UTF-8", "LC_ALL": "C"]).hasUnicode)
    #expect(!ProgressBarTests.features(["NO_COLOR": "1"]).hasColors && ProgressBarTests.features(["NO_COLOR": ""]).hasColors)
    #expect(!ProgressBarTests.features(["TERM": "dumb"]).isTerminal)
    #expect(!ProgressBarTests.features(terminal: false).hasColors)
  }

  @Test func linesSayEverything() {
    let plain = ProgressBarTests.line(ProgressBarTests.features(terminal: false))
    #expect(plain == "digits  25%  step 30/120  loss 1.2346  12.3k samples/s  exposed 3%  1:35 min left")
    let bar = ProgressBarTests.line(ProgressBarTests.features(width: 120, ["NO_COLOR": "1"]))
    #expect(
      bar
        == "digits [#######.....................] 25%  step 30/120  loss 1.2346  12.3k samples/s  exposed 3%  1:35 min left")
    let blocks = ProgressBarTests.line(ProgressBarTests.features(width: 120, ["NO_COLOR": "1", "LC_ALL": "C.UTF-8"]))
    #expect(blocks.hasPrefix("digits ███████▌░░░░░░░░░░░░░░░░░░░░░░ 25%  step"))
  }

  /// At every width the line stays in front of the last column, where terminals wrap.
  @Test func linesNeverWrap() {
    for width in 1...140 {
      for environment in [["NO_COLOR": "1"], ["NO_COLOR": "1", "LANG": "C.UTF-8"]] {
        let line = ProgressBarTests.line(ProgressBarTests.features(width: width, environment))
        #expect(line.count <= max(width - 1, 1) && !line.isEmpty)
        #expect(width < 60 || line.contains("loss"))
      }
    }
    #expect(!ProgressBarTests.line(ProgressBarTests.features(terminal: false)).contains("\u{1B}"))
    #expect(ProgressBarTests.line(ProgressBarTests.features()).contains("\u{1B}[36m"))
  }

  @Test func oddNumbersAreShown() {
    let features = ProgressBarTests.features(terminal: false)
    let odd = TrainingProgress(step: 500, loss: .nan, samplesPerSecond: .infinity, exposedCommunication: .nan)
    #expect(
      ProgressBarTests.line(features, progress: odd, label: "") == "100%  step 500/120  loss nan  - samples/s  1:35 min left"
    )
    #expect(
      progressLine(TrainingProgress(step: 0), of: 0, label: "", secondsLeft: nil, features: features) == "100%  step 0/0")
    #expect(durationText(59.4) == "59 s" && durationText(3600) == "1:00 h" && durationText(.infinity) == "long")
  }

  /// A bar with a clock of the test's own, and what it wrote.
  private final class Recording {
    private(set) var writes: [String] = []
    private(set) var bar: ProgressBar!
    private let start = ContinuousClock.now

    init(_ features: TerminalFeatures, firstStep: Int = 0) {
      bar = ProgressBar(
        stepCount: 1000, firstStep: firstStep, label: "", now: start, features: { features },
        write: { [unowned self] in writes.append($0) })
    }

    func update(_ step: Int, at milliseconds: Int) {
      bar.update(TrainingProgress(step: step), now: start + .milliseconds(milliseconds))
    }
  }

  @Test func terminalsAreRedrawnTenTimesASecond() {
    let recording = Recording(ProgressBarTests.features(["NO_COLOR": "1"]))
    for step in 1...1000 { recording.update(step, at: step * 2) }
    // Two seconds: at 2 ms, then every 100 ms.
    #expect(recording.writes.count == 20)
    recording.bar.finish()
    recording.bar.finish()
    #expect(recording.writes.count == 22 && recording.writes.last == "\n")
    #expect(recording.writes[20].contains("100%  step 1000/1000"))
    #expect(recording.writes.dropLast().allSatisfy { $0.hasPrefix("\r\u{1B}[K") && !$0.contains("\n") })
  }

  @Test func filesGetALineEveryFiveSeconds() {
    let recording = Recording(ProgressBarTests.features(terminal: false))
    for step in 1...1000 { recording.update(step, at: step * 12) }
    #expect(recording.writes.count == 2)
    recording.bar.finish()
    #expect(
      recording.writes == ["41%  step 417/1000  7 s left\n", "83%  step 834/1000  2 s left\n", "100%  step 1000/1000\n"])
  }

  @Test func aResumedRunTellsTheTimeLeftFromItsOwnSteps() {
    let recording = Recording(ProgressBarTests.features(terminal: false), firstStep: 900)
    recording.update(950, at: 10_000)
    #expect(recording.writes == ["95%  step 950/1000  10 s left\n"])
  }

  @Test func notesStandAboveTheBar() {
    let recording = Recording(ProgressBarTests.features(["NO_COLOR": "1"]))
    recording.bar.note("before")
    recording.update(1, at: 0)
    recording.bar.note("accuracy 97%")
    #expect(recording.writes[0] == "before\n" && recording.writes[2] == "\r\u{1B}[Kaccuracy 97%\n")
    #expect(recording.writes[3] == recording.writes[1])
    recording.bar.finish()
    recording.bar.note("after")
    #expect(recording.writes.last == "after\n")
  }

  @Test func nothingIsWrittenWithoutAnyStep() {
    let recording = Recording(ProgressBarTests.features())
    recording.bar.finish()
    #expect(recording.writes.isEmpty)
  }
}
