// Which ranks belong together, from level to level, and what it costs to go from one group to the next.

/// A level of groups: hosts in racks, sockets in hosts.
package struct TopologyLevel: Sendable {
  /// `region`, a level of the fabric such as `leaf` or `pod`, `host`, `socket`, `numa`.
  package let name: String
  /// By rank: a number, equal for the ranks of one group. It says nothing else.
  package let numbers: [Int]
  package let groupCount: Int
  /// The ranks of the smallest and of the largest group.
  package let sizes: ClosedRange<Int>
}

/// What it costs to go from one group of a level to another one inside the group of the level before.
package struct LevelFigures: Sendable {
  /// The name of the level; `rank` for the step from rank to rank inside the innermost groups.
  package let name: String
  package let groupCount: Int
  package let sizes: ClosedRange<Int>
  /// The longest latency and the least bandwidth of the paths that were looked at, each alone on its links.
  package let latency: Latency
  package let bandwidth: Bandwidth
  /// The most that can leave one of the groups, over all its links together: it limits ranks that all send at once.
  package let exit: Bandwidth?
}

extension Topology {
  private enum LevelKind {
    case region, host, socket, numa
    case fabric(Int, String)

    var name: String {
      switch self {
      case .region: "region"
      case .fabric(_, let name): name
      case .host: "host"
      case .socket: "socket"
      case .numa: "numa"
      }
    }
  }

  /// The levels, from the outermost inside of all ranks to the innermost, as `Grouping` of TuttiSchedule takes their
  /// numbers. Each divides the groups of the one before it.
  ///
  /// Levels that divide nothing are left out, and so are those of which every group is one rank.
  package var levels: [TopologyLevel] { measuredLevels.map(\.level) }

  private var measuredLevels: [(kind: LevelKind, level: TopologyLevel)] {
    let fabricLevels = fabricLevelNames
    var kinds: [LevelKind] = [.region]
    kinds += fabricLevels.enumerated().map { .fabric($0.offset, $0.element) }
    kinds += [.host, .socket, .numa]
    var found: [(kind: LevelKind, level: TopologyLevel)] = []
    var groups = 1
    let hosts = Set(placement.hosts).count
    for kind in kinds {
      let numbers = numbers(of: kind, depth: fabricLevels.count)
      var counts: [Int: Int] = [:]
      for number in numbers { counts[number, default: 0] += 1 }
      // A switch with one host is no more than the host.
      if case .fabric = kind, counts.count == hosts { continue }
      guard counts.count > groups, counts.count < rankCount, let least = counts.values.min(), let most = counts.values.max()
      else { continue }
      groups = counts.count
      found.append(
        (kind, TopologyLevel(name: kind.name, numbers: numbers, groupCount: groups, sizes: least...most)))
    }
    return found
  }

  /// The levels of the region whose fabric has most.
  private var fabricLevelNames: [String] {
    regions.map { region in region.primary.map { region.networks[$0].fabric.levels } ?? [] }
      .max { $0.count < $1.count } ?? []
  }

  private func numbers(of kind: LevelKind, depth: Int) -> [Int] {
    // Hosts come before what is in them, regions before hosts: numbers of all ranks of one host are found once.
    var byHost = [Int](repeating: 0, count: hostCount)
    for run in runs {
      for host in run.hosts {
        byHost[host] =
          switch kind {
          case .region: run.region
          case .fabric(let level, _): fabricGroup(of: host, run: run, level: level, depth: depth)
          case .host, .socket, .numa: host
          }
      }
    }
    return placement.hosts.indices.map { rank in
      let host = byHost[Int(placement.hosts[rank])]
      switch kind {
      case .region, .fabric, .host: return host
      case .socket: return host * HostKind.socketsMax + location(of: rank).socket
      case .numa: return host * HostKind.numaMax + location(of: rank).numa
      }
    }
  }

  /// A region with fewer levels than others lacks the outermost: there it is one group.
  private func fabricGroup(of host: Int, run: HostRun, level: Int, depth: Int) -> Int {
    let region = regions[run.region]
    let unit = 1 << 40
    guard let primary = region.primary else { return run.region * unit }
    let network = region.networks[primary]
    let own = level - (depth - network.fabric.levels.count)
    guard own >= 0 else { return run.region * unit }
    // A host that is not in the network is its own group.
    guard let first = run.ordinals[primary] else { return run.region * unit + unit / 2 + host }
    let port = network.port(ordinal: first + host - run.firstHost, index: 0).port
    return run.region * unit + network.fabric.group(of: port, at: own)
  }

  // MARK: Figures

  /// Latency and bandwidth from group to group, level by level, from the outermost to `rank`.
  ///
  /// They are those of the longest and the slowest path among up to 28 pairs in each of up to 8 groups, spread evenly.
  ///
  /// - Complexity: Linear in ranks and levels.
  package var levelFigures: [LevelFigures] {
    let levels = measuredLevels
    let everyRank = (kind: LevelKind?.none, name: "rank", numbers: Array(0..<rankCount), groups: rankCount, sizes: 1...1)
    let inner =
      levels.map {
        (
          kind: LevelKind?.some($0.kind), name: $0.level.name, numbers: $0.level.numbers, groups: $0.level.groupCount,
          sizes: $0.level.sizes
        )
      } + [everyRank]
    var outer = [Int](repeating: 0, count: rankCount)
    var result: [LevelFigures] = []
    for level in inner {
      if let worst = worstPath(between: level.numbers, inside: outer) {
        result.append(
          LevelFigures(
            name: level.name, groupCount: level.groups, sizes: level.sizes, latency: worst.latency,
            bandwidth: worst.bandwidth,
            exit: level.kind.flatMap(exit)))
      }
      outer = level.numbers
    }
    return result
  }

  /// Over pairs of ranks that are in one group of `outer` and in different ones of `numbers`.
  private func worstPath(between numbers: [Int], inside outer: [Int]) -> LinkFigures? {
    // By outer group: the first rank of each of its groups.
    var groups: [[Int]] = []
    var places: [Int: Int] = [:]
    var seen: Set<Int> = []
    for rank in numbers.indices where seen.insert(numbers[rank]).inserted {
      if let place = places[outer[rank]] {
        groups[place].append(rank)
      } else {
        places[outer[rank]] = groups.count
        groups.append([rank])
      }
    }
    groups.removeAll { $0.count == 1 }
    var worst: LinkFigures?
    for group in Topology.spread(groups, 8) {
      let ranks = Topology.spread(group, 8)
      for (index, from) in ranks.enumerated() {
        for to in ranks[(index + 1)...] {
          let path = path(from: from, to: to)
          guard let bandwidth = path.bandwidth else { continue }
          worst = LinkFigures(
            bandwidth: min(worst?.bandwidth ?? bandwidth, bandwidth),
            latency: max(worst?.latency ?? path.latency, path.latency))
        }
      }
    }
    return worst
  }

  /// At most `count` of the elements, the first and the last among them.
  private static func spread<T>(_ elements: [T], _ count: Int) -> [T] {
    guard elements.count > count else { return elements }
    return (0..<count).map { elements[$0 * (elements.count - 1) / (count - 1)] }
  }

  /// The least that leaves a group of a level.
  private func exit(_ kind: LevelKind) -> Bandwidth? {
    let depth = fabricLevelNames.count
    switch kind {
    case .region:
      guard let wideArea else { return nil }
      return regions.indices.map { region in
        wideArea.routes.arcs.reduce(Bandwidth(bitsPerSecond: 0)) { $1.from == region ? $0 + $1.figures.bandwidth : $0 }
      }.min()
    case .fabric(let level, _):
      return regions.compactMap { region -> Bandwidth? in
        guard let network = region.primary.map({ region.networks[$0] }) else { return nil }
        let own = level - (depth - network.fabric.levels.count)
        return own < 0 ? nil : network.fabric.exit(at: own).map { network.planes * $0 }
      }.min()
    case .host:
      return runs.map { run in
        (run.kind.affinity.first ?? []).reduce(Bandwidth(bitsPerSecond: 0)) { $0 + run.kind.nics[$1].figures.bandwidth }
      }.min()
    case .socket:
      return runs.filter { $0.kind.sockets > 1 }.map { ($0.kind.sockets - 1) * $0.kind.interconnect.bandwidth }.min()
    case .numa:
      return runs.filter { $0.kind.numaPerSocket > 1 }.map(\.kind.mesh.bandwidth).min()
    }
  }
}
