import TuttiBootstrap
import TuttiSystem
import TuttiTopology
import TuttiTransport

/// Which transport carries data between which ranks, from what all ranks know of each other: pure, so all decide alike. For joins and for
/// splits: the ranks of a split have the transports that they had before.
///
/// Shared memory where two ranks share it; else RDMA where rails of both reach each other; else TCP. What is asked for by name is all that
/// is offered. Without a name, rails must share a subnet: that routers lead from one to another cannot be seen from here.
struct LinkChoice {
  let rank: Int
  let members: [MemberRecord]
  let choice: TransportChoice
  /// What each rank's rails are on; empty for one that offers no RDMA.
  private let networks: [Set<RailNetwork>]
  /// Whom each rank shares memory with; nil for nobody.
  private let domains: [MemoryDomain?]

  init(rank: Int, members: [MemberRecord], choice: TransportChoice) {
    self.rank = rank
    self.members = members
    self.choice = choice
    let scope: RailNetwork.Scope = choice == .rdma ? .routed : .subnet
    networks = members.map { member in
      member.transports.contains(.rdma) ? Set(member.rails.map { RailNetwork($0, scope) }) : []
    }
    domains = members.map { $0.transports.contains(.sharedMemory) ? $0.memoryDomain : nil }
  }

  var sharedMemory: SharedMemoryChoice { SharedMemoryChoice(rank: rank, members: members, choice: choice) }

  private func sharesMemory(_ one: Int, _ other: Int) -> Bool { domains[one] != nil && domains[one] == domains[other] }

  // MARK: This rank

  /// What carries data between this rank and another one.
  func transport(to peer: Int) -> TransportKind {
    if sharesMemory(rank, peer) { return .sharedMemory }
    return networks[rank].isDisjoint(with: networks[peer]) ? .tcp : .rdma
  }

  /// Whether this rank has links over RDMA.
  var usesRDMA: Bool { members.indices.contains { $0 != rank && transport(to: $0) == .rdma } }

  // MARK: All ranks

  /// Whether any two ranks have a link over RDMA: equal on all ranks.
  var someUseRDMA: Bool {
    var ranks: [RailNetwork: [Int]] = [:]
    for (rank, networks) in networks.enumerated() {
      for network in networks { ranks[network, default: []].append(rank) }
    }
    return ranks.values.contains { group in group.contains { $0 != group[0] && !sharesMemory($0, group[0]) } }
  }

  /// The lowest rank that shares no memory with a higher one and has no rails that reach it, and the lowest such peer; nil when there are
  /// none: equal on all ranks.
  var apart: (Int, Int)? {
    // Ranks with equal networks are alike but for their memory; most often all are.
    let groups = Dictionary(grouping: members.indices) { networks[$0] }
    var unreached: [Set<RailNetwork>: [[Int]]] = [:]
    for rank in members.indices {
      let own = networks[rank]
      let candidates = unreached[own] ?? groups.filter { own.isDisjoint(with: $0.key) }.map(\.value)
      unreached[own] = candidates
      let peers = candidates.compactMap { group in group.first { $0 > rank && !sharesMemory(rank, $0) } }
      if let peer = peers.min() { return (rank, peer) }
    }
    return nil
  }

  /// What most data goes through: equal on all ranks.
  var medium: TransportTerms.Medium {
    if members.count > 1, members.indices.allSatisfy({ sharesMemory($0, 0) }) { return .sharedMemory }
    if members.count > 1, apart == nil { return .rdma }
    return members.allSatisfy { $0.host == members[0].host } ? .loopback : .network
  }

  // MARK: Checks

  /// What has to hold before links are made.
  ///
  /// - Throws: `.configuration`, the same on all ranks, when a transport was asked for and two ranks cannot use it; `.resources` when this
  ///   process may not take what its links to the others will need.
  func check(_ limits: @autoclosure () -> ResourceLimits) throws(FailureReport) {
    if choice == .rdma, members.count > 1 { try checkThatAllAreReached() }
    try sharedMemory.check(limits())
  }

  private func checkThatAllAreReached() throws(FailureReport) {
    // A rank that reaches nobody is named before ranks that are merely apart.
    if let member = members.first(where: { networks[$0.rank].isEmpty }) {
      throw FailureReport(
        .configuration, rank: rank, peer: member.rank,
        "RDMA was asked for, and \(member.description) cannot use it: \(member.obstacleToRDMA)",
        advice: "Run collbench list there, see docs/RDMA.md, or choose --transport auto or tcp", transport: "rdma")
    }
    guard let (low, high) = apart else { return }
    throw FailureReport(
      .configuration, rank: rank, peer: high,
      "RDMA was asked for, and \(members[low].description) with \(members[low].railText) cannot reach "
        + "\(members[high].description) with \(members[high].railText)",
      advice:
        "Link layers and kinds of address must be equal: choose devices with TUTTI_RDMA_DEVICES, or choose --transport auto or tcp",
      transport: "rdma")
  }
}

extension MemberRecord {
  /// Why it has no rails, as the end of a sentence.
  var obstacleToRDMA: String { abilities.rdmaObstacle.isEmpty ? "it offers no device" : abilities.rdmaObstacle }

  /// `mlx5_0 port 1 (10.1.0.7) and mlx5_1 port 1 (10.1.1.7)`.
  var railText: String { rails.map(\.description).joined(separator: " and ") }
}
