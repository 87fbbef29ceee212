import Glibc
import TuttiSystem
import Testing

@testable import TuttiBootstrap

@Suite struct LaunchIdentityTests {
  static let own = ["TUTTI_RANK": "1", "TUTTI_SIZE": "4", "TUTTI_RENDEZVOUS": "host0:9000"]
  static let common = ["RANK": "2", "WORLD_SIZE": "8", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"]

  @Test func readsOwnVariables() throws {
    let identity = try LaunchIdentity.read(Self.own)
    #expect(identity.rank == 1 && identity.rankCount == 4)
    #expect(identity.rendezvous == .tcp(host: "host0", port: 9000))
    #expect(identity.source.contains("TUTTI_RANK"))
  }

  @Test func readsCommonVariables() throws {
    let identity = try LaunchIdentity.read(Self.common)
    #expect(identity.rank == 2 && identity.rankCount == 8)
    #expect(identity.rendezvous == .tcp(host: "10.0.0.1", port: 29500))
  }

  @Test func usesThePortAboveTorchrunsOwn() throws {
    let identity = try LaunchIdentity.read(Self.common.merging(["TORCHELASTIC_RUN_ID": "none"]) { $1 })
    #expect(identity.rendezvous == .tcp(host: "10.0.0.1", port: 29501))
    #expect(identity.source.contains("+ 1"))
  }

  @Test func ownVariablesWinWhereBothAgree() throws {
    let both = Self.own.merging(Self.common.merging(["RANK": "1", "WORLD_SIZE": "4"]) { $1 }) { $1 }
    #expect(try LaunchIdentity.read(both).rendezvous == .tcp(host: "host0", port: 9000))
  }

  @Test(arguments: [
    ("host:1", RendezvousAddress.tcp(host: "host", port: 1)), ("[fd00::1]:80", .tcp(host: "fd00::1", port: 80)),
    ("127.0.0.1:65535", .tcp(host: "127.0.0.1", port: 65535)), ("unix:@a b", .abstractUnix("a b")),
  ])
  func readsRendezvous(_ text: String, _ expected: RendezvousAddress) {
    #expect(RendezvousAddress(text) == expected)
    #expect(RendezvousAddress(expected.description) == expected)
  }

  @Test(arguments: [
    "", "host", "host:", ":80", "host:0", "host:65536", "fd00::1:80", "[fd00::1]", "unix:x", "unix:@", "a b:1",
  ])
  func refusesWhatIsNoRendezvous(_ text: String) { #expect(RendezvousAddress(text) == nil) }

  /// Environment, and what the error must name.
  @Test(
    arguments: [
      ([:], ["TUTTI_RANK", "TUTTI_SIZE", "TUTTI_RENDEZVOUS"]),
      (["MASTER_ADDR": "somewhere"], ["TUTTI_RANK"]),
      (["TUTTI_RANK": "0"], ["TUTTI_SIZE, TUTTI_RENDEZVOUS are not set"]),
      (["TUTTI_RANK": "0", "TUTTI_SIZE": "", "TUTTI_RENDEZVOUS": "h:1"], ["TUTTI_SIZE is not set"]),
      (own.merging(["TUTTI_RANK": "x"]) { $1 }, ["TUTTI_RANK=\"x\""]),
      (own.merging(["TUTTI_RANK": "-1"]) { $1 }, ["TUTTI_RANK=\"-1\""]),
      (own.merging(["TUTTI_RANK": "4"]) { $1 }, ["TUTTI_RANK=4", "TUTTI_SIZE=4", "0 to 3"]),
      (own.merging(["TUTTI_SIZE": "0"]) { $1 }, ["TUTTI_SIZE=\"0\""]),
      (own.merging(["TUTTI_SIZE": "65537"]) { $1 }, ["TUTTI_SIZE=\"65537\"", "65536"]),
      (own.merging(["TUTTI_RENDEZVOUS": "host0"]) { $1 }, ["TUTTI_RENDEZVOUS=\"host0\"", "host:port"]),
      (own.merging(["RANK": "2"]) { $1 }, ["TUTTI_RANK=1", "RANK=\"2\""]),
      (own.merging(["WORLD_SIZE": "5"]) { $1 }, ["TUTTI_SIZE=4", "WORLD_SIZE=\"5\""]),
      (["RANK": "0", "WORLD_SIZE": "2"], ["MASTER_ADDR, MASTER_PORT are not set"]),
      (common.merging(["MASTER_PORT": "0"]) { $1 }, ["MASTER_PORT=\"0\""]),
      (common.merging(["MASTER_PORT": "99999"]) { $1 }, ["MASTER_PORT=\"99999\""]),
      (common.merging(["MASTER_ADDR": "a b"]) { $1 }, ["MASTER_ADDR=\"a b\""]),
      (common.merging(["RANK": "8"]) { $1 }, ["RANK=8", "WORLD_SIZE=8"]),
      (common.merging(["MASTER_PORT": "65535", "TORCHELASTIC_RUN_ID": "1"]) { $1 }, ["MASTER_PORT=65535"]),
    ] as [([String: String], [String])])
  func namesWhatIsWrong(_ environment: [String: String], _ names: [String]) {
    let error = #expect(throws: FailureReport.self) { try LaunchIdentity.read(environment) }
    #expect(error?.code == .configuration && error?.advice.isEmpty == false)
    for name in names { #expect(error?.description.contains(name) == true, "\(error?.description ?? "")") }
  }

  @Test func readsNetworkSettings() throws {
    let settings = try NetworkSettings.read(
      ["TUTTI_TIMEOUT": "2.5", "TUTTI_INTERFACE": "eth0", "TUTTI_PORT_RANGE": "4000-4010"])
    #expect(settings == NetworkSettings(joinTimeoutSeconds: 2.5, interface: "eth0", portRange: 4000...4010))
    #expect(settings.joinSeconds(rankCount: 4096) == 2.5)
    let standard = try NetworkSettings.read([:])
    #expect(standard == NetworkSettings() && standard.linkPatience == .standard)
    #expect(standard.joinSeconds(rankCount: 8) == 61 && standard.joinSeconds(rankCount: 2048) == 316)
    let more = try NetworkSettings.read(["TUTTI_LINK_PATIENCE": "90", "TUTTI_ADVERTISE": "203.0.113.7,2001:db8::7"])
    #expect(more.linkPatience.seconds == 90 && more.advertised.map(\.hostText) == ["203.0.113.7", "2001:db8::7"])
  }

  @Test(arguments: [
    ["TUTTI_TIMEOUT": "soon"], ["TUTTI_TIMEOUT": "0"], ["TUTTI_TIMEOUT": "nan"], ["TUTTI_TIMEOUT": "1e9"],
    ["TUTTI_LINK_PATIENCE": "0"], ["TUTTI_LINK_PATIENCE": "1.5"], ["TUTTI_LINK_PATIENCE": "3601"],
    ["TUTTI_ADVERTISE": "host"], ["TUTTI_ADVERTISE": "10.0.0.1,"], ["TUTTI_ADVERTISE": "10.0.0.1:80"],
    ["TUTTI_ADVERTISE": "::"],
    ["TUTTI_PORT_RANGE": "1"], ["TUTTI_PORT_RANGE": "0-5"], ["TUTTI_PORT_RANGE": "9-5"], ["TUTTI_PORT_RANGE": "1-70000"],
  ])
  func namesWrongNetworkSettings(_ environment: [String: String]) {
    let error = #expect(throws: FailureReport.self) { try NetworkSettings.read(environment) }
    let (name, value) = environment.first!
    #expect(error?.message.contains("\(name)=\"\(value)\"") == true)
  }

  @Test func choosesInterfaces() throws {
    let entries = [
      Interfaces.Entry(name: "lo", address: .ipv4(0x7F00_0001, port: 0)),
      Interfaces.Entry(name: "eth0", address: .ipv6(0xFD00 << 48, 1, port: 0)),
      Interfaces.Entry(name: "eth0", address: .ipv4(0x0A00_0001, port: 0)),
      Interfaces.Entry(name: "eth1", address: .ipv4(0xC0A8_0001, port: 0)),
    ]
    #expect(try Interfaces.choose("eth0", among: entries).hostText == "10.0.0.1")
    #expect(try Interfaces.choose("192.168.0.0/16", among: entries).hostText == "192.168.0.1")
    #expect(try Interfaces.choose("fd00::/8", among: entries).hostText == "fd00::1")
    #expect(try Interfaces.choose("0.0.0.0/0", among: entries).hostText == "127.0.0.1")
    for wrong in ["eth7", "172.16.0.0/12", "10.0.0.0/33", "x/8", ""] {
      let error = #expect(throws: FailureReport.self) { try Interfaces.choose(wrong, among: entries) }
      #expect(error?.message.contains("TUTTI_INTERFACE=\"\(wrong)\"") == true)
    }
    let error = #expect(throws: FailureReport.self) { try Interfaces.choose("eth7", among: entries) }
    #expect(error?.advice.contains("eth1 (192.168.0.1)") == true)
  }

  /// A host of containers: bridges made before its real interface, and a link-local address.
  @Test func addressesOfBridgesComeLast() {
    let entries = [
      Interfaces.Entry(name: "lo", address: .ipv4(0x7F00_0001, port: 0)),
      Interfaces.Entry(name: "br0", address: .ipv4(0xAC11_0001, port: 0)),
      Interfaces.Entry(name: "br0", address: .ipv6(0xFD01 << 48, 1, port: 0)),
      Interfaces.Entry(name: "eth0", address: .ipv6(0xFD00 << 48, 1, port: 0)),
      Interfaces.Entry(name: "eth0", address: .ipv4(0x0A09_0001, port: 0)),
      Interfaces.Entry(name: "eth1", address: .ipv4(0xA9FE_0701, port: 0)),
    ]
    let found = Interfaces.reachable(among: entries) { $0 == "br0" }
    #expect(found.map(\.hostText) == ["10.9.0.1", "fd00::1", "172.17.0.1", "fd01::1"])
    let only = Interfaces.reachable(among: [entries[0], entries[5]]) { _ in false }
    #expect(only.map(\.hostText) == ["169.254.7.1"])
  }

  /// Link-local addresses of IPv6 are reached over one of several interfaces, here by number.
  @Test func linkLocalAddressesTakeAnInterface() throws {
    func link(_ low: UInt64, _ scope: UInt32) -> SocketAddress { .ipv6(0xFE80 << 48, low, port: 0, scope: scope) }
    let entries = [
      Interfaces.Entry(name: "lo", address: .ipv6(0, 1, port: 0)), Interfaces.Entry(name: "br0", address: link(1, 7001)),
      Interfaces.Entry(name: "eth0", address: link(2, 7002)), Interfaces.Entry(name: "eth0", address: link(3, 7002)),
      Interfaces.Entry(name: "eth1", address: link(4, 7003)),
    ]
    let peer = link(9, 0).withPort(80)
    func ways(first: UInt32) -> [UInt32] {
      Interfaces.ways(to: peer, first: first, among: entries) { $0 == "br0" }.map(\.scope)
    }
    #expect(ways(first: 0) == [7002, 7003, 7001] && ways(first: 7003) == [7003, 7002, 7001])
    for known in [link(9, 7001), .ipv6(0xFD00 << 48, 9, port: 80), .ipv4(0xA9FE_0701, port: 80)] {
      #expect(Interfaces.ways(to: known, among: entries) == [known])
    }
    #expect(Interfaces.completed(link(4, 0).withPort(80), among: entries) == link(4, 7003).withPort(80))
    #expect(Interfaces.completed(peer, among: entries) == peer)
    #expect(try Interfaces.choose("eth1", among: entries) == link(4, 7003))
    #expect(try Interfaces.choose("fe80::/16", among: entries) == link(1, 7001))
    // The loopback interface is there everywhere.
    let scope = if_nametoindex("lo")
    let written = try #require(SocketAddress(numeric: "fe80::9%lo", port: 80))
    #expect(written == peer.withScope(scope) && written.description == "[fe80::9%lo]:80")
    #expect(link(9, 4_000_000_000).hostText == "fe80::9%4000000000")
    for wrong in ["fe80::9%", "fe80::9%eth77", "fd00::9%lo", "10.0.0.1%lo", "%lo"] {
      #expect(SocketAddress(numeric: wrong, port: 80) == nil, "\(wrong)")
    }
    // Other hosts have other numbers.
    var encoder = WireEncoder()
    written.encode(into: &encoder)
    var decoder = WireDecoder(encoder.bytes)
    #expect(try SocketAddress(from: &decoder) == peer)
  }
}
