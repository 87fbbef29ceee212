import TuttiAlgorithms
import TuttiSchedule

/// What an algorithm asks of each level of the groups: read from the programs of some ranks, because a flat algorithm does
/// not know which of its messages leave a host. Volumes are multiples of the collective's data.
struct Traffic {
  struct Level {
    /// The messages that follow one another on the longest path and cross this level.
    var rounds = 0.0
    /// What the busiest rank sends or receives, whichever is more, at this level.
    var messages = 0.0
    var volume = 0.0
    /// What the busiest rank sends or receives at this level and at those outside of it: all of it passes the same links.
    var outward = 0.0
    /// What enters or leaves the busiest group of the next level, whichever is more.
    var exit = 0.0
    /// What the ranks of the busiest host send at this level.
    var hostMessages = 0.0
    var hostVolume = 0.0
  }

  /// By level, from level 0 on.
  private(set) var levels: [Level]
  /// What the busiest rank combines, and what the ranks of the busiest host do.
  private(set) var combined = 0.0
  private(set) var hostCombined = 0.0

  /// - Parameters:
  ///   - cost: The algorithm's, which says the rounds.
  ///   - hostLevel: The level whose groups are hosts.
  init(
    _ algorithm: any Algorithm, _ cost: AlgorithmCost, _ grouping: Grouping, _ representatives: Representatives,
    hostLevel: Int
  ) {
    levels = Array(repeating: Level(), count: grouping.levelCount)
    let first = algorithm.schedule(for: grouping.position(of: 0))
    let read = representatives.members(for: first).map { member in
      let schedule = member.rank == 0 ? first : algorithm.schedule(for: grouping.position(of: member.rank))
      return (member: member, traffic: RankTraffic(schedule, representatives, levelCount: grouping.levelCount))
    }
    for (_, traffic) in read { addBusiest(traffic) }
    addExits(read)
    addHosts(read, hostLevel: hostLevel)
    if cost.levels.count > 1 {
      for (level, own) in cost.levels.enumerated() where level < levels.count { levels[level].rounds = Double(own.rounds) }
    } else {
      addRounds(Double(cost.levels[0].rounds), read)
    }
  }

  private mutating func addBusiest(_ traffic: RankTraffic) {
    var (sent, received) = (0.0, 0.0)
    for (level, own) in traffic.levels.enumerated() {
      sent += own.sent
      received += own.received
      levels[level].messages = max(levels[level].messages, Double(own.messages))
      levels[level].volume = max(levels[level].volume, max(own.sent, own.received))
      levels[level].outward = max(levels[level].outward, max(sent, received))
    }
    combined = max(combined, traffic.combined)
  }

  private mutating func addExits(_ read: [(member: Representatives.Member, traffic: RankTraffic)]) {
    for level in levels.indices.dropLast() {
      var groups: [Int: (sent: Double, received: Double)] = [:]
      for (member, traffic) in read {
        let weight = member.weights[level + 1]
        for own in traffic.levels[...level] {
          groups[member.groups[level + 1], default: (0, 0)].sent += weight * own.sent
          groups[member.groups[level + 1], default: (0, 0)].received += weight * own.received
        }
      }
      levels[level].exit = groups.values.map { max($0.sent, $0.received) }.max() ?? 0
    }
  }

  private mutating func addHosts(
    _ read: [(member: Representatives.Member, traffic: RankTraffic)], hostLevel: Int
  ) {
    // With a host for each rank, a rank is a host.
    let hasGroups = hostLevel < levels.count
    for level in levels.indices {
      var hosts: [Int: (messages: Double, volume: Double, combined: Double)] = [:]
      for (member, traffic) in read {
        let weight = hasGroups ? member.weights[hostLevel] : 1
        let host = hasGroups ? member.groups[hostLevel] : member.rank
        var sum = hosts[host] ?? (0, 0, 0)
        sum.messages += weight * Double(traffic.levels[level].sentMessages)
        sum.volume += weight * traffic.levels[level].sent
        sum.combined += weight * traffic.combined
        hosts[host] = sum
      }
      levels[level].hostMessages = hosts.values.map(\.messages).max() ?? 0
      levels[level].hostVolume = hosts.values.map(\.volume).max() ?? 0
      hostCombined = hosts.values.map(\.combined).max() ?? 0
    }
  }

  /// Divides the rounds of an algorithm that knows nothing of groups among the levels, from the outermost on.
  ///
  /// Where data walks from rank to rank, as in a ring, a path of so many rounds crosses a level as often as its ranks do
  /// on average: a rank sends what has come to it, and does not wait for others' rounds. Elsewhere the busiest ranks are
  /// on the longest path, and each of their messages stands for an equal share of the rounds, but for at least one.
  private mutating func addRounds(
    _ rounds: Double, _ read: [(member: Representatives.Member, traffic: RankTraffic)]
  ) {
    let isWalk = read.allSatisfy(\.traffic.isWalk)
    let busiest = read.map(\.traffic.messages).max() ?? 0
    let all = read.reduce(0) { $0 + $1.member.weights[0] * Double($1.traffic.levels.reduce(0) { $0 + $1.sentMessages }) }
    var left = rounds
    for level in levels.indices {
      var crossing = 0.0
      if isWalk {
        let own = read.reduce(0) { $0 + $1.member.weights[0] * Double($1.traffic.levels[level].sentMessages) }
        crossing = all > 0 ? rounds * own / all : 0
      } else {
        for (_, traffic) in read where traffic.messages * 2 >= busiest && traffic.messages > 0 {
          crossing = max(
            crossing, Double(traffic.levels[level].messages) * max(1, rounds / Double(traffic.messages)))
        }
      }
      levels[level].rounds = min(left, crossing)
      left -= levels[level].rounds
    }
  }
}
