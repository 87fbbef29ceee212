import TuttiSystem

/// The address where the ranks of a job meet, as it was written.
package enum RendezvousAddress: Hashable, Sendable {
  /// A host name or numeric address, and a TCP port.
  case tcp(host: String, port: UInt16)
  /// An abstract Unix socket, for ranks on one host: `unix:@name`.
  case abstractUnix(String)

  /// Reads `host:port`, `[v6]:port` or `unix:@name`; nil when it is none of these.
  package init?(_ text: String) {
    if text.hasPrefix("unix:") {
      let name = text.dropFirst(6)
      guard text.hasPrefix("unix:@"), (1...SocketAddress.abstractNameBytesMax).contains(name.utf8.count) else {
        return nil
      }
      self = .abstractUnix(String(name))
      return
    }
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 else {
      return nil
    }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      return nil
    }
    guard !host.isEmpty, !host.contains(where: { $0.isWhitespace || $0 == "[" || $0 == "]" }) else { return nil }
    self = .tcp(host: String(host), port: port)
  }

  /// Written so that it can only mean this host.
  var isLoopback: Bool {
    switch self {
    case .abstractUnix: true
    case .tcp(let host, let port): host == "localhost" || SocketAddress(numeric: host, port: port)?.isLoopback == true
    }
  }
}

extension RendezvousAddress: CustomStringConvertible {
  package var description: String {
    switch self {
    case .abstractUnix(let name): "unix:@\(name)"
    case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
  }
}

/// Says who this process is in its job.
package struct LaunchIdentity: Sendable {
  package let rank: Int
  package let rankCount: Int
  /// Where its ranks meet.
  package let place: MeetingPlace
  /// Which variables said so, for messages and logs.
  package let source: String

  /// Ranks are sent as 32 bits; the table of all of them must be of a size that a rank can be asked to receive.
  package static let rankCountMax = 65_536

  package init(rank: Int, rankCount: Int, place: MeetingPlace, source: String) {
    precondition((1...Self.rankCountMax).contains(rankCount) && (0..<rankCount).contains(rank))
    self.rank = rank
    self.rankCount = rankCount
    self.place = place
    self.source = source
  }

  package init(rank: Int, rankCount: Int, rendezvous: RendezvousAddress, source: String) {
    self.init(rank: rank, rankCount: rankCount, place: .address(rendezvous), source: source)
  }

  /// The address that all ranks know; nil when they meet over a store.
  var rendezvous: RendezvousAddress? { place.address }

  /// Reads who this process is: `TUTTI_RANK`, `TUTTI_SIZE` and `TUTTI_RENDEZVOUS`, else `RANK`, `WORLD_SIZE`, `MASTER_ADDR`
  /// and `MASTER_PORT`.
  ///
  /// - Throws: `.configuration` when variables are missing, malformed or contradict each other; the message names the
  ///   variable and its value, the advice what to set.
  package static func read(_ environment: [String: String]) throws(FailureReport) -> LaunchIdentity {
    let variables = EnvironmentReader(environment)
    let own = ["TUTTI_RANK", "TUTTI_SIZE", "TUTTI_RENDEZVOUS"]
    let common = ["RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"]
    if variables.hasAny(own) {
      try variables.requireAll(own)
      let identity = try readOwn(variables)
      try variables.refuseContradiction(identity.rank, "TUTTI_RANK", "RANK")
      try variables.refuseContradiction(identity.rankCount, "TUTTI_SIZE", "WORLD_SIZE")
      return identity
    }
    // A shell or container image may set one of the common names for its own ends; only RANK and WORLD_SIZE say "job".
    guard variables.hasAny(["RANK", "WORLD_SIZE"]) else {
      throw FailureReport(
        .configuration, "nothing in the environment says which rank this process is",
        advice: "Set TUTTI_RANK, TUTTI_SIZE and TUTTI_RENDEZVOUS=host:port on every rank, or start the ranks with "
          + "torchrun or TuttiLaunch")
    }
    try variables.requireAll(common)
    return try readCommon(variables)
  }

  private static func readOwn(_ variables: EnvironmentReader) throws(FailureReport) -> LaunchIdentity {
    let (rank, rankCount) = try variables.rankAndCount("TUTTI_RANK", "TUTTI_SIZE")
    let text = variables["TUTTI_RENDEZVOUS"] ?? ""
    guard let rendezvous = RendezvousAddress(text) else {
      throw FailureReport(
        .configuration, rank: rank, "TUTTI_RENDEZVOUS=\"\(text)\" is not an address",
        advice: "Set it to host:port, [IPv6]:port, or unix:@name when all ranks are on one host; the same on every rank")
    }
    return LaunchIdentity(
      rank: rank, rankCount: rankCount, rendezvous: rendezvous, source: "TUTTI_RANK, TUTTI_SIZE, TUTTI_RENDEZVOUS")
  }

  private static func readCommon(_ variables: EnvironmentReader) throws(FailureReport) -> LaunchIdentity {
    let (rank, rankCount) = try variables.rankAndCount("RANK", "WORLD_SIZE")
    var port = try variables.integer("MASTER_PORT", 1...65535)
    var source = "RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT"
    if variables["TORCHELASTIC_RUN_ID"] != nil {
      // torchrun's agent listens on MASTER_PORT itself for as long as the job runs.
      guard port < 65535 else {
        throw FailureReport(
          .configuration, rank: rank, "MASTER_PORT=65535 leaves no port above it, and torchrun itself holds that one",
          advice: "Start torchrun with a smaller --master-port, or set TUTTI_RANK, TUTTI_SIZE and TUTTI_RENDEZVOUS")
      }
      port += 1
      source += " + 1 (TORCHELASTIC_RUN_ID is set: torchrun holds MASTER_PORT)"
    }
    let address = variables["MASTER_ADDR"] ?? ""
    let text = address.contains(":") && !address.hasPrefix("[") ? "[\(address)]:\(port)" : "\(address):\(port)"
    guard let rendezvous = RendezvousAddress(text), case .tcp = rendezvous else {
      throw FailureReport(
        .configuration, rank: rank, "MASTER_ADDR=\"\(address)\" is not a host name or address",
        advice: "Set it to the host name or address of rank 0, without a port")
    }
    return LaunchIdentity(rank: rank, rankCount: rankCount, rendezvous: rendezvous, source: source)
  }
}

/// Reads variables so that every complaint names the variable, its value and what to set. An empty value counts as not set.
struct EnvironmentReader {
  private let environment: [String: String]

  init(_ environment: [String: String]) { self.environment = environment }

  subscript(name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

  func hasAny(_ names: [String]) -> Bool { names.contains { self[$0] != nil } }

  func requireAll(_ names: [String]) throws(FailureReport) {
    let missing = names.filter { self[$0] == nil }
    guard !missing.isEmpty else { return }
    let present = names.filter { self[$0] != nil }
    throw FailureReport(
      .configuration,
      "\(missing.joined(separator: ", ")) \(missing.count == 1 ? "is" : "are") not set, but "
        + "\(present.joined(separator: ", ")) \(present.count == 1 ? "is" : "are")",
      advice: "Set \(names.joined(separator: ", ")) together, on every rank")
  }

  func integer(_ name: String, _ range: ClosedRange<Int>) throws(FailureReport) -> Int {
    let text = self[name] ?? ""
    guard let value = Int(text), range.contains(value) else {
      throw FailureReport(
        .configuration, "\(name)=\"\(text)\" is not a number from \(range.lowerBound) to \(range.upperBound)",
        advice: "Set \(name) to a decimal number in that range")
    }
    return value
  }

  func rankAndCount(_ rankName: String, _ countName: String) throws(FailureReport) -> (rank: Int, count: Int) {
    let count = try integer(countName, 1...LaunchIdentity.rankCountMax)
    let rank = try integer(rankName, 0...Int(UInt32.max))
    guard rank < count else {
      throw FailureReport(
        .configuration, "\(rankName)=\(rank) is outside the job: \(countName)=\(count)",
        advice: "Ranks count from 0, so \(rankName) must be 0 to \(count - 1)")
    }
    return (rank, count)
  }

  func refuseContradiction(_ value: Int, _ name: String, _ other: String) throws(FailureReport) {
    guard let text = self[other], Int(text) != value else { return }
    throw FailureReport(
      .configuration, "\(name)=\(value) and \(other)=\"\(text)\" contradict each other",
      advice: "Unset \(other), or set both to the same number")
  }
}
