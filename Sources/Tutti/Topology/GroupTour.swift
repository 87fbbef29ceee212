import TuttiAlgorithms
import TuttiTopology

/// The order in which a ring goes through the groups of a described network: a short tour, where the ways between them
/// differ, instead of the order of the ranks' numbers.
///
/// It is found level by level, among the groups inside one of the level before, from the ways between their lowest ranks. A
/// pure function of the description, so equal on all ranks.
struct GroupTour {
  /// By level and rank: the place of its group in the tour; the numbers that were given where no tour is shorter.
  let levels: [[Int]]
  /// Whether the tour is shorter, at any level, than the groups in the order of their lowest ranks.
  let isShorter: Bool

  /// A message whose time counts as the length of a way, in bytes: large enough for bandwidth to count, too.
  private static let bytes = 65_536.0
  /// Tours of three groups are all the same, and of more groups than this, too many ways would be looked at.
  private static let groupCounts = 4...64
  /// The ways that are looked at in all, at most. In larger networks the groups of a level are alike, as generators make
  /// them.
  private static let waysMax = 8192
  /// A tour is worth leaving the order of the ranks' numbers if its length is less than this part of that order's.
  private static let worth = 0.95

  /// - Parameters:
  ///   - topology: The description.
  ///   - levels: By level and rank: the number of its group, the outermost level first.
  init(_ topology: Topology, _ levels: [[Int]]) {
    var ways = 0
    var isShorter = false
    // By rank: its group of the level before, in the order of the tour.
    var outer = [Int](repeating: 0, count: topology.rankCount)
    var result: [[Int]] = []
    for numbers in levels {
      // By outer group: the lowest ranks of its groups, in their order.
      var lowest: [[Int]] = Array(repeating: [], count: (outer.max() ?? 0) + 1)
      var seen: Set<Int> = []
      for rank in numbers.indices where seen.insert(numbers[rank]).inserted { lowest[outer[rank]].append(rank) }
      var places: [Int: Int] = [:]
      for ranks in lowest {
        var order = Array(ranks.indices)
        if Self.groupCounts.contains(ranks.count), ways + ranks.count * ranks.count <= Self.waysMax {
          ways += ranks.count * ranks.count
          if let shorter = Self.shorter(topology, ranks) {
            order = shorter
            isShorter = true
          }
        }
        for index in order { places[numbers[ranks[index]]] = places.count }
      }
      outer = numbers.map { places[$0]! }
      result.append(outer)
    }
    self.levels = isShorter ? result : levels
    self.isShorter = isShorter
  }

  /// Finds a tour through these ranks that is shorter than their given order; nil where there is none.
  private static func shorter(_ topology: Topology, _ ranks: [Int]) -> [Int]? {
    let costs = ranks.map { from in
      ranks.map { to in
        let path = topology.path(from: from, to: to)
        let rate = path.bandwidth?.bytesPerSecond ?? 0
        return path.latency.seconds + (rate > 0 ? bytes / rate : 0)
      }
    }
    let order = RingOrder.find(costs: costs)
    let asTheyStand = RingOrder.cost(of: Array(ranks.indices), costs: costs)
    return RingOrder.cost(of: order, costs: costs) < worth * asTheyStand ? order : nil
  }
}
