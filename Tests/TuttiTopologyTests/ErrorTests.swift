import Testing
import TuttiTopology

/// Whatever is wrong with a file is an error that says where, what, and what may have been meant.
@Suite struct ErrorTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var text: String
    var line: Int
    var column: Int
    var field: String
    var says: [String]
    var testDescription: String { says.first ?? field }

    init(_ text: String, _ line: Int, _ column: Int, _ field: String, _ says: String...) {
      (self.text, self.line, self.column, self.field, self.says) = (text, line, column, field, says)
    }
  }

  private static let nics = "nics: {bandwidth: 1 Gb/s, latency: 1 us}"
  private static func hosts(_ more: String, count: Int = 2) -> String { "hosts: {count: \(count), \(nics)\(more)}\n" }
  private static func network(_ more: String, count: Int = 2) -> String { hosts("", count: count) + "network: {\(more)}" }
  private static func nic(_ bandwidth: String, _ latency: String) -> String {
    "hosts:\n  nics:\n    bandwidth: \(bandwidth)\n    latency: \(latency)\nnetwork: {type: switch}"
  }

  static let keys: [Case] = [
    Case("hosts: {nics: {bandwith: 1 Gb/s}}", 1, 16, "hosts.nics.bandwith", "did you mean 'bandwidth'?"),
    Case("host: {}", 1, 1, "host", "did you mean 'hosts'?"),
    Case("hosts: {}\nzzzzzz: 1", 2, 1, "zzzzzz", "unknown key of a topology; there are version, name,"),
    Case("name: x", 1, 1, "hosts", "is missing"),
    Case("hosts: {}\nhosts: {}", 1, 1, "", "given more than once: 'hosts'"),
    Case("hosts: 4", 1, 8, "hosts", "must be a mapping", "not '4'"),
    Case("hosts: []", 1, 8, "hosts", "has no element"),
    Case("- hosts", 1, 1, "", "must be a mapping", "not a list"),
    Case("hosts: {}\nversion: 2", 2, 10, "version", "2 is too large: 1 to 1"),
    Case("hosts: {}\nname: [x]", 2, 7, "name", "must be text, not a list"),
    Case("hosts: {}\nname: \"a\\nb\"", 2, 7, "name", "one line"),
    Case("hosts: {}\n? [a, b]\n: 1", 2, 3, "", "a key must be text"),
    Case("hosts: {name: \"a b\"}", 1, 15, "hosts.name", "'a b' is not a name"),
    Case("hosts: {name: a, names: [b]}", 1, 25, "hosts.names", "give 'name' or 'names', not both"),
    Case(hosts("") + "network: {type: switch}\nnetworks: []", 3, 11, "networks", "not both"),
    Case(network("type: swich"), 2, 17, "network.type", "unknown 'swich'; did you mean 'switch'?"),
    Case(network("rails: 2"), 2, 10, "network.type", "is missing: one of switch, leaf-spine"),
    Case(network("type: torus, k: 4"), 2, 24, "network.k", "unknown key of a torus network"),
    Case(
      hosts("") + "networks: [{type: switch, name: a}, {type: switch, name: a}]", 2, 58, "networks[1].name",
      "'a' is the name of two networks"),
    Case(hosts(", sockets: 2, interconect: {}"), 1, 73, "hosts.interconect", "did you mean 'interconnect'?"),
    Case(hosts(", interconnect: {}"), 1, 75, "hosts.interconnect", "set 'sockets'"),
    Case("hosts: {}\nplacement: inorder", 2, 12, "placement", "did you mean 'in-order'?"),
  ]

  static let numbers: [Case] = [
    Case("hosts: {count: 0}", 1, 16, "hosts.count", "0 is too small: 1 to 65536"),
    Case("hosts: {count: -3}", 1, 16, "hosts.count", "-3 is too small"),
    Case("hosts: {count: 65537}", 1, 16, "hosts.count", "65537 is too large"),
    Case("hosts: {count: 99999999999999999999}", 1, 16, "hosts.count", "must be a whole number"),
    Case("hosts: {count: 1.5}", 1, 16, "hosts.count", "must be a whole number", "not '1.5'"),
    Case("hosts: {count: 1e3}", 1, 16, "hosts.count", "not '1e3'"),
    Case("hosts: {count: \"4\"}", 1, 16, "hosts.count", "must be a whole number"),
    Case("hosts: {count: }", 1, 16, "hosts.count", "not nothing"),
    Case("hosts: {ranks: 5000}", 1, 16, "hosts.ranks", "too large: 1 to 4096"),
    Case("hosts: {count: 65536, ranks: 4096}", 1, 30, "hosts.ranks", "268435456 ranks: 1048576 is the most"),
    Case("hosts: [{count: 40000}, {count: 40000, name: b}]", 1, 33, "hosts[1].count", "80000 hosts: 65536 is the most"),
    Case("hosts: {sockets: 64, numa-per-socket: 5}", 1, 39, "hosts.numa-per-socket", "1 to 4"),
    Case(nic("0 Gb/s", "1 us"), 3, 16, "hosts.nics.bandwidth", "is 0"),
    Case(nic("-1 Gb/s", "1 us"), 3, 16, "hosts.nics.bandwidth", "is negative"),
    Case(nic("200", "1 us"), 3, 16, "hosts.nics.bandwidth", "has no unit", "Gb/s, GB/s"),
    Case(nic("200 Gb", "1 us"), 3, 16, "hosts.nics.bandwidth", "unknown unit 'Gb'; did you mean 'Gb/s'?"),
    Case(nic("200 gb/s", "1 us"), 3, 16, "hosts.nics.bandwidth", "unknown unit 'gb/s'; did you mean 'Gb/s'?"),
    Case(nic("200 parsec", "1 us"), 3, 16, "hosts.nics.bandwidth", "unknown unit 'parsec'; there are"),
    Case(nic("1e9 b/s", "1 us"), 3, 16, "hosts.nics.bandwidth", "unknown unit 'e9 b/s'"),
    Case(nic("1.2.3 Gb/s", "1 us"), 3, 16, "hosts.nics.bandwidth", "must be a number and a unit"),
    Case(nic(".5 Gb/s", "1 us"), 3, 16, "hosts.nics.bandwidth", "must be a number and a unit"),
    Case(nic("fast", "1 us"), 3, 16, "hosts.nics.bandwidth", "must be a number and a unit, such as 25 Gb/s"),
    Case(nic("101 Tb/s", "1 us"), 3, 16, "hosts.nics.bandwidth", "is out of range for a link's rate: 1 kb/s to 100 Tb/s"),
    Case(nic("999 b/s", "1 us"), 3, 16, "hosts.nics.bandwidth", "is out of range for a link's rate"),
    Case(nic("999999999999999999999 Tb/s", "1 us"), 3, 16, "hosts.nics.bandwidth", "must be a number and a unit"),
    Case(nic("999999999999999 TB/s", "1 us"), 3, 16, "hosts.nics.bandwidth", "is out of range for a link's rate"),
    Case(nic("1 Gb/s", "11 s"), 4, 14, "hosts.nics.latency", "is out of range for a link's latency: 1 ps to 10 s"),
    Case(nic("1 Gb/s", "0 us"), 4, 14, "hosts.nics.latency", "is 0"),
    Case(nic("1 Gb/s", "1 usec"), 4, 14, "hosts.nics.latency", "unknown unit 'usec'; did you mean 'us'?"),
    Case(nic("1 Gb/s", "[1 us]"), 4, 14, "hosts.nics.latency", "must be text, not a list"),
    Case(
      "hosts: {nics: {latency: 1 us}}\nnetwork: {type: switch}", 1, 15, "hosts.nics.bandwidth",
      "is missing: a rate such as 25 Gb/s"),
  ]

  static let hostsAndNames: [Case] = [
    Case("hosts: [{name: a}, {name: a}]", 1, 27, "hosts[1].name", "'a' is the name of two hosts"),
    Case("hosts: {names: [a, b, a]}", 1, 16, "hosts.names", "'a' is the name of two hosts"),
    Case("hosts: [{name: \"a[0-5]\"}, {name: \"a[5-9]\"}]", 1, 34, "hosts[1].name", "'a5' is the name of two hosts"),
    Case("hosts: {name: \"a[5-1]\"}", 1, 15, "hosts.name", "prefix and a range"),
    Case("hosts: {name: \"a[0-99999]\"}", 1, 15, "hosts.name", "100000 names: 65536 is the most"),
    Case("hosts: {name: \"a[0-3]\", count: 5}", 1, 32, "hosts.count", "is 5, but 'name' has 4 names"),
    Case(
      "hosts: {nics: [{name: x, bandwidth: 1 Gb/s, latency: 1 us}, {name: x, bandwidth: 1 Gb/s, latency: 1 us}]}\nnetwork: {type: switch}",
      1, 68, "hosts.nics[1].name", "two interfaces"),
    Case("hosts: {\(nics)}", 1, 15, "hosts.nics", "no network to plug them into"),
    Case(
      "hosts: {nics: {bandwidth: 1 Gb/s, latency: 1 us, network: nett}}\nnetwork: {type: switch, name: net}", 1, 59,
      "hosts.nics.network", "did you mean 'net'?"),
    Case(
      "hosts: {sockets: 2, nics: {bandwidth: 1 Gb/s, latency: 1 us, socket: 2}}\nnetwork: {type: switch}", 1, 70,
      "hosts.nics.socket", "2 is too large: 0 to 1"),
    Case("hosts: {count: 2}", 1, 8, "hosts", "'host0' is in no network"),
    Case("hosts: {count: 2}\nnetwork: {type: switch}", 2, 10, "network", "no host has 'nics' in network 'network'"),
    Case("hosts: [{name: a, \(nics)}, {name: b}]\nnetwork: {type: switch}", 1, 8, "hosts", "'b' is in no network"),
    Case(
      "hosts:\n- {name: a, nics: {bandwidth: 1 Gb/s, latency: 1 us, network: x}}\n- {name: b, nics: {bandwidth: 1 Gb/s, latency: 1 us, network: y}}\nnetworks: [{type: switch, name: x}, {type: switch, name: y}]",
      2, 1, "hosts", "'a' cannot reach 'b'"),
    Case("hosts: {name: a}\nplacement: [b]", 2, 13, "placement[0]", "there is no host 'b'; did you mean 'a'?"),
    Case("hosts: {name: a}\nplacement: [a, a]", 2, 12, "placement", "names the hosts of 2 ranks", "1 to 1"),
    Case(
      "hosts: {names: [a, b], \(nics)}\nnetwork: {type: switch}\nplacement: [a, a]", 3, 16, "placement[1]",
      "more ranks here than"),
  ]

  static let shapes: [Case] = [
    Case(network("type: leaf-spine"), 2, 10, "network.hosts-per-leaf", "is missing"),
    Case(
      network("type: leaf-spine, hosts-per-leaf: 2, uplinks: 3, spines: 2"), 2, 68, "network.spines",
      "do not divide over 2 spines"),
    Case(network("type: leaf-spine, hosts-per-leaf: 2, rails: 2"), 2, 55, "network.rails", "no host has more than 1"),
    Case(
      network("type: leaf-spine, hosts-per-leaf: 3, oversubscription: 2"), 2, 66, "network.oversubscription",
      "no whole number of uplinks"),
    Case(
      network("type: leaf-spine, hosts-per-leaf: 3, oversubscription: 1:2"), 2, 66, "network.oversubscription", "from 1:1"),
    Case(
      network("type: leaf-spine, hosts-per-leaf: 3, uplinks: 1, oversubscription: 2"), 2, 78, "network.oversubscription",
      "not both"),
    Case(network("type: leaf-spine, hosts-per-leaf: 2, rail-spines: shared"), 2, 61, "network.rail-spines", "set 'rails'"),
    Case(network("type: fat-tree, k: 3"), 2, 30, "network.k", "3 is odd"),
    Case(network("type: fat-tree, k: 2", count: 3), 2, 10, "network", "has room for 2 hosts, and 3 have"),
    Case(network("type: fat-tree"), 2, 10, "network.k", "is missing"),
    Case(network("type: fat-tree, k: 4, pods: 2"), 2, 39, "network.pods", "not both"),
    Case(
      network(
        "type: fat-tree, pods: 4096, edges-per-pod: 4096, aggregations-per-pod: 4096, cores-per-aggregation: 1, hosts-per-edge: 1"
      ), 2, 10, "network", "more than this is made for"),
    Case(network("type: torus, dimensions: [2, 0]"), 2, 40, "network.dimensions[1]", "0 is too small"),
    Case(
      network("type: torus, dimensions: [65536, 65536, 65536, 65536, 65536]"), 2, 10, "network", "more than this is made for"
    ),
    Case(network("type: torus, dimensions: 8"), 2, 36, "network.dimensions", "must be a list"),
    Case(network("type: torus, dimensions: [2], wrap: yes"), 2, 47, "network.wrap", "must be true or false"),
    Case(
      network("type: dragonfly, groups: 9, routers-per-group: 2, hosts-per-router: 1, global-links-per-router: 2"), 2, 36,
      "network.groups", "reaches 4 others, not 8"),
    Case(
      network("type: graph, switches: [s, s], links: [{between: [host0, s]}]"), 2, 38, "network.switches[1]", "two switches"),
    Case(
      network("type: graph, switches: [host1], links: [{between: [host0, s]}]"), 2, 35, "network.switches[0]", "a host too"),
    Case(
      network("type: graph, switches: [spin], links: [{between: [host0, spine]}]"), 2, 68, "network.links[0].between[1]",
      "did you mean 'spin'?"),
    Case(
      network("type: graph, switches: [s], links: [{between: [host0, s]}, {between: [host0, s]}]"), 2, 80,
      "network.links[1].between", "have cables already"),
    Case(
      network("type: graph, switches: [s], links: [{between: [\"host0:eth0\", s]}]"), 2, 58, "network.links[0].between[0]",
      "unknown interface 'eth0'"),
    Case(
      network("type: graph, switches: [s, t], links: [{between: [s, t]}]"), 2, 50, "network.links[0].bandwidth", "is missing"
    ),
    Case(
      network("type: graph, switches: [s], links: [{between: [s]}]"), 2, 57, "network.links[0].between", "has 1 elements"),
    Case(
      network("type: graph, switches: [s], links: [{between: [s, s]}]"), 2, 57, "network.links[0].between",
      "no cable to itself"),
    Case(
      network("type: graph, switches: [s, t], links: [{between: [host0, s]}, {between: [host1, t]}]"), 1, 8, "hosts",
      "'host0' cannot reach 'host1'"),
    Case(network("type: graph, switches: [s], links: [{between: [host0, s]}]"), 1, 8, "hosts", "'host1' is in no network"),
    Case(hosts("") + "network: {type: switch}\nwan: {}", 3, 6, "wan", "add 'regions'"),
    Case(hosts("") + "network: {type: switch}\nregions: [{name: a}, {name: a}]", 3, 29, "regions[1].name", "two regions"),
    Case(hosts("") + "network: {type: switch}\nregions: [{name: a}, {name: b}]", 1, 1, "wan", "is missing"),
    Case(
      hosts("")
        + "network: {type: switch}\nregions: [{name: a}, {name: b}, {name: c}]\nwan: {bandwidth: 1 Gb/s, latency: 1 ms, links: [{between: [a, b]}]}",
      4, 48, "wan.links", "region 'c' cannot reach region 'a'"),
    Case(
      hosts("") + "network: {type: switch}\nregions: [{name: west}, {name: east}]\nwan: {links: [{between: [west, eastt]}]}",
      4, 32, "wan.links[0].between[1]", "did you mean 'east'?"),
  ]

  @Test(arguments: keys + numbers + hostsAndNames + shapes) func isLocated(_ bad: Case) throws {
    let error = try Topologies.error(bad.text)
    #expect(error.file == "test.yaml")
    #expect(error.position == TextPosition(line: bad.line, column: bad.column), "\(error)")
    #expect(error.field == bad.field, "\(error)")
    for text in bad.says { #expect(error.problem.contains(text), "\(error)") }
  }

  /// Keys and unknown values of every kind of mapping.
  @Test func everySectionRefusesWhatItDoesNotKnow() throws {
    for section in Section.networks {
      let error = try Topologies.error("hosts: {\(Self.nics)}\nnetwork: {type: \(section.rawValue), cable-latncy: 1 us}")
      #expect(error.field == "network.cable-latncy")
      #expect(error.problem.contains("did you mean 'cable-latency'?"))
    }
  }

  @Test func descriptionsAreAsCompilersWriteThem() throws {
    let error = try Topologies.error("hosts:\n  nics:\n    bandwith: 1 Gb/s\n")
    let expected = "test.yaml:3:5: hosts.nics.bandwith: unknown key of network interfaces; did you mean 'bandwidth'?"
    #expect("\(error)" == expected)
  }
}
