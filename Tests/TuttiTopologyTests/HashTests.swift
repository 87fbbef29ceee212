import Testing
import TuttiTopology

/// Equal content has an equal hash, and nothing else has.
@Suite struct HashTests {
  static let text = """
    name: x
    hosts: {count: 4, name: n, sockets: 2, ranks: 4, nics: {count: 2, bandwidth: 100 Gb/s, latency: 1 us}}
    network: {type: leaf-spine, hosts-per-leaf: 2, uplinks: 4, spines: 2}
    """

  @Test(arguments: [
    // Comments, quotes, the order of keys, JSON.
    """
    # A comment.
    {"network": {"spines": 2, "uplinks": 4, "hosts-per-leaf": 2, "type": "leaf-spine"}, "name": "x", "source": "elsewhere",
     "hosts": {"nics": {"latency": "1000 ns", "bandwidth": "12.5 GB/s", "count": 2}, "ranks": 4, "sockets": 2, "name": "n", "count": 4}}
    """,
    // Defaults written out, names in a list.
    """
    version: 1
    name: x
    placement: in-order
    hosts: {names: [n0, n1, n2, n3], sockets: 2, numa-per-socket: 1, ranks: 4, memory: {bandwidth: 100 GB/s, latency: 0.2 us},
      nics: {count: 2, bandwidth: 0.1 Tb/s, latency: 1.000 us}}
    network: {type: leaf-spine, hosts-per-leaf: 2, uplinks: 4, spines: 2, rails: 1, switch-latency: 500 ns, uplink-bandwidth: 100 Gb/s}
    """,
    // The same number of uplinks by another way.
    """
    name: x
    hosts: {count: 4, name: "n[0-3]", sockets: 2, ranks: 4, nics: [{bandwidth: 100 Gb/s, latency: 1 us}, {bandwidth: 100 Gb/s, latency: 1 us}]}
    network: {type: leaf-spine, hosts-per-leaf: 2, spines: 2, oversubscription: 1:1}
    """,
  ]) func isTheSame(_ other: String) throws {
    #expect(try Topologies.read(other).hash == Topologies.read(Self.text).hash)
  }

  @Test(arguments: [
    ("name: x", "name: y"), ("count: 4", "count: 3"), ("name: n", "name: m"), ("sockets: 2", "sockets: 1"),
    ("ranks: 4", "ranks: 3"),
    ("count: 2", "count: 1"), ("100 Gb/s", "99 Gb/s"), ("1 us", "1.000001 us"), ("leaf: 2", "leaf: 4"),
    ("uplinks: 4", "uplinks: 2"),
    ("spines: 2", "spines: 4"), ("spines: 2", "spines: 2, cable-latency: 1 ps"),
    ("spines: 2", "spines: 2, switch-latency: 1 ps"),
    ("spines: 2", "spines: 2, uplink-bandwidth: 1 Gb/s"), ("spines: 2", "spines: 2, bandwidth: 1 Gb/s"),
    ("spines: 2", "spines: 2, rails: 2"),
    ("spines: 2", "spines: 2, name: other"), ("sockets: 2", "sockets: 2, memory: {latency: 1 ns}"),
    ("sockets: 2", "sockets: 2, interconnect: {bandwidth: 1 GB/s}"), ("sockets: 2", "sockets: 2, numa-per-socket: 2"),
    ("name: x", "name: x\nplacement: round-robin"), ("name: x", "name: x\nplacement: [n0, n1]"),
  ]) func isAnother(_ change: (String, String)) throws {
    let parts = Self.text.split(separator: change.0, maxSplits: 1, omittingEmptySubsequences: false)
    let changed = try #require(parts.count == 2 ? parts[0] + change.1 + parts[1] : nil)
    #expect(try Topologies.read(String(changed)).hash != Topologies.read(Self.text).hash)
  }

  /// Ranks on other machines, of other builds, compare it: it never changes for what a file of version 1 says.
  @Test func staysWhatItIs() throws {
    #expect(try Topologies.read(Self.text).hash == "a9a2d683dea5ee4aeeb168fd88567a31")
  }

  @Test func topologiesDiffer() throws {
    let hashes = try Topologies.files.map { try Topologies.load($0).hash }
    #expect(Set(hashes).count == hashes.count)
  }
}
