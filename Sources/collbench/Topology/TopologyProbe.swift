import Tutti
import TuttiTopology

/// The measurements of a job, round by round: between hosts first, then inside them.
struct TopologyProbe {
  /// A pair of ranks, and what was measured.
  struct MeasuredPair {
    let first: Int
    let second: Int
    let firstHost: Int
    let secondHost: Int
    var result = PairProbe.Result()

    var isBetweenHosts: Bool { firstHost != secondHost }
  }

  /// By round: the pairs that measure at the same time.
  private let rounds: [[MeasuredPair]]
  private let hostCount: Int

  init(_ discovered: DiscoveredTopology, all: Bool) {
    let (leaders, ranks) = (discovered.leaders, discovered.ranksByHost)
    hostCount = leaders.count
    var rounds = ProbePlan(count: leaders.count, all: all).rounds.map { round in
      round.map { pair in
        MeasuredPair(
          first: leaders[pair.first], second: leaders[pair.second], firstHost: pair.first, secondHost: pair.second)
      }
    }
    // The hosts do not disturb one another.
    var inside: [[MeasuredPair]] = []
    for (host, members) in ranks.enumerated() {
      for (number, round) in ProbePlan(count: members.count, all: all).rounds.enumerated() {
        if number == inside.count { inside.append([]) }
        inside[number] += round.map { pair in
          MeasuredPair(first: members[pair.first], second: members[pair.second], firstHost: host, secondHost: host)
        }
      }
    }
    rounds += inside
    self.rounds = rounds
  }

  /// `7 pairs of ranks on 2 hosts in 3 rounds, about 0.6 s`.
  var announcement: String {
    let seconds = decimal(Double(rounds.count) * PairProbe.seconds * 1.3, digits: 1)
    return "collbench: measuring \(counted(rounds.joined().count, "pair")) of ranks on \(counted(hostCount, "host")) in "
      + "\(counted(rounds.count, "round")), about \(seconds) s"
  }

  /// Measures. Every rank calls it, and gets all results.
  func run(_ communicator: Communicator) throws -> [MeasuredPair] {
    let probe = try PairProbe(communicator)
    var pairs: [MeasuredPair] = []
    var values: [Double] = []
    for (number, round) in rounds.enumerated() {
      if communicator.rank == 0 { Progress.show("round \(number + 1)/\(rounds.count)") }
      try communicator.barrier()
      for pair in round {
        var result = PairProbe.Result()
        if pair.first == communicator.rank {
          result = try probe.measure(with: pair.second, begins: true)
        } else if pair.second == communicator.rank {
          _ = try probe.measure(with: pair.first, begins: false)
        }
        values += [result.latency, result.forth, result.back]
      }
      pairs += round
    }
    if communicator.rank == 0 { Progress.clear() }
    try communicator.barrier()
    // Everyone adds what it measured to the zeros of the others.
    if !values.isEmpty { try communicator.allReduce(&values, .sum) }
    for index in pairs.indices {
      pairs[index].result = PairProbe.Result(
        latency: values[3 * index], forth: values[3 * index + 1], back: values[3 * index + 2])
    }
    return pairs
  }
}
