// What a run's progress looks like as one line of text: a pure function of the numbers, so that it can be tested.

import Foundation

/// How far a run is. Anything that is not known yet is `nil`, and left out of the line.
public struct TrainingProgress: Sendable {
  /// Steps that are done.
  public var step: Int
  public var loss: Double?
  public var samplesPerSecond: Double?
  /// The share of the step's time in which compute waited for communication: 0 when all of it is hidden, at most 1.
  public var exposedCommunication: Double?

  public init(step: Int, loss: Double? = nil, samplesPerSecond: Double? = nil, exposedCommunication: Double? = nil) {
    self.step = step
    self.loss = loss
    self.samplesPerSecond = samplesPerSecond
    self.exposedCommunication = exposedCommunication
  }
}

/// What the terminal at the other end can show. `width` is in columns.
struct TerminalFeatures: Equatable {
  var isTerminal = false
  var width = 80
  var hasColors = false
  var hasUnicode = false

  /// - Parameter environment: Colours need a terminal, and no `NO_COLOR` (no-color.org); other characters than ASCII need a
  ///   locale of UTF-8; a `TERM` of `dumb` cannot go back in a line.
  init(isTerminal: Bool, width: Int, environment: [String: String]) {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
    self.isTerminal = isTerminal && environment["TERM"] != "dumb"
    self.width = width
    hasColors = self.isTerminal && environment["NO_COLOR", default: ""].isEmpty
    hasUnicode = ["utf-8", "utf8"].contains { locale.lowercased().hasSuffix($0) }
  }
}

/// - Parameters:
///   - label: What runs, for example "epoch 3"; it is the last thing to be shortened.
///   - secondsLeft: `nil` while it cannot be told.
/// - Returns: On a terminal, a line of at most `features.width - 1` columns, so that it never wraps: figures are left out
///   from the right until the rest fits, and the bar takes the room that remains. Else all figures and no bar.
func progressLine(
  _ progress: TrainingProgress, of stepCount: Int, label: String, secondsLeft: Double?, features: TerminalFeatures
) -> String {
  let share = stepCount > 0 ? min(max(Double(progress.step) / Double(stepCount), 0), 1) : 1
  let percent = "\(Int(share * 100))%"
  var figures = ["step \(progress.step)/\(stepCount)"]
  if let loss = progress.loss { figures.append("loss \(loss.isFinite ? String(format: "%.4f", loss) : "\(loss)")") }
  if let rate = progress.samplesPerSecond { figures.append("\(rateText(rate)) samples/s") }
  if let exposed = progress.exposedCommunication, exposed.isFinite {
    figures.append("exposed \(String(format: "%.0f", exposed * 100))%")
  }
  if let secondsLeft { figures.append("\(durationText(secondsLeft)) left") }
  guard features.isTerminal else { return ([label, percent].filter { !$0.isEmpty } + figures).joined(separator: "  ") }

  let barMin = 10
  let barMax = 30
  let room = max(features.width - 1, 1)
  let start = label.isEmpty ? "" : label + " "
  func tail() -> String { ([percent] + figures).joined(separator: "  ") }
  while figures.count > 1, start.count + barMin + 1 + tail().count > room { figures.removeLast() }
  let barWidth = min(room - start.count - 1 - tail().count, barMax)
  guard barWidth >= barMin else { return String((start + tail()).prefix(room)) }
  let bar = barText(share, width: barWidth, unicode: features.hasUnicode)
  return start + (features.hasColors ? "\u{1B}[36m\(bar)\u{1B}[0m" : bar) + " " + tail()
}

/// With Unicode, to an eighth of a column.
private func barText(_ share: Double, width: Int, unicode: Bool) -> String {
  guard unicode else {
    let inner = width - 2
    let full = Int(share * Double(inner))
    return "[" + String(repeating: "#", count: full) + String(repeating: ".", count: inner - full) + "]"
  }
  let eighths = Int(share * Double(width * 8))
  let parts: [Character] = ["░", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]
  var bar = String(repeating: "█", count: eighths / 8)
  if eighths / 8 < width { bar.append(parts[eighths % 8]) }
  return bar + String(repeating: "░", count: max(width - eighths / 8 - 1, 0))
}

private func rateText(_ rate: Double) -> String {
  guard rate.isFinite else { return "-" }
  if rate >= 1e6 { return String(format: "%.1fM", rate / 1e6) }
  if rate >= 1e4 { return String(format: "%.1fk", rate / 1e3) }
  return String(format: rate >= 100 ? "%.0f" : "%.1f", rate)
}

func durationText(_ seconds: Double) -> String {
  // A hundred days and more mean that it will not end.
  guard seconds.isFinite, seconds < 8_640_000 else { return "long" }
  let whole = max(Int(seconds.rounded()), 0)
  func two(_ value: Int) -> String { String(format: "%02d", value) }
  if whole < 60 { return "\(whole) s" }
  if whole < 3600 { return "\(whole / 60):\(two(whole % 60)) min" }
  return "\(whole / 3600):\(two(whole / 60 % 60)) h"
}
