import TuttiSystem

/// Whether large segments are copied once, by their receiver, from the process of their sender: `TUTTI_SINGLE_COPY`.
package enum SingleCopy: String, CaseIterable, Sendable {
  /// It is measured whether that or a window is faster, as the job runs.
  case auto
  /// Segments to one receiver are, wherever that receiver can.
  case on
  /// This rank copies nothing from others, and others copy from it only what they have measured or been told to.
  case off

  static let variable = "TUTTI_SINGLE_COPY"

  /// - Throws: `.configuration` for a value that there is none of.
  package init(_ environment: [String: String]) throws(FailureReport) {
    guard let value = environment[Self.variable], !value.isEmpty else {
      self = .auto
      return
    }
    guard let setting = Self(rawValue: value) else {
      throw FailureReport(
        .configuration, "\(Self.variable) is '\(value)'",
        advice: "Set it to one of \(Self.allCases.map(\.rawValue).joined(separator: ", ")), or not at all")
    }
    self = setting
  }
}
