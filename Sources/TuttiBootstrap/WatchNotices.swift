import TuttiSystem
import TuttiTransport

/// Says which ranks of this machine are noticed to end by their control connections alone: a message later, and not while
/// a child process keeps these open. The lowest rank of a machine says it for all.
package struct WatchNotices {
  private let ranks: [RankFacts]

  package init(_ members: [MemberRecord]) { ranks = members.map(\.facts) }

  /// The sentences that `rank` has to say, one for each cause; none on most ranks, and on most machines.
  package func lines(for rank: Int) -> [String] {
    let machine = ranks.filter { $0.isOnMachine(of: ranks[rank]) }
    guard machine.count > 1, machine[0].rank == rank, Set(machine.map(\.process)).count > 1 else { return [] }
    var lines: [String] = []
    // Without memory to say that it leaves, a rank's end in good order looks like a death to those that watch its process.
    let groups = Dictionary(grouping: machine) {
      $0.abilities.watchObstacle.isEmpty ? $0.abilities.memoryObstacle : $0.abilities.watchObstacle
    }
    for (obstacle, blind) in groups.sorted(by: { $0.value[0].rank < $1.value[0].rank }) where !obstacle.isEmpty {
      lines.append(
        "\(rankListText(blind.map(\.rank))) on \(blind[0].host.name) cannot watch other processes (\(obstacle)): the end of a rank will be "
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
}
