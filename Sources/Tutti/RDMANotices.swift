import TuttiBootstrap
import TuttiRDMA
import TuttiSystem
import TuttiTopology

/// What the ranks of several hosts do without, and why: falling back from RDMA is loud where others have it. The lowest rank concerned says
/// it for all.
struct RDMANotices {
  let members: [MemberRecord]
  let choice: TransportChoice

  /// What `rank` has to say, one sentence a cause; nothing on most ranks, and in most jobs.
  func lines(for rank: Int) -> [String] {
    let hosts = Set(members.filter { !$0.rails.isEmpty }.map(\.host))
    guard choice == .auto, !hosts.isEmpty, members.contains(where: { $0.host != members[0].host }) else { return [] }
    return without(hosts, rank) + apart(rank)
  }

  /// Ranks without rails that exchange data with ranks of other hosts that have some.
  private func without(_ hosts: Set<HostIdentity>, _ rank: Int) -> [String] {
    let hampered = members.filter { $0.rails.isEmpty && hosts != [$0.host] }
    var lines: [String] = []
    for group in Dictionary(grouping: hampered, by: \.obstacleToRDMA).values where group[0].rank == rank {
      lines.append(
        "\(rankListText(group.map(\.rank))) cannot use RDMA (on \(group[0].host.name): \(group[0].obstacleToRDMA)) and will use TCP to other "
          + "hosts, which is several times slower. Run collbench list there, see docs/RDMA.md, or choose --transport tcp")
    }
    return lines
  }

  /// Ranks with rails that are on different subnets.
  private func apart(_ rank: Int) -> [String] {
    let able = members.filter { !$0.rails.isEmpty }
    let choice = LinkChoice(rank: 0, members: able, choice: choice)
    guard let (low, high) = choice.apart, able[low].rank == rank else { return [] }
    return [
      "\(able[low].description) with \(able[low].railText) and \(able[high].description) with \(able[high].railText) are on different "
        + "subnets: ranks that differ in this will use TCP between them, which is several times slower than RDMA. Choose devices with "
        + "TUTTI_RDMA_DEVICES, or --transport rdma where routers lead from one to the other, or --transport tcp"
    ]
  }
}

/// What keeps this process from using RDMA, as a look at its devices finds it: `no RDMA device`. nil when nothing does.
package func rdmaObstacle() -> String? {
  do throws(FailureReport) {
    let survey = RDMASurvey.current(try RDMASettings.read(Communicator.processEnvironment()))
    return survey.settingsFailure?.message ?? survey.obstacle
  } catch {
    return error.message
  }
}
