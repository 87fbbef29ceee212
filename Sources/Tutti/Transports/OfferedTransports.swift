import TuttiBootstrap
import TuttiSystem
import TuttiTransport

/// The transports that a rank joins with, and what its process has of them. Shared by the communicators that are split from
/// one another.
struct OfferedTransports: Sendable {
  /// Those that may be used, the preferred first.
  let transports: [any Transport]
  /// Whether there is only one, because it was asked for by name.
  let isNamed: Bool
  /// The transports that this host has and that only TLS rules out, the preferred first.
  private let renounced: [any Transport]
  /// In the order of ``transports``.
  private let accesses: [any TransportAccess]

  /// Opens what the options ask for.
  ///
  /// - Throws: `.configuration`: there is no such transport, or one of its settings is wrong. The settings of
  ///   transports that were not asked for do not matter.
  init(_ options: CommunicatorOptions, _ request: TransportRequest) throws(FailureReport) {
    let choice = options.transport
    isNamed = choice != .auto
    let chosen = Self.choose(options)
    transports = options.tls == true ? chosen.filter(\.isConfidential) : chosen
    if isNamed, let open = chosen.first, transports.isEmpty {
      throw FailureReport(
        .configuration, rank: request.rank,
        "\(open.kind.name) was asked for, and TLS as well, but \(open.kind.name) is never encrypted",
        advice: "Choose the transport auto, or \(EncryptionWords.turnOff)", transport: open.kind.name)
    }
    renounced =
      transports.count == chosen.count
      ? [] : chosen.filter { !$0.isConfidential && $0.report(request.environment).obstacle == nil }
    guard !transports.isEmpty else {
      throw FailureReport(
        .configuration, rank: request.rank, "there is no transport \(choice.name) between processes",
        advice: "Choose auto, \(options.transports.map(\.kind.name).joined(separator: ", "))")
    }
    var accesses: [any TransportAccess] = []
    for transport in transports { accesses.append(try transport.open(request)) }
    self.accesses = accesses
  }

  /// What the options ask for, the preferred first: pure.
  static func choose(_ options: CommunicatorOptions) -> [any Transport] {
    if options.transport != .auto { return options.transports.filter { $0.kind.name == options.transport.name } }
    // Sorting keeps the order of equals.
    return options.transports.sorted { $0.medium(isOneHost: false) < $1.medium(isOneHost: false) }
  }

  /// What the other ranks are told.
  var offers: [TransportOffer] { zip(transports, accesses).map { TransportOffer($0.kind, $1.offer) } }

  func choice(rank: Int, _ members: [MemberRecord]) -> LinkChoice {
    LinkChoice(rank: rank, ranks: members.map(\.facts), transports: transports, isNamed: isNamed)
  }

  /// What this rank tells people about the transports that it joins with, and those that it does without because of TLS.
  func notices(_ choice: LinkChoice) -> [String] {
    let own = choice.ranks[choice.rank]
    let isAmongHosts = choice.ranks.contains { $0.host != own.host }
    let isFirstHere = choice.ranks.first { $0.host == own.host }?.rank == choice.rank
    let lines = (isAmongHosts && isFirstHere ? renounced : []).map {
      "TLS is on, so \(own.host.name) uses TCP to other hosts and not \($0.kind.name), which it has and which "
        + "is never encrypted"
    }
    return lines + choice.transports.flatMap { $0.notices(choice) }
  }

  func access(_ kind: TransportKind) -> any TransportAccess {
    guard let index = transports.firstIndex(where: { $0.kind == kind }) else {
      preconditionFailure("transport \(kind.name) was not opened")
    }
    return accesses[index]
  }

  /// What has to hold before links are made.
  func check(_ choice: LinkChoice) throws(FailureReport) {
    for access in accesses {
      // Somebody wanted a device: an error for all, also where another transport would do.
      if let failure = access.failure { throw failure.with(rank: choice.rank) }
    }
    try Self.checkLinks(choice)
  }

  /// Checks what has to hold for ranks that have joined before, whose transports were found then.
  static func checkLinks(_ choice: LinkChoice) throws(FailureReport) {
    for transport in choice.transports { try transport.check(choice) { .current() } }
  }
}

/// The transports between processes that a choice stands for, the preferred first, for tools that refuse early what none of
/// them can do; nothing for one that joins no processes.
package func transports(for choice: TransportChoice) -> [any Transport] {
  var options = CommunicatorOptions()
  options.transport = choice
  return OfferedTransports.choose(options)
}

/// What each transport that processes can join with has on this host, for tools that show it.
package func transportReports(
  _ environment: [String: String]? = nil
) -> [(name: String, report: TransportReport)] {
  let environment = environment ?? Communicator.processEnvironment()
  return CommunicatorOptions().transports.map { ($0.kind.name, $0.report(environment)) }
}
