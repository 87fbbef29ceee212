import Testing
import TuttiTopology

/// Ways from rank to rank: that they hang together, are as short as the shape allows, and spread.
@Suite struct RouteTests {
  /// Each link between switches begins where the one before ended.
  @Test(arguments: Topologies.files) func waysHangTogether(_ file: String) throws {
    let topology = try Topologies.load(file)
    var numbers = SeededGenerator(seed: SeededGenerator.seed)
    for _ in 0..<200 {
      let (from, to) = (
        Int.random(in: 0..<topology.rankCount, using: &numbers), Int.random(in: 0..<topology.rankCount, using: &numbers)
      )
      let flow = Int.random(in: 0..<16, using: &numbers)
      let path = topology.path(from: from, to: to, flow: flow)
      let words = Comment(rawValue: "TUTTI_TEST_SEED=\(SeededGenerator.seed): rank \(from) to \(to), flow \(flow)")
      #expect(path == topology.path(from: from, to: to, flow: flow), words)
      let links = path.links.map(topology.link).filter { $0.kind == .access || $0.kind == .fabric }
      for (link, next) in zip(links, links.dropFirst())
      where !topology.regions.contains(where: { _ in path.links.contains { topology.link($0).kind == .wideArea } }) {
        #expect(link.to == next.from, words)
      }
      let (source, target) = (topology.location(of: from).host, topology.location(of: to).host)
      if source == target {
        #expect(links.isEmpty, words)
      } else {
        #expect(links.first?.from.hasPrefix(topology.hostName(source) + " ") == true, words)
        #expect(links.last?.to.hasPrefix(topology.hostName(target) + " ") == true, words)
      }
      let figures = path.links.map(topology.figures)
      #expect(path.latency.picoseconds == figures.reduce(0) { $0 + $1.latency.picoseconds }, words)
      #expect(path.bandwidth == figures.map(\.bandwidth).min(), words)
    }
  }

  private func hops(_ topology: Topology, _ from: Int, _ to: Int) -> Int {
    topology.path(from: from, to: to).links.count { topology.link($0).kind == .fabric }
  }

  @Test func torusGoesTheShorterWayRound() throws {
    let topology = try Topologies.load("torus-8x8x8.yaml")
    var longest = 0
    for to in 0..<512 {
      let distance = [to % 8, to / 8 % 8, to / 64].reduce(0) { $0 + min($1, 8 - $1) }
      #expect(hops(topology, 0, to) == distance)
      longest = max(longest, distance)
    }
    #expect(longest == 12)
    let mesh = try Topologies.read(
      "hosts: {count: 20, nics: {bandwidth: 1 Gb/s, latency: 1 us}}\nnetwork: {type: torus, dimensions: [5, 4], wrap: false}"
    )
    #expect(hops(mesh, 0, 19) == 4 + 3)
    #expect(hops(mesh, 19, 0) == 4 + 3)
  }

  @Test func dragonflyTakesOneGlobalLinkAtMost() throws {
    let topology = try Topologies.load("dragonfly-17x16x8.yaml")
    var numbers = SeededGenerator(seed: SeededGenerator.seed)
    for _ in 0..<500 {
      let (from, to) = (Int.random(in: 0..<8704, using: &numbers), Int.random(in: 0..<8704, using: &numbers))
      #expect(hops(topology, from, to) <= 3)
      if from / 512 == to / 512 { #expect(hops(topology, from, to) <= 1) }
    }
  }

  /// Both ends of a global link are the same cable, whichever group is asked.
  @Test(arguments: [(5, 4, 1), (17, 16, 8), (9, 4, 2), (3, 3, 1), (4, 5, 1)]) func dragonflyIsWiredOnce(
    _ groups: Int, _ routers: Int, _ links: Int
  ) throws {
    let topology = try Topologies.read(
      """
      hosts: {count: \(groups * routers), nics: {bandwidth: 1 Gb/s, latency: 1 us}}
      network: {type: dragonfly, groups: \(groups), routers-per-group: \(routers), hosts-per-router: 1, global-links-per-router: \(links)}
      """)
    let fabric = topology.regions[0].networks[0].fabric
    var directed: [String: Int] = [:]
    for link in 0..<fabric.linkCount {
      let (from, to) = fabric.ends(of: link)
      directed["\(from) > \(to)", default: 0] += 1
    }
    for (ends, count) in directed {
      let parts = ends.split(separator: " > ")
      #expect(directed["\(parts[1]) > \(parts[0])"] == count, "\(ends)")
    }
    // No router has more global cables than ports.
    var ports: [Substring: Int] = [:]
    for (ends, count) in directed {
      let parts = ends.split(separator: " > ")
      if parts[0].split(separator: " ").last != parts[1].split(separator: " ").last { ports[parts[0], default: 0] += count }
    }
    #expect((ports.values.max() ?? 0) <= links)
  }

  @Test func fatTreeClimbsNoHigherThanItMust() throws {
    let topology = try Topologies.load("fat-tree-k16.yaml")
    #expect(hops(topology, 0, 4) == 0)
    #expect(hops(topology, 0, 32) == 2)
    #expect(hops(topology, 0, 256) == 4)
    // Equally long ways are all used.
    var cores: Set<String> = []
    for to in 256..<4096 {
      for link in topology.path(from: 0, to: to).links.map(topology.link) where link.to.hasPrefix("core") {
        cores.insert(link.to)
      }
    }
    #expect(cores.count == 64)
  }

  @Test func railsMeetAtOneSwitch() throws {
    let topology = try Topologies.load("rail-pod-32.yaml")
    // Rank n of each host is on rail n; another rail is reached on the receiver's side.
    for (from, to) in [(3, 8 + 3), (3, 8 + 6)] {
      let links = topology.path(from: from, to: to).links.map(topology.link).filter { $0.kind == .access }
      #expect(links.map(\.from) == ["host0 nic3", "leaf 0 of rail 3"])
      #expect(links.map(\.to) == ["leaf 0 of rail 3", "host1 nic3"])
    }
    // Flows take the next interfaces in turn, the socket's own first.
    let first = (0..<8).map { flow in
      topology.path(from: 2, to: 8, flow: flow).links.map(topology.link).first { $0.kind == .access }!.from
    }
    #expect(first == [2, 3, 0, 1, 4, 5, 6, 7].map { "host0 nic\($0)" })
  }

  @Test func withoutRailsTheNearestInterfaceReceives() throws {
    let topology = try Topologies.read(
      """
      hosts: {count: 2, sockets: 2, ranks: 4, nics: {count: 2, bandwidth: 1 Gb/s, latency: 1 us}}
      network: {type: switch}
      """)
    let path = topology.path(from: 0, to: 7)
    #expect(path.links.map(topology.link).map(\.kind) == [.host, .access, .access, .host])
    #expect(topology.link(path.links[2]).to == "host1 nic1")
  }

  @Test func loadsTellWhatIsShared() throws {
    let topology = try Topologies.load("ethernet-4.yaml")
    // Both ranks of host 0 send to host 1: they share its cable, in one direction.
    let loads = topology.loads(of: [(from: 0, to: 2), (from: 1, to: 3), (from: 4, to: 6)])
    let shared = loads.filter { $0.value == 2 && topology.link($0.key).kind == .access }.map { topology.link($0.key) }
    #expect(Set(shared.map(\.from)) == ["host0 nic0", "switch"])
    #expect(loads.values.max() == 2)
  }

  @Test func wideAreaWaysPassTheRouters() throws {
    let topology = try Topologies.load("wan-4-regions.yaml")
    let links = topology.path(from: 0, to: 127).links.map(topology.link)
    #expect(links.map(\.kind) == [.host, .access, .fabric, .wideArea, .fabric, .access, .host, .host])
    #expect(links[3].from == "virginia" && links[3].to == "tokyo")
    // Through another region, where that is shorter.
    let line = try Topologies.read(
      """
      hosts: {nics: {bandwidth: 1 Gb/s, latency: 1 us}}
      network: {type: switch}
      regions: [{name: a}, {name: b}, {name: c}]
      wan: {bandwidth: 1 Gb/s, links: [{between: [a, b], latency: 1 ms}, {between: [b, c], latency: 1 ms}, {between: [a, c], latency: 3 ms}]}
      """)
    #expect(line.path(from: 0, to: 2).links.map(line.link).filter { $0.kind == .wideArea }.map(\.to) == ["b", "c"])
  }

  /// A file's own cables, and the shortest of several ways.
  @Test func graphsAreSearched() throws {
    let topology = try Topologies.read(
      """
      hosts: {name: "h[0-3]", nics: {bandwidth: 10 Gb/s, latency: 1 us}}
      network:
        type: graph
        switch-latency: 1 us
        bandwidth: 40 Gb/s
        switches: ["s[0-3]"]
        links:
          - {between: [h0, s0]}
          - {between: [h1, s1], bandwidth: 5 Gb/s}
          - {between: ["h2:nic0", s2]}
          - {between: [s3, h3]}
          - {between: [s0, s1], latency: 1 us}
          - {between: [s1, s2], latency: 1 us}
          - {between: [s2, s3], latency: 1 us}
          - {between: [s3, s0], latency: 9 us}
      """)
    let path = topology.path(from: 0, to: 3)
    #expect(path.links.map(topology.link).filter { $0.kind == .fabric }.map(\.to) == ["s1", "s2", "s3"])
    // Memory twice, 1 + 1 in, three links of 1 + 1, 1 out.
    #expect(path.latency.picoseconds == 2 * 200_000 + 2_000_000 + 6_000_000 + 1_000_000)
    #expect(path.bandwidth?.description == "10 Gb/s")
    #expect(topology.path(from: 0, to: 1).bandwidth?.description == "5 Gb/s")
    let cable = try Topologies.read(
      """
      hosts: {names: [left, right], nics: {bandwidth: 10 Gb/s, latency: 1 us}}
      network: {type: graph, links: [{between: [left, right], latency: 50 ns}]}
      """)
    #expect(cable.path(from: 0, to: 1).latency.picoseconds == 2 * 200_000 + 2_000_000 + 50_000)
  }
}
