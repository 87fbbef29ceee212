import TuttiSystem

/// Whether large segments are copied once, by their receiver, from the process of their sender: `TUTTI_SINGLE_COPY`.
package enum SingleCopy: String, CaseIterable, Sendable {
  /// Whichever is faster, this or a window: it is measured as the job runs.
  case auto
  /// Segments to a single receiver always are, wherever that receiver can copy them.
  case on
  /// This rank copies nothing from others. Others may still copy what it sends, unless they are set to `off` as well.
  case off

  static let variable = "TUTTI_SINGLE_COPY"

  /// - Throws: `.configuration` for any other value.
  package init(_ environment: [String: String]) throws(FailureReport) {
    guard let value = environment[Self.variable], !value.isEmpty else {
      self = .auto
      return
    }
    guard let setting = Self(rawValue: value) else {
      throw FailureReport(
        .configuration, "\(Self.variable)=\"\(value)\" is none of \(Self.allCases.map(\.rawValue).joined(separator: ", "))",
        advice: "Set it to one of these, or unset it for auto")
    }
    self = setting
  }
}
