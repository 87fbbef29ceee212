import TuttiSystem
import TuttiTopology
import TuttiTransport

/// RDMA verbs as a transport, between ranks whose rails reach each other.
///
/// Where it is asked for by name, there may be routers between them. Otherwise rails must share a subnet, because a rank
/// cannot see whether routers lead from one to another.
package struct RDMATransport: Transport {
  package static let kind = TransportKind("rdma")

  package init() {}

  package var kind: TransportKind { Self.kind }
  package var connection: ConnectionWay { .any }
  package var memory: RegisteredMemoryUse { .devices }
  package var isConfidential: Bool { false }
  package var waiting: WaitingHints { WaitingHints(isWakingCostly: true, isPassLong: true) }

  package func medium(isOneHost: Bool) -> Medium { .rdma }

  package func open(_ request: TransportRequest) throws(FailureReport) -> any TransportAccess {
    try RDMAAccess(request)
  }

  package func report(_ environment: [String: String]) -> TransportReport { RDMAReport(environment).report }

  package func grounds(of rank: RankFacts, isNamed: Bool) -> Set<TransportGround> {
    let scope: RailNetwork.Scope = isNamed ? .routed : .subnet
    return Set(RDMAOffer(of: rank).rails.map { TransportGround(RailNetwork($0, scope)) })
  }

  package func segmentBytesMax(_ use: TransportUse) -> Int { RDMALayout.segmentBytesMax(rankCount: use.rankCount) }

  // MARK: Checks

  package func check(_ choice: LinkChoice, _ limits: () -> ResourceLimits) throws(FailureReport) {
    guard choice.isNamed, choice.ranks.count > 1 else { return }
    // A rank that reaches nobody is named before ranks that are merely apart.
    for rank in choice.ranks {
      let offer = RDMAOffer(of: rank)
      guard offer.rails.isEmpty else { continue }
      throw FailureReport(
        .configuration, rank: choice.rank, peer: rank.rank,
        "RDMA was asked for, and \(rank.description) cannot use it: \(offer.obstacleText)",
        advice: "Run collbench list there, see docs/RDMA.md, or choose the transport auto or tcp", transport: kind.name)
    }
    guard let (low, high) = choice.firstPair(beyond: kind) else { return }
    throw FailureReport(
      .configuration, rank: choice.rank, peer: high,
      "RDMA was asked for, and \(text(choice.ranks[low])) cannot reach \(text(choice.ranks[high]))",
      advice:
        "Link layers and kinds of address must be equal: name devices in TUTTI_RDMA_DEVICES, or choose the transport auto or tcp",
      transport: kind.name)
  }

  /// `rank 2 (pid 123 on host-a) with mlx5_0 port 1 (10.1.0.7)`.
  private func text(_ rank: RankFacts) -> String { "\(rank.description) with \(RDMAOffer(of: rank).railText)" }

  // MARK: Notices

  package func notices(_ choice: LinkChoice) -> [String] {
    let offers = choice.ranks.map { RDMAOffer(of: $0) }
    let able = choice.ranks.indices.filter { !offers[$0].rails.isEmpty }
    guard !choice.isNamed, !able.isEmpty, choice.ranks.contains(where: { $0.host != choice.ranks[0].host }) else {
      return []
    }
    return without(choice, offers, Set(able.map { choice.ranks[$0].host })) + apart(choice, able)
  }

  /// Ranks without rails that exchange data with ranks of other hosts that have some.
  private func without(_ choice: LinkChoice, _ offers: [RDMAOffer], _ hosts: Set<HostIdentity>) -> [String] {
    let hampered = choice.ranks.filter { offers[$0.rank].rails.isEmpty && hosts != [$0.host] }
    var lines: [String] = []
    for (obstacle, group) in Dictionary(grouping: hampered, by: { offers[$0.rank].obstacleText })
    where group[0].rank == choice.rank {
      lines.append(
        "\(rankListText(group.map(\.rank))) cannot use RDMA (on \(group[0].host.name): \(obstacle)) and will use TCP to other "
          + "hosts, which is several times slower. Run collbench list there, see docs/RDMA.md, or choose the transport tcp")
    }
    return lines
  }

  /// Ranks with rails that are on different subnets.
  private func apart(_ choice: LinkChoice, _ able: [Int]) -> [String] {
    guard let (low, high) = choice.firstPair(beyond: kind, among: able), low == choice.rank else { return [] }
    return [
      "\(text(choice.ranks[low])) and \(text(choice.ranks[high])) are on different subnets: "
        + "ranks that differ in this will use TCP between them, which is several times slower than RDMA. Name devices of one subnet in "
        + "TUTTI_RDMA_DEVICES, or choose the transport rdma where routers lead from one to the other, or the transport tcp"
    ]
  }
}
