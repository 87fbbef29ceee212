import TuttiBootstrap
import TuttiSharedMemory
import TuttiSystem

/// Which ranks exchange data through shared memory, from what all ranks know of each other: pure, so all decide alike. For
/// joins and for splits. See `docs/decisions/0013-choosing-shared-memory.md`.
struct SharedMemoryChoice {
  let rank: Int
  let members: [MemberRecord]
  let choice: TransportChoice

  /// Whether a rank would, if there is one to share with.
  private func offers(_ member: MemberRecord) -> Bool { member.transports.contains(.sharedMemory) }

  /// The ranks this one shares memory with, itself among them, ascending; empty where it shares with none.
  var sharing: [Int] {
    guard let domain = members[rank].memoryDomain, offers(members[rank]) else { return [] }
    let ranks = members.indices.filter { members[$0].memoryDomain == domain && offers(members[$0]) }
    return ranks.count > 1 ? ranks : []
  }

  /// How many ranks share memory with each other, for each group of them.
  var groupSizes: [Int] {
    let domains = members.filter(offers).compactMap(\.memoryDomain)
    return Dictionary(grouping: domains) { $0 }.values.map(\.count).filter { $0 > 1 }
  }

  /// What has to hold before links are made.
  ///
  /// - Throws: `.configuration`, the same on all ranks, when shared memory was asked for and two ranks cannot share it;
  ///   `.resources` when this process may not take what its links to the others will need.
  func check(_ limits: @autoclosure () -> ResourceLimits) throws(FailureReport) {
    if choice == .sharedMemory { try checkThatAllShare() }
    let sharing = sharing
    guard !sharing.isEmpty else { return }
    let own = members[rank]
    let others = Set(sharing.map { members[$0].process }).subtracting([own.process])
    let group = own.abilities.memoryGroup
    let touching = group == 0 ? 1 : sharing.count { members[$0].abilities.memoryGroup == group }
    try limits().check(
      SharedMemoryGeometry(rankCount: sharing.count).demand(processes: others.count, ranksTouching: touching),
      for: "shared memory with \(sharing.count - 1) other rank\(sharing.count == 2 ? "" : "s") of \(own.host.name)",
      rank: rank)
  }

  private func checkThatAllShare() throws(FailureReport) {
    guard members.count > 1 else { return }
    // A rank that can share with nobody is named before ranks that are merely apart.
    let hampered = members.first { !$0.abilities.memoryObstacle.isEmpty }
    guard let other = hampered ?? members.first(where: { $0.memoryDomain != members[0].memoryDomain }),
      let obstacle = members[0].obstacleToSharing(with: other)
    else { return }
    throw FailureReport(
      .configuration, rank: rank, peer: other.rank, "shared memory was asked for, and \(obstacle)",
      advice: hampered == nil
        ? "Put the ranks on one host, in containers with one network namespace and one user, or choose --transport auto or tcp"
        : "A seccomp filter, a security module or a limit forbids it to that rank's process: allow it there, or choose "
          + "--transport auto or tcp",
      transport: "shm")
  }
}

/// What keeps this process from sharing memory with others of its host, as a trial finds it: `memfd_create: Operation not
/// permitted`. nil when nothing does.
package func sharedMemoryObstacle() -> String? {
  let obstacle = SharedMemoryProbe.obstacle()
  return obstacle.isEmpty ? nil : obstacle
}
