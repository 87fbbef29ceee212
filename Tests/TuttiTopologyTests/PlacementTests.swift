import Testing
import TuttiTopology

/// Which rank is where, and what that makes of groups.
@Suite struct PlacementTests {
  private func hosts(_ placement: String) throws -> [Int] {
    try Topologies.read(
      """
      placement: \(placement)
      hosts: [{name: a, ranks: 3, nics: {bandwidth: 1 Gb/s, latency: 1 us}}, {name: b, ranks: 1, nics: {bandwidth: 1 Gb/s, latency: 1 us}},
        {name: c, ranks: 2, nics: {bandwidth: 1 Gb/s, latency: 1 us}}]
      network: {type: switch}
      """
    ).placement.hosts.map(Int.init)
  }

  @Test func ordersAreTheThree() throws {
    #expect(try hosts("in-order") == [0, 0, 0, 1, 2, 2])
    #expect(try hosts("round-robin") == [0, 1, 2, 0, 2, 0])
    #expect(try hosts("[c, a, c, b, a]") == [2, 0, 2, 1, 0])
  }

  @Test func groupsFollowTheOrder() throws {
    let topology = try Topologies.load("two-racks.yaml")
    let hosts = try #require(topology.levels.first { $0.name == "host" })
    #expect(hosts.groupCount == 8 && hosts.sizes == 4...8)
    #expect(Array(hosts.numbers.prefix(10)) == [0, 1, 2, 3, 4, 5, 6, 7, 0, 1])
    #expect(Array(hosts.numbers.suffix(4)) == [6, 7, 6, 7])
  }

  @Test func ranksAndInterfacesAreSpreadOverSockets() throws {
    let topology = try Topologies.read(
      """
      hosts: {sockets: 2, numa-per-socket: 2, ranks: 8, nics: [{count: 2, bandwidth: 1 Gb/s, latency: 1 us},
        {name: slow, bandwidth: 1 Mb/s, latency: 1 us, socket: 1}, {name: fast, bandwidth: 1 Gb/s, latency: 1 us, numa: 3}]}
      network: {type: switch}
      """)
    let kind = topology.runs[0].kind
    #expect((0..<8).map { topology.location(of: $0).numa } == [0, 0, 1, 1, 2, 2, 3, 3])
    #expect((0..<8).map { topology.location(of: $0).socket } == [0, 0, 0, 0, 1, 1, 1, 1])
    #expect(kind.nics.map(\.numa) == [0, 2, 2, 3])
    // Never the slow one, and first what is nearest.
    #expect(kind.affinity.map { kind.nics[$0[0]].name } == ["nic0", "nic0", "nic0", "nic0", "nic1", "nic1", "fast", "fast"])
    #expect(kind.affinity.allSatisfy { $0.count == 3 })
    #expect(topology.levels.map(\.name) == ["socket", "numa"])
    // Inside a socket by its mesh, between sockets by the interconnect.
    #expect(
      topology.path(from: 0, to: 2).links.map(topology.link).map(\.to) == [
        "host0 memory of numa 0", "host0 mesh of socket 0", "host0 memory of numa 1",
      ])
    #expect(
      topology.path(from: 0, to: 7).links.map(topology.link).map(\.to) == [
        "host0 memory of numa 0", "host0 socket 1", "host0 memory of numa 3",
      ])
  }

  @Test func oversubscriptionIsWhatLeavesALeaf() throws {
    let topology = try Topologies.load("rail-pod-1024.yaml")
    let leaf = try #require(topology.levelFigures.first { $0.name == "leaf" })
    let host = try #require(topology.levelFigures.first { $0.name == "host" })
    // 32 hosts on a leaf bring twice what its uplinks carry.
    #expect(leaf.exit?.bitsPerSecond == 32 * (host.exit?.bitsPerSecond ?? 0) / 2)
    #expect(leaf.bandwidth.description == "400 Gb/s")
    #expect(leaf.latency > host.latency)
  }
}
