import TuttiSystem
import TuttiTransport

/// How this rank's large segments may travel over shared memory: what it is told by variables, and measures otherwise.
package struct PathSettings: Equatable, Sendable {
  /// Whether large segments are copied once, by their receiver, from the process of their sender. With `on`, segments to a
  /// single receiver always are, wherever that receiver can copy them. With `off`, this rank copies nothing from others, and
  /// lets no other copy what it sends.
  package var singleCopy = PathSetting.auto
  /// Whether windows are written past the caches of the core that writes them.
  package var streamedWindows = PathSetting.auto

  static let singleCopyVariable = "TUTTI_SINGLE_COPY"
  static let streamedWindowsVariable = "TUTTI_STREAMED_WINDOWS"

  package init(singleCopy: PathSetting = .auto, streamedWindows: PathSetting = .auto) {
    self.singleCopy = singleCopy
    self.streamedWindows = streamedWindows
  }

  /// - Throws: `.configuration` for any other value.
  package init(_ environment: [String: String]) throws(FailureReport) {
    singleCopy = try PathSetting(Self.singleCopyVariable, environment)
    streamedWindows = try PathSetting(Self.streamedWindowsVariable, environment)
  }
}

extension PathSettings {
  /// The ways between which a large segment has the choice.
  var ways: SegmentWays {
    var ways: SegmentWays = singleCopy == .auto ? .held : []
    if streamedWindows != .on { ways.insert(.window) }
    if streamedWindows != .off { ways.insert(.streamedWindow) }
    return ways
  }
}

/// Whether large segments go a certain way.
package enum PathSetting: String, CaseIterable, Sendable {
  /// Whether that is faster is measured as the job runs.
  case auto
  case on
  case off

  init(_ variable: String, _ environment: [String: String]) throws(FailureReport) {
    guard let value = environment[variable], !value.isEmpty else {
      self = .auto
      return
    }
    guard let setting = Self(rawValue: value) else {
      throw FailureReport(
        .configuration, "\(variable) is '\(value)'",
        advice: "Set it to one of \(Self.allCases.map(\.rawValue).joined(separator: ", ")), or not at all")
    }
    self = setting
  }
}
