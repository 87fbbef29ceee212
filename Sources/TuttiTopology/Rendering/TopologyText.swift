// A topology as text: what it is, and who belongs to whom as a tree of which the first branch is shown whole.

extension Topology {
  /// For terminals: facts, networks, a tree of the groups, and what each level costs.
  package var text: String {
    var lines = [title]
    if !source.isEmpty { lines += source.split(separator: "\n").map { "  " + $0 } }
    lines.append("hash \(hash)")
    lines.append("")
    for region in regions {
      let prefix = region.name.isEmpty ? "" : "\(region.name): "
      for network in region.networks {
        lines.append("\(prefix)\(network.name == "network" ? "" : "network ")\(network.name): \(network.summary)")
      }
    }
    if let wideArea {
      for (index, arc) in wideArea.routes.arcs.enumerated() where index % 2 == 0 {
        lines.append(
          "wide area: \(regions[arc.from].name) to \(regions[arc.to].name), \(arc.figures.bandwidth), \(arc.figures.latency)"
        )
      }
    }
    for run in runs.prefix(12) { lines.append(run.summary) }
    if runs.count > 12 { lines.append("... and \(runs.count - 12) more entries of hosts") }
    lines += ["", "\(rankCount == 1 ? "1 rank" : "\(rankCount) ranks"), \(placement.order.words)"]
    lines += TopologyTree(self).lines
    lines += [""] + table
    return lines.joined(separator: "\n") + "\n"
  }

  /// `rail-pod-1024: 1024 hosts, 8192 ranks`.
  package var title: String {
    let regionCount = regions.count > 1 ? "\(regions.count) regions, " : ""
    return "\(name.isEmpty ? "topology" : name): \(regionCount)\(hostCount == 1 ? "1 host" : "\(hostCount) hosts"), "
      + (rankCount == 1 ? "1 rank" : "\(rankCount) ranks")
  }

  private var table: [String] {
    let figures = levelFigures
    guard !figures.isEmpty else { return ["one rank: there is nobody to send to"] }
    var rows = [["from one to another", "how many", "ranks in each", "latency", "bandwidth", "out of one"]]
    for level in figures {
      rows.append([
        level.name, "\(level.groupCount)", level.sizeWords, "\(level.latency)", "\(level.bandwidth)",
        level.exit.map { "\($0)" } ?? "-",
      ])
    }
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      var line = ""
      for (column, cell) in row.enumerated() {
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        line += (column == 0 ? cell + padding : padding + cell) + (column == row.count - 1 ? "" : "  ")
      }
      return line
    }
  }
}

extension LevelFigures {
  /// `8`, or `4 to 8`.
  var sizeWords: String {
    sizes.lowerBound == sizes.upperBound ? "\(sizes.lowerBound)" : "\(sizes.lowerBound) to \(sizes.upperBound)"
  }
}

extension RankPlacement.Order {
  var words: String {
    switch self {
    case .inOrder: "numbered host by host"
    case .roundRobin: "numbered round-robin over the hosts"
    case .listed: "numbered as the file lists their hosts"
    }
  }
}

extension Network {
  package var summary: String { "\(fabric.type), \(details)" }
  var details: String { (planes > 1 ? "\(planes) planes of " : "") + fabric.summary }
}

extension HostRun {
  /// `node0001 to node1024, each: 2 sockets, 8 ranks, 8 interfaces of 400 Gb/s`.
  package var summary: String {
    let hosts = count == 1 ? names.name(0) : "\(names.name(0)) to \(names.name(count - 1)), \(count) hosts, each"
    var parts = [kind.sockets == 1 ? "1 socket" : "\(kind.sockets) sockets"]
    if kind.numaPerSocket > 1 { parts.append("\(kind.numaCount) NUMA nodes") }
    parts.append(kind.ranks == 1 ? "1 rank" : "\(kind.ranks) ranks")
    parts.append("memory \(kind.memory.bandwidth.inBytes) a NUMA node")
    if kind.sockets > 1 { parts.append("\(kind.interconnect.bandwidth.inBytes) from socket to socket") }
    var speeds: [Bandwidth: Int] = [:]
    for nic in kind.nics { speeds[nic.figures.bandwidth, default: 0] += 1 }
    for (speed, count) in speeds.sorted(by: { $0.key > $1.key }) {
      parts.append("\(count == 1 ? "an interface" : "\(count) interfaces") of \(speed)")
    }
    return "\(hosts): \(parts.joined(separator: ", "))"
  }
}

/// The groups of a topology, those in them, and so on; of many alike, the first two and how many there are.
struct TopologyTree {
  private let topology: Topology
  private let levels: [TopologyLevel]
  /// How many are shown of what a group divides into.
  private static let shownMax = 4

  init(_ topology: Topology) {
    self.topology = topology
    levels = topology.levels
  }

  var lines: [String] {
    var lines: [String] = []
    append(Array(0..<topology.rankCount), level: 0, margin: "", isFirst: true, to: &lines)
    return lines
  }

  private func append(_ ranks: [Int], level: Int, margin: String, isFirst: Bool, to lines: inout [String]) {
    guard isFirst, level < levels.count else { return }
    var groups: [[Int]] = []
    var places: [Int: Int] = [:]
    for rank in ranks {
      let number = levels[level].numbers[rank]
      if let place = places[number] {
        groups[place].append(rank)
      } else {
        places[number] = groups.count
        groups.append([rank])
      }
    }
    let shown = groups.count > TopologyTree.shownMax ? 2 : groups.count
    for (index, group) in groups[..<shown].enumerated() {
      let isLast = index == groups.count - 1
      let ranks = group.count == 1 ? "rank \(group[0])" : "ranks \(TopologyTree.list(group))"
      lines.append("\(margin)\(isLast ? "└─" : "├─") \(name(of: group[0], at: level, index: index)): \(ranks)")
      append(group, level: level + 1, margin: margin + (isLast ? "   " : "│  "), isFirst: index == 0, to: &lines)
    }
    if groups.count > shown { lines.append("\(margin)└─ ... \(groups.count) in all") }
  }

  private func name(of rank: Int, at level: Int, index: Int) -> String {
    let location = topology.location(of: rank)
    switch levels[level].name {
    case "region": return topology.regions[location.region].name
    case "host": return topology.hostName(location.host)
    case "socket": return "socket \(location.socket)"
    case "numa": return "numa \(location.numa)"
    default: return "\(levels[level].name) \(index)"
    }
  }

  /// `0 to 7`, `0, 8, 16, ... 56`.
  static func list(_ ranks: [Int]) -> String {
    guard ranks.count > 4 || (ranks.count > 2 && ranks[ranks.count - 1] - ranks[0] == ranks.count - 1) else {
      return ranks.map(String.init).joined(separator: ", ")
    }
    let last = ranks[ranks.count - 1]
    return last - ranks[0] == ranks.count - 1
      ? "\(ranks[0]) to \(last)" : "\(ranks[0]), \(ranks[1]), \(ranks[2]), ... \(last)"
  }
}
