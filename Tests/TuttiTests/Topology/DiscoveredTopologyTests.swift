import Testing
import TuttiSystem
import TuttiTopology

@testable import Tutti

/// A job's own table of ranks as a file: what is written is read again.
@Suite struct DiscoveredTopologyTests {
  private func report(
    _ identity: String, name: String = "node", sockets: Int = 1, nodes: Int = 1, megabits: Int = 25_000, isRDMA: Bool = false
  ) -> HostReport {
    HostReport(
      host: HostIdentity(name: name, identity: identity), sockets: sockets, nodes: nodes,
      interfaces: HostReport.Interfaces(name: "eth0", count: 1, megabits: megabits, isRDMA: isRDMA))
  }

  @Test("hosts, ranks and rates are read again as they were", arguments: ["aabb", "abab", "aaab", "abcabca"])
  func roundTrip(_ places: String) throws {
    let discovered = DiscoveredTopology(places.map { report("\($0)") })
    let topology = try JobTopology(text: discovered.text).topology
    #expect(topology.rankCount == places.count && topology.hostCount == Set(places).count)
    let letters = Array(places)
    for rank in letters.indices {
      for other in letters.indices {
        #expect(
          (topology.location(of: rank).host == topology.location(of: other).host) == (letters[rank] == letters[other]),
          "ranks \(rank) and \(other) of \(places)")
      }
    }
    #expect(topology.levelFigures.first?.bandwidth == Bandwidth(bitsPerSecond: 25_000_000_000))
  }

  @Test("hosts of one name are told apart, and odd names are made readable") func names() throws {
    let discovered = DiscoveredTopology([report("a"), report("b"), report("c", name: "x y: [z]"), report("d", name: "")])
    #expect(discovered.hostNames == ["node", "node-2", "x-y---z-", "host"])
    #expect(try JobTopology(text: discovered.text).hostCount == 4)
  }

  @Test("a rate that the kernel does not tell is said to stand in for one") func unknownRates() throws {
    let text = DiscoveredTopology([report("a", megabits: 0), report("b")]).text
    #expect(text.contains("# The kernel of node does not tell its interface's rate: 10 Gb/s stands in for it."))
    #expect(text.contains("Latencies are common ones"))
    #expect(try JobTopology(text: text).rankCount == 2)
  }

  @Test("what was measured replaces what was told") func measured() throws {
    var discovered = DiscoveredTopology([report("a"), report("b"), report("c")])
    discovered.note(.init(latency: 12_500, bandwidth: 0.125), between: 0, and: 1)
    discovered.note(.init(latency: 10_500, bandwidth: 0.115), between: 0, and: 2)
    discovered.note(.init(latency: 1, bandwidth: 1e-9), between: 1, and: 2)
    let text = discovered.text
    #expect(text.contains("bandwidth: 1000 Mb/s, latency: 5000 ns") && !text.contains("common"))
    #expect(try JobTopology(text: text).hostCount == 3)
  }

  @Test("sockets and nodes are there, and one host has no network") func insideHosts() throws {
    let report = report("a", sockets: 2, nodes: 4)
    let topology = try JobTopology(text: DiscoveredTopology(Array(repeating: report, count: 8)).text).topology
    #expect(topology.levels.map(\.name) == ["socket", "numa"])
  }

  @Test("ranks tell each other their reports") func exchange() throws {
    try withRanks(3) { communicator in
      let own = report("\(communicator.rank)", sockets: communicator.rank + 1, isRDMA: communicator.rank == 1)
      let all = try own.exchange(communicator)
      #expect(all.map(\.sockets) == [1, 2, 3] && all.map { $0.interfaces?.isRDMA } == [false, true, false])
      #expect(all[communicator.rank] == own)
    }
  }
}
