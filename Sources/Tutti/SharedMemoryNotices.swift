import TuttiBootstrap
import TuttiSystem

/// What the ranks of one machine do without, and why: falling back from shared memory is loud. Of the ranks of a machine,
/// the lowest says it for all.
struct SharedMemoryNotices {
  let members: [MemberRecord]
  let choice: TransportChoice

  /// What `rank` has to say, one sentence a cause; nothing on most ranks, and on most machines.
  func lines(for rank: Int) -> [String] {
    let machine = members.filter { $0.isOnMachine(of: members[rank]) }
    guard machine.count > 1, machine[0].rank == rank else { return [] }
    return (choice == .auto ? fallbacks(machine) : []) + blindness(machine)
  }

  /// Who exchanges data over TCP although it is on one machine.
  private func fallbacks(_ machine: [MemberRecord]) -> [String] {
    var lines: [String] = []
    for (obstacle, members) in grouped(machine, \.abilities.memoryObstacle) where !obstacle.isEmpty {
      lines.append(
        "\(rankListText(members.map(\.rank))) on \(members[0].host.name) cannot share memory (\(obstacle)) and will use TCP, which is several "
          + "times slower. A seccomp filter, a security module or a limit forbids it: allow it, or choose --transport tcp")
    }
    let able = machine.filter { $0.abilities.memoryObstacle.isEmpty }
    if let first = able.first, let other = able.first(where: { $0.memoryDomain != first.memoryDomain }),
      let obstacle = first.obstacleToSharing(with: other)
    {
      lines.append(
        "\(obstacle): ranks that differ in this will use TCP between them, which is several times slower than shared memory. Give "
          + "their containers one network namespace and one user, or choose --transport tcp")
    }
    return lines
  }

  /// Whose end is noticed by control connections alone: a message later, and not while a child of it keeps them open.
  private func blindness(_ machine: [MemberRecord]) -> [String] {
    guard Set(machine.map(\.process)).count > 1 else { return [] }
    var lines: [String] = []
    // Without memory to say that it leaves, a rank's end in good order looks like a death to those that watch its process.
    let groups = grouped(machine) {
      $0.abilities.watchObstacle.isEmpty ? $0.abilities.memoryObstacle : $0.abilities.watchObstacle
    }
    for (obstacle, members) in groups where !obstacle.isEmpty {
      lines.append(
        "\(rankListText(members.map(\.rank))) on \(members[0].host.name) cannot watch other processes (\(obstacle)): the end of a rank will be "
          + "noticed by its connections alone, and not while a child process keeps them open")
    }
    let sharing = machine.filter { $0.memoryDomain != nil && $0.memoryDomain == machine[0].memoryDomain }
    if let first = sharing.first, let other = sharing.first(where: { !$0.isInProcessNamespace(of: first) }) {
      lines.append(
        "\(first.description) and \(other.description) are in different process namespaces: the end of either will be noticed by its "
          + "connections alone, and not while a child process keeps them open. One process namespace for both containers helps"
      )
    }
    return lines
  }

  private func grouped(
    _ members: [MemberRecord], _ key: (MemberRecord) -> String
  ) -> [(key: String, value: [MemberRecord])] {
    Dictionary(grouping: members, by: key).sorted { $0.value[0].rank < $1.value[0].rank }
  }
}
