import Testing
import TuttiSchedule
import TuttiSystem
import TuttiTopology

@testable import Tutti

/// What a communicator knows of the groups of its ranks.
@Suite struct JobLayoutTests {
  /// - Parameter hosts: By rank, the name of its host.
  private func hosts(_ names: String) -> [HostIdentity] {
    names.map { HostIdentity(name: String($0), identity: "\($0)") }
  }

  private func topology(_ text: String) throws -> Topology { try JobTopology(text: text).topology }

  static let twoHosts = """
    name: two
    source: made up
    hosts: { count: 2, ranks: 2, nics: { bandwidth: 10 Gb/s, latency: 5 us } }
    network: { type: switch }
    """

  @Test("ranks of one host are a group", arguments: [("aabb", [[0, 1], [2, 3]]), ("abab", [[0, 2], [1, 3]])])
  func hostsAreGroups(_ names: String, _ groups: [[Int]]) throws {
    let layout = try JobLayout(nil, hosts: hosts(names))
    #expect(layout.levels.map(\.name) == ["host"])
    #expect((0..<2).map { Array(layout.grouping.group($0, at: 1)) } == groups)
  }

  @Test("one host, and hosts of one rank, are no groups", arguments: ["aaaa", "abcd", "a"])
  func plainJobs(_ names: String) throws {
    let layout = try JobLayout(nil, hosts: hosts(names))
    #expect(layout.levels.isEmpty && layout.grouping.levelCount == 1 && layout.grouping.rankCount == names.count)
  }

  @Test("a split keeps the groups of its ranks") func splits() throws {
    let layout = try JobLayout(nil, hosts: hosts("aaabbb"))
    let mixed = layout.restricted(to: [5, 0, 1])
    #expect((0..<2).map { Array(mixed.grouping.group($0, at: 1)) } == [[0], [1, 2]])
    #expect(layout.restricted(to: [3, 4, 5]).levels.isEmpty)
    #expect(layout.restricted(to: [0, 3]).levels.isEmpty)
    #expect(mixed.hash != layout.hash && layout.restricted(to: Array(0..<6)).hash == layout.hash)
  }

  /// Virginia, Oregon, Ireland and Tokyo in the order of the ranks' numbers are 290.5 ms round, by Ireland first 226.
  @Test("a ring goes round regions by a short tour, also in a split") func tours() throws {
    let text = """
      name: regions
      source: made up
      hosts: { count: 1, ranks: 2, nics: { bandwidth: 10 Gb/s, latency: 5 us } }
      network: { type: switch }
      regions: [ { name: virginia }, { name: oregon }, { name: ireland }, { name: tokyo } ]
      wan:
        bandwidth: 10 Gb/s
        links:
      """
    let names = ["virginia", "oregon", "ireland", "tokyo"]
    let pairs = names.indices.flatMap { from in names.indices.dropFirst(from + 1).map { (names[from], names[$0]) } }
    func layout(_ latencies: [Double]) throws -> JobLayout {
      let links = zip(pairs, latencies).map { "\n    - {between: [\($0.0), \($0.1)], latency: \($1) ms}" }.joined()
      return try JobLayout(try topology(text + links), rankCount: 8)
    }
    func regions(_ layout: JobLayout) -> [[Int]] {
      (0..<layout.grouping.groupCount(at: 1)).map { Array(layout.grouping.group($0, at: 1)) }
    }
    let far = try layout([43.5, 40.5, 72.5, 68.5, 44.5, 106])
    #expect(regions(far) == [[0, 1], [4, 5], [2, 3], [6, 7]])
    // Without rank 1, and in another order: the same way round.
    #expect(regions(far.restricted(to: [7, 6, 5, 4, 3, 2, 0])) == [[6], [2, 3], [4, 5], [0, 1]])
    // Where a tour is hardly shorter, the ranks' own order is worth more.
    let near = try layout([41, 40, 41, 41, 40, 41])
    #expect(near.grouping.isInRankOrder && regions(near) == [[0, 1], [2, 3], [4, 5], [6, 7]])
  }

  @Test("a description has figures for each step, and a split has those of its own steps") func figures() throws {
    let text = """
      name: racks
      source: made up
      hosts: { count: 4, ranks: 2, nics: { bandwidth: 10 Gb/s, latency: 5 us } }
      network: { type: leaf-spine, hosts-per-leaf: 2, spines: 1 }
      """
    let topology = try topology(text)
    let layout = try JobLayout(topology, rankCount: 8)
    #expect(layout.levels.map(\.name) == ["leaf", "host"])
    #expect(layout.figures.map(\.name) == ["leaf", "host", "rank"])
    #expect(layout.hash == topology.hash)
    // One rank of each host: the innermost step goes from host to host.
    let columns = layout.restricted(to: [0, 2, 4, 6])
    #expect(columns.levels.map(\.name) == ["leaf"])
    #expect(columns.figures.map(\.name) == ["leaf", "host"])
    // One rack.
    let rack = layout.restricted(to: [0, 1, 2, 3])
    #expect(rack.levels.map(\.name) == ["host"] && rack.figures.map(\.name) == ["host", "rank"])
    // One host.
    #expect(layout.restricted(to: [0, 1]).figures.map(\.name) == ["rank"])
    #expect(rack.hash != layout.hash)
  }

  @Test("a description of another job is refused, with the place") func otherJobs() throws {
    let topology = try topology(Self.twoHosts)
    let wrongCount = #expect(throws: FailureReport.self) { try JobLayout(topology, rankCount: 5) }
    #expect(wrongCount?.message == "topology two has 4 ranks, this job 5" && wrongCount?.code == .configuration)
    let wrongHost = #expect(throws: FailureReport.self) { try JobLayout(topology, hosts: hosts("abab")) }
    #expect(wrongHost?.message.contains("ranks 0 and 1 on host") == true)
    #expect(wrongHost?.message.hasSuffix("but they run on a and b") == true)
    // Several described hosts on one are for tests.
    #expect(try JobLayout(topology, hosts: hosts("aaaa")).levels.count == 1)
  }
}
