import Foundation
import TuttiAlgorithms
import TuttiSchedule
import TuttiTopology
import TuttiTopologyFiles

@testable import TuttiChoice

/// Hosts with so many ranks each.
struct Hosts: CustomStringConvertible, Sendable {
  let hosts: Int
  let ranks: Int
  let isRoundRobin: Bool

  init(_ hosts: Int, by ranks: Int, isRoundRobin: Bool = false) {
    self.hosts = hosts
    self.ranks = ranks
    self.isRoundRobin = isRoundRobin
  }

  var description: String { "\(hosts) x \(ranks)\(isRoundRobin ? " round-robin" : "")" }
  var rankCount: Int { hosts * ranks }

  func grouping() throws -> Grouping {
    try Grouping([(0..<rankCount).map { isRoundRobin ? $0 % hosts : $0 / ranks }])
  }

  /// The choice on hosts whose links have this rate.
  func choice(gigabits: Double = 1, candidates: [any Algorithm] = everything) throws -> AlgorithmChoice {
    let facts = JobFacts(
      levels: [
        .init(name: "host", medium: .network, linkBitsPerSecond: gigabits * 1e9), .init(name: "rank", medium: .sharedMemory),
      ],
      processors: ranks)
    return AlgorithmChoice(grouping: try grouping(), terms: ChoiceTerms(facts), candidates: candidates)
  }
}

/// Some algorithms over groups.
let compositions: [any Algorithm] = [
  HierarchicalAllReduce(
    name: "hierarchical:ring", reduceScatter: DirectReduceScatter(), allReduce: RingAllReduce.ring,
    allGather: DirectAllGather()),
  HierarchicalAllReduce(
    name: "hierarchical", reduceScatter: DirectReduceScatter(), allReduce: TwoShotAllReduce(), allGather: DirectAllGather()),
  LeaderAllReduce(
    name: "leader", reduce: DirectReduce(), allReduce: RecursiveDoublingAllReduce(), broadcast: DirectBroadcast()),
  HierarchicalReduceScatter(name: "hierarchical", inside: DirectReduceScatter(), across: DirectReduceScatter()),
  HierarchicalAllGather(name: "hierarchical", inside: DirectAllGather(), across: DirectAllGather()),
  LeaderBroadcast(name: "leader", inside: DirectBroadcast(), across: BinomialBroadcast()),
  LeaderReduce(name: "leader", inside: DirectReduce(), across: BinomialReduce()),
  HierarchicalAllToAll(name: "hierarchical"),
  LeaderBarrier(name: "leader", reduce: DirectReduce(), barrier: DisseminationBarrier(), broadcast: DirectBroadcast()),
]

/// Flat algorithms and those over groups.
let everything: [any Algorithm] = AlgorithmRegistry.all + compositions

extension Explanation {
  /// The prediction for a candidate, in milliseconds.
  func milliseconds(_ name: String) -> Double {
    (candidates.first { $0.name == name }?.prediction?.microseconds ?? .nan) / 1000
  }
}

extension Topology {
  /// A file of `Topologies`.
  static func shipped(_ name: String) throws -> Topology {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let file = folder.appending(path: "Topologies/\(name).yaml")
    return try Topology(file: name, bytes: Array(Data(contentsOf: file)))
  }

  /// The groups of its levels.
  func grouping() throws -> Grouping {
    levels.isEmpty ? Grouping(rankCount: rankCount) : try Grouping(levels.map(\.numbers))
  }

  func choice(candidates: [any Algorithm] = everything) throws -> AlgorithmChoice {
    AlgorithmChoice(grouping: try grouping(), terms: ChoiceTerms(self), candidates: candidates)
  }
}
