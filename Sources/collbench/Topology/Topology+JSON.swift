import TuttiTopology

/// A topology for programs. Keys are a contract, as those of results are; GB are 10^9 bytes.
extension Topology {
  var json: JSONValue {
    .object([
      ("version", .integer(reportVersion)), ("tutti", .string(toolVersion)), ("name", .string(name)),
      ("hash", .string(hash)),
      ("hosts", .integer(hostCount)), ("ranks", .integer(rankCount)), ("links", .integer(linkCount)),
      ("placement", .string(placement.order.name)),
      ("regions", .array(regions.map(\.json))),
      ("wideArea", .array((wideArea?.routes.arcs ?? []).map(json))),
      ("levels", .array(levelFigures.map(json))),
      // By rank.
      ("hostNames", .array((0..<hostCount).map { .string(hostName($0)) })),
      ("hostOfRank", .array(placement.hosts.map { .integer(Int($0)) })),
      ("groupsOfRank", .object(levels.map { ($0.name, .array($0.numbers.map { .integer($0) })) })),
    ])
  }

  private func json(_ arc: GraphRoutes.Arc) -> JSONValue {
    .object([("from", .string(regions[arc.from].name)), ("to", .string(regions[arc.to].name))] + arc.figures.members)
  }

  private func json(_ level: LevelFigures) -> JSONValue {
    .object(
      [
        ("name", .string(level.name)), ("groups", .integer(level.groupCount)),
        ("ranksMin", .integer(level.sizes.lowerBound)), ("ranksMax", .integer(level.sizes.upperBound)),
      ] + LinkFigures(bandwidth: level.bandwidth, latency: level.latency).members + [
        ("exitGBps", level.exit.map { .number($0.bytesPerSecond / 1e9) } ?? .null)
      ])
  }
}

extension LinkFigures {
  fileprivate var members: [(String, JSONValue)] {
    [
      ("latencyMicroseconds", .number(Double(latency.picoseconds) / 1e6)),
      ("bandwidthGBps", .number(bandwidth.bytesPerSecond / 1e9)),
    ]
  }
}

extension RankPlacement.Order {
  fileprivate var name: String {
    switch self {
    case .inOrder: "in-order"
    case .roundRobin: "round-robin"
    case .listed: "listed"
    }
  }
}

extension Region {
  fileprivate var json: JSONValue {
    .object([
      ("name", .string(name)),
      (
        "networks",
        .array(
          networks.map { network in
            .object([
              ("name", .string(network.name)), ("type", .string(network.fabric.type)), ("planes", .integer(network.planes)),
              ("switches", .integer(network.planes * network.fabric.switchCount)), ("links", .integer(network.linkCount)),
              ("summary", .string(network.summary)),
            ])
          })
      ),
      ("hosts", .array(runs.map(\.json))),
    ])
  }
}

extension HostRun {
  fileprivate var json: JSONValue {
    .object([
      ("first", .string(names.name(0))), ("count", .integer(count)), ("sockets", .integer(kind.sockets)),
      ("numaPerSocket", .integer(kind.numaPerSocket)), ("ranks", .integer(kind.ranks)),
      ("memory", .object(kind.memory.members)), ("interconnect", .object(kind.interconnect.members)),
      (
        "nics",
        .array(
          kind.nics.map { nic in
            .object(
              [("name", .string(nic.name)), ("numa", .integer(nic.numa)), ("network", .integer(nic.network))]
                + nic.figures.members)
          })
      ),
    ])
  }
}
