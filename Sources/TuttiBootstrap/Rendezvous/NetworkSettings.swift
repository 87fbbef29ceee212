import TuttiSystem

/// How long joining may take and where this rank listens: `TUTTI_TIMEOUT`, `TUTTI_INTERFACE`, `TUTTI_PORT_RANGE`.
package struct NetworkSettings: Hashable, Sendable {
  /// Seconds for the whole join.
  package var joinTimeoutSeconds: Double
  /// An interface's name or a subnet as `10.0.0.0/8`; nil: the interface that reaches rank 0.
  package var interface: String?
  /// Ports for listeners; nil: any.
  package var portRange: ClosedRange<UInt16>?

  package init(joinTimeoutSeconds: Double = 60, interface: String? = nil, portRange: ClosedRange<UInt16>? = nil) {
    self.joinTimeoutSeconds = joinTimeoutSeconds
    self.interface = interface
    self.portRange = portRange
  }

  /// - Throws: `.configuration` naming the variable, its value and what to set. Whether the interface exists is seen at the
  /// join.
  package static func read(_ environment: [String: String]) throws(FailureReport) -> NetworkSettings {
    let variables = EnvironmentReader(environment)
    var settings = NetworkSettings(interface: variables["TUTTI_INTERFACE"])
    if let text = variables["TUTTI_TIMEOUT"] {
      guard let seconds = Double(text), seconds > 0, seconds <= 1e6 else {
        throw FailureReport(
          .configuration, "TUTTI_TIMEOUT=\"\(text)\" is not a number of seconds above 0 and up to 1000000",
          advice: "Set it to how long joining may take, or unset it for 60")
      }
      settings.joinTimeoutSeconds = seconds
    }
    if let text = variables["TUTTI_PORT_RANGE"] {
      let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
      guard ends.count == 2, let low = ends[0], let high = ends[1], low > 0, low <= high else {
        throw FailureReport(
          .configuration, "TUTTI_PORT_RANGE=\"\(text)\" is not a range of ports",
          advice: "Set it to FIRST-LAST, for example 40000-40100, with a port for each rank on a host and communicator")
      }
      settings.portRange = low...high
    }
    return settings
  }
}
