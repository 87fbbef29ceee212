import TuttiSystem

/// How long joining may take, where this rank listens, and how others reach it: `TUTTI_TIMEOUT`, `TUTTI_LINK_PATIENCE`,
/// `TUTTI_INTERFACE`, `TUTTI_PORT_RANGE`, `TUTTI_ADVERTISE`.
package struct NetworkSettings: Hashable, Sendable {
  /// Seconds for the whole join; nil for a limit that fits the number of ranks.
  package var joinTimeoutSeconds: Double?
  /// An interface's name or a subnet as `10.0.0.0/8`; nil: the interface that reaches rank 0.
  package var interface: String?
  /// Ports for listeners; nil: any.
  package var portRange: ClosedRange<UInt16>?
  /// Addresses, without ports, that lead to this rank from elsewhere, best first: of a NAT, an elastic or a service address.
  package var advertised: [SocketAddress]
  /// How long a network that carries nothing is waited for before its host counts as lost.
  package var linkPatience: LinkPatience

  package init(
    joinTimeoutSeconds: Double? = nil, interface: String? = nil, portRange: ClosedRange<UInt16>? = nil,
    advertised: [SocketAddress] = [], linkPatience: LinkPatience = .standard
  ) {
    self.joinTimeoutSeconds = joinTimeoutSeconds
    self.interface = interface
    self.portRange = portRange
    self.advertised = advertised
    self.linkPatience = linkPatience
  }

  /// Seconds that ranks have to meet. A processor takes a tenth of a second for each of many ranks.
  package func joinSeconds(rankCount: Int) -> Double { joinTimeoutSeconds ?? 60 + Double(rankCount) / 8 }

  /// - Throws: `.configuration` naming the variable, its value and what to set. Whether the interface exists is seen at the
  /// join.
  package static func read(_ environment: [String: String]) throws(FailureReport) -> NetworkSettings {
    let variables = EnvironmentReader(environment)
    var settings = NetworkSettings(interface: variables["TUTTI_INTERFACE"])
    if let text = variables["TUTTI_TIMEOUT"] {
      guard let seconds = Double(text), seconds > 0, seconds <= 1e6 else {
        throw FailureReport(
          .configuration, "TUTTI_TIMEOUT=\"\(text)\" is not a number of seconds above 0 and up to 1000000",
          advice: "Set it to how long joining may take, or unset it for 60 s and an eighth of a second for each rank")
      }
      settings.joinTimeoutSeconds = seconds
    }
    settings.linkPatience = try LinkPatience.read(environment)
    settings.advertised = try readAdvertised(variables)
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

  private static func readAdvertised(_ variables: EnvironmentReader) throws(FailureReport) -> [SocketAddress] {
    guard let text = variables["TUTTI_ADVERTISE"] else { return [] }
    var addresses: [SocketAddress] = []
    for word in text.split(separator: ",", omittingEmptySubsequences: false) {
      guard let address = SocketAddress(numeric: String(word), port: 0), !address.isUnspecified else {
        throw FailureReport(
          .configuration, "TUTTI_ADVERTISE=\"\(text)\" is not a list of addresses",
          advice: "Set it to addresses without ports, such as 203.0.113.7,2001:db8::7, that lead to this rank's host")
      }
      addresses.append(address)
    }
    return addresses
  }
}
