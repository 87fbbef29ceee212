/// How long a network that carries nothing is waited for: `TUTTI_LINK_PATIENCE`, in seconds.
///
/// A link that is down for less than this costs time and nothing else. After that, its host counts as lost, and is named.
/// The death of a process is noticed without this wait, because its kernel tells at once.
package struct LinkPatience: Hashable, Sendable {
  package let seconds: Int

  /// Long enough for a cable that is put into another port, a switch that starts again, and TCP's next attempt after it.
  package static let standard = LinkPatience(seconds: 45)

  package init(seconds: Int) { self.seconds = seconds }

  /// - Throws: `.configuration` naming the variable and its value.
  package static func read(_ environment: [String: String]) throws(FailureReport) -> LinkPatience {
    guard let text = environment["TUTTI_LINK_PATIENCE"], !text.isEmpty else { return .standard }
    guard let seconds = Int(text), (1...3600).contains(seconds) else {
      throw FailureReport(
        .configuration, "TUTTI_LINK_PATIENCE=\"\(text)\" is not a number of seconds from 1 to 3600",
        advice: "Set it to how long a network may carry nothing before its host counts as lost, or unset it for "
          + "\(standard.seconds)")
    }
    return LinkPatience(seconds: seconds)
  }
}
