// The progress of a run on standard error. Invariant: on a terminal exactly one line is redrawn, and it is the last one;
// where output goes to a file only whole lines are written, few of them.

import Foundation

/// A line that says how far a run is.
///
/// On a terminal it is redrawn at most ten times a second, in the terminal's width as it is then; elsewhere it is a plain
/// line every five seconds, and one at the end. Use it from one thread.
public final class ProgressBar {
  static let redrawInterval = Duration.milliseconds(100)
  static let lineInterval = Duration.seconds(5)

  /// What runs, as a text before the bar; it may change from one step to the next.
  public var label: String
  private let stepCount: Int
  private let firstStep: Int
  private let features: () -> TerminalFeatures
  private let write: (String) -> Void
  private let started: ContinuousClock.Instant
  private var lastDrawn: ContinuousClock.Instant?
  private var latest: (progress: TrainingProgress, now: ContinuousClock.Instant)?
  private var isOnScreen = false
  private var isFinished = false

  /// - Parameters:
  ///   - stepCount: Steps of the whole run, those before a restart too.
  ///   - firstStep: Steps that were done before this process; the time left is estimated from the others.
  public convenience init(stepCount: Int, firstStep: Int = 0, label: String = "") {
    let environment = ProcessInfo.processInfo.environment
    let isTerminal = isatty(STDERR_FILENO) == 1
    self.init(
      stepCount: stepCount, firstStep: firstStep, label: label, now: .now,
      features: {
        TerminalFeatures(
          isTerminal: isTerminal, width: isTerminal ? ProgressBar.terminalWidth() : 80, environment: environment)
      },
      write: { line in
        // Progress that nobody can read is no reason to end a run.
        try? FileHandle.standardError.write(contentsOf: Data(line.utf8))
      })
  }

  init(
    stepCount: Int, firstStep: Int, label: String, now: ContinuousClock.Instant, features: @escaping () -> TerminalFeatures,
    write: @escaping (String) -> Void
  ) {
    self.stepCount = stepCount
    self.firstStep = firstStep
    self.label = label
    self.features = features
    self.write = write
    started = now
  }

  /// Tells the bar how far the run is, after each step. It is cheap when it is too early to draw.
  public func update(_ progress: TrainingProgress) { update(progress, now: .now) }

  /// Writes a line above the bar.
  public func note(_ line: String) {
    let features = features()
    write((isOnScreen ? ProgressBar.clearLine : "") + line + "\n")
    isOnScreen = false
    if let latest, features.isTerminal, !isFinished { draw(latest.progress, features, now: latest.now) }
  }

  /// Draws the last state and ends the line. Further calls do nothing.
  public func finish() {
    guard !isFinished else { return }
    isFinished = true
    guard let latest else { return }
    let features = features()
    draw(latest.progress, features, now: latest.now)
    if features.isTerminal { write("\n") }
    isOnScreen = false
  }

  func update(_ progress: TrainingProgress, now: ContinuousClock.Instant) {
    guard !isFinished else { return }
    latest = (progress, now)
    // Asking for the terminal's width costs a system call, so that is only done when it is time to draw.
    if let lastDrawn, lastDrawn.duration(to: now) < ProgressBar.redrawInterval { return }
    let features = features()
    if !features.isTerminal, (lastDrawn ?? started).duration(to: now) < ProgressBar.lineInterval { return }
    draw(progress, features, now: now)
  }

  private static let clearLine = "\r\u{1B}[K"

  private func draw(_ progress: TrainingProgress, _ features: TerminalFeatures, now: ContinuousClock.Instant) {
    let line = progressLine(
      progress, of: stepCount, label: label, secondsLeft: secondsLeft(progress, now: now), features: features)
    write(features.isTerminal ? ProgressBar.clearLine + line : line + "\n")
    isOnScreen = features.isTerminal
    lastDrawn = now
  }

  private func secondsLeft(_ progress: TrainingProgress, now: ContinuousClock.Instant) -> Double? {
    let done = progress.step - firstStep
    guard done > 0, progress.step < stepCount else { return nil }
    return (started.duration(to: now) / .seconds(1)) / Double(done) * Double(stepCount - progress.step)
  }

  private static func terminalWidth() -> Int {
    var size = winsize()
    guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }
}
