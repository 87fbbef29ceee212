import Testing
import TuttiSchedule
import TuttiTopology

import Patience
import TuttiTopologyFiles

/// The topologies that come with Tutti are what their files say.
@Suite struct TopologiesTests {
  struct Expected: Sendable, CustomTestStringConvertible {
    var file: String
    var hosts: Int
    var ranks: Int
    /// Switches of all planes and regions, and the directed links between them.
    var switches: Int
    var links: Int
    var levels: [String]
    var testDescription: String { file }
  }

  static let expected = [
    Expected(
      file: "dragonfly-17x16x8.yaml", hosts: 2176, ranks: 8704, switches: 272, links: 272 * 15 + 17 * 16 * 8,
      levels: ["group", "router", "host", "socket"]),
    Expected(file: "ethernet-2.yaml", hosts: 2, ranks: 8, switches: 1, links: 0, levels: ["host"]),
    Expected(file: "ethernet-4.yaml", hosts: 4, ranks: 8, switches: 1, links: 0, levels: ["host"]),
    Expected(
      file: "fat-tree-k16.yaml", hosts: 1024, ranks: 4096, switches: 5 * 64, links: 4 * 1024,
      levels: ["pod", "edge", "host", "socket"]),
    Expected(
      file: "rail-pod-1024.yaml", hosts: 1024, ranks: 8192, switches: 256 + 64, links: 256 * 16 * 2,
      levels: ["leaf", "host", "socket"]),
    Expected(file: "rail-pod-32.yaml", hosts: 32, ranks: 256, switches: 12, links: 8 * 32 * 2, levels: ["host", "socket"]),
    Expected(file: "roce-4.yaml", hosts: 4, ranks: 32, switches: 1, links: 0, levels: ["host"]),
    Expected(file: "torus-8x8x8.yaml", hosts: 512, ranks: 512, switches: 512, links: 512 * 6, levels: []),
    Expected(file: "two-racks.yaml", hosts: 8, ranks: 40, switches: 2, links: 4, levels: ["switch", "host", "socket"]),
    Expected(file: "two-socket.yaml", hosts: 1, ranks: 16, switches: 0, links: 0, levels: ["socket"]),
    Expected(
      file: "wan-4-regions.yaml", hosts: 32, ranks: 128, switches: 4 * 4, links: 4 * 2 * 2 * 2,
      levels: ["region", "leaf", "host", "socket"]),
  ]

  @Test func allAreTested() { #expect(Topologies.files == Self.expected.map(\.file)) }

  @Test(arguments: expected) func isWhatItSays(_ expected: Expected) throws {
    let topology = try Topologies.load(expected.file)
    #expect(topology.hostCount == expected.hosts)
    #expect(topology.rankCount == expected.ranks)
    let networks = topology.regions.flatMap(\.networks)
    #expect(networks.reduce(0) { $0 + $1.planes * $1.fabric.switchCount } == expected.switches)
    #expect(networks.reduce(0) { $0 + $1.linkCount } == expected.links)
    #expect(topology.levels.map(\.name) == expected.levels)
    #expect(expected.file == "\(topology.name).yaml")
    #expect(topology.source.count > 80, "where its figures come from")
    // What the levels are for.
    if !topology.levels.isEmpty {
      let grouping = try Grouping(topology.levels.map(\.numbers))
      for (level, expected) in topology.levels.enumerated() {
        #expect(grouping.groupCount(at: level + 1) == expected.groupCount)
        #expect(grouping.groupSizes(at: level + 1) == expected.sizes)
      }
    }
  }

  /// A large cluster is few lines, and no more work than its ranks: a route is a handful of numbers.
  @Test func largePodIsShortAndQuick() throws {
    let bytes = try Topologies.bytes("rail-pod-1024.yaml")
    #expect(bytes.count { $0 == UInt8(ascii: "\n") } <= 24)
    let start = ContinuousClock.now
    let topology = try Topology(file: "", bytes: bytes)
    let loaded = ContinuousClock.now - start
    #expect(loaded < .seconds(Patience.seconds(1)), "\(loaded)")
    #expect((0..<8192).reduce(0) { $0 + topology.path(from: 0, to: $1).links.count } < 8192 * 8)
  }
}
