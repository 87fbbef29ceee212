import TuttiSystem
import TuttiTopology
import TuttiTransport

/// Shared memory as a transport, between ranks of one host that may share it. See
/// `docs/decisions/0013-choosing-shared-memory.md`.
package struct SharedMemoryTransport: Transport {
  package static let kind = TransportKind("shm")

  package init() {}

  package var kind: TransportKind { Self.kind }
  package var connection: ConnectionWay { .ownUser }
  package var memory: RegisteredMemoryUse { .mapped }
  package var isConfidential: Bool { true }
  package var waiting: WaitingHints { WaitingHints() }

  package func medium(isOneHost: Bool) -> Medium { .sharedMemory }

  package func open(_ request: TransportRequest) throws(FailureReport) -> any TransportAccess {
    SharedMemoryAccess(settings: try PathSettings(request.environment))
  }

  package func report(_ environment: [String: String]) -> TransportReport {
    let obstacle = SharedMemoryProbe.obstacle()
    return TransportReport(obstacle: obstacle.isEmpty ? nil : obstacle)
  }

  package func grounds(of rank: RankFacts, isNamed: Bool) -> Set<TransportGround> {
    guard SharedMemoryOffer(of: rank) != nil, let domain = rank.memoryDomain else { return [] }
    return [TransportGround(domain)]
  }

  package func segmentBytesMax(_ use: TransportUse) -> Int {
    use.groupSizes.map { SharedMemoryGeometry(rankCount: $0).windowBytes }.min() ?? .max
  }

  // MARK: Checks

  package func check(_ choice: LinkChoice, _ limits: () -> ResourceLimits) throws(FailureReport) {
    if choice.isNamed { try checkThatAllShare(choice) }
    let sharing = choice.group(over: kind)
    guard !sharing.isEmpty else { return }
    let own = choice.ranks[choice.rank]
    let others = Set(sharing.map { choice.ranks[$0].process }).subtracting([own.process])
    let group = SharedMemoryOffer(of: own)?.memoryGroup ?? 0
    let touching = group == 0 ? 1 : sharing.count { SharedMemoryOffer(of: choice.ranks[$0])?.memoryGroup == group }
    try limits().check(
      SharedMemoryGeometry(rankCount: sharing.count).demand(processes: others.count, ranksTouching: touching),
      for: "shared memory with \(sharing.count - 1) other rank\(sharing.count == 2 ? "" : "s") of \(own.host.name)",
      rank: choice.rank, transport: kind.name, orElse: "choose another transport, such as tcp")
  }

  private func checkThatAllShare(_ choice: LinkChoice) throws(FailureReport) {
    let ranks = choice.ranks
    guard ranks.count > 1 else { return }
    // A rank that can share with nobody is named before ranks that are merely apart.
    let hampered = ranks.first { !$0.abilities.memoryObstacle.isEmpty }
    guard let other = hampered ?? ranks.first(where: { $0.memoryDomain != ranks[0].memoryDomain }),
      let obstacle = ranks[0].obstacleToSharing(with: other)
    else { return }
    throw FailureReport(
      .configuration, rank: choice.rank, peer: other.rank, "shared memory was asked for, and \(obstacle)",
      advice: hampered == nil
        ? "Put the ranks on one host, in containers with one network namespace and one user, or choose the transport auto or tcp"
        : "A seccomp filter, a security module or a limit forbids it to that rank's process: allow it there, or choose the "
          + "transport auto or tcp",
      transport: kind.name)
  }

  // MARK: Notices

  /// Says which ranks exchange data another way although they are on one machine. The lowest rank of a machine says it for
  /// all.
  package func notices(_ choice: LinkChoice) -> [String] {
    let machine = choice.ranks.filter { $0.isOnMachine(of: choice.ranks[choice.rank]) }
    guard !choice.isNamed, machine.count > 1, machine[0].rank == choice.rank else { return [] }
    var lines: [String] = []
    let hampered = Dictionary(
      grouping: machine.filter { !$0.abilities.memoryObstacle.isEmpty }, by: \.abilities.memoryObstacle)
    for (obstacle, ranks) in hampered.sorted(by: { $0.value[0].rank < $1.value[0].rank }) {
      lines.append(
        "\(rankListText(ranks.map(\.rank))) on \(ranks[0].host.name) cannot share memory (\(obstacle)) and will use TCP, which is several "
          + "times slower. A seccomp filter, a security module or a limit forbids it: allow it, or choose the transport tcp")
    }
    let able = machine.filter { $0.abilities.memoryObstacle.isEmpty }
    if let first = able.first, let other = able.first(where: { $0.memoryDomain != first.memoryDomain }),
      let obstacle = first.obstacleToSharing(with: other)
    {
      lines.append(
        "\(obstacle): ranks that differ in this will use TCP between them, which is several times slower than shared memory. Give "
          + "their containers one network namespace and one user, or choose the transport tcp")
    }
    return lines
  }
}
