import TuttiSchedule
import TuttiTopology

/// The jobs that measured times hold for: those with as many ranks, in groups of the same sizes, over the same medium,
/// with as many processors.
package struct JobShape: Hashable, Sendable {
  /// The slowest that carries messages of these ranks.
  package var medium: Medium
  package var ranks: Int
  /// How many ranks can run at the same time on the host with room for the fewest.
  package var processors: Int
  /// By level inside of all ranks, the outermost first: the number of ranks of each group.
  package var groups: [[Int]]

  package init(medium: Medium, ranks: Int, processors: Int, groups: [[Int]] = []) {
    self.medium = medium
    self.ranks = ranks
    self.processors = processors
    self.groups = groups
  }

  package init(_ grouping: Grouping, medium: Medium, processors: Int) {
    self.init(
      medium: medium, ranks: grouping.rankCount, processors: max(1, min(processors, grouping.rankCount)),
      groups: (0..<grouping.levelCount).dropFirst().map { level in
        (0..<grouping.groupCount(at: level)).map { grouping.group($0, at: level).count }
      })
  }

  /// `4 ranks over shared memory, 2 at a time`, `8 ranks over network, 4 at a time, in groups of 4, 4`.
  package var text: String {
    let running = processors < ranks ? ", \(processors) at a time" : ""
    let levels = groups.map { sizes in
      ", in groups of " + sizes.prefix(8).map { "\($0)" }.joined(separator: ", ") + (sizes.count > 8 ? "..." : "")
    }
    return "\(ranks) rank\(ranks == 1 ? "" : "s") over \(medium.rawValue)\(running)\(levels.joined())"
  }

  /// How unlike another shape it is, for a profile that is used whatever it was measured on: the medium first, then the
  /// ranks, then the processors.
  func distance(to other: JobShape) -> (Int, Int, Int) {
    (medium == other.medium ? 0 : 1, abs(ranks - other.ranks), abs(processors - other.processors))
  }
}

extension Medium {
  /// The name in files.
  package var key: String {
    switch self {
    case .sharedMemory: "shared-memory"
    case .loopback: "loopback"
    case .network: "network"
    case .rdma: "rdma"
    }
  }
}
