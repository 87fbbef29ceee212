import Foundation
import Testing

/// Ranks that meet on networks as they are: names that mean another address on each host, bridges, link-local addresses,
/// translated ones, and links that go away for a while. Each host is a network namespace with an address in 10.77.0.0/24.
@Suite(.serialized, .enabled(if: TestHosts.canRun, "needs root and network namespaces: run Scripts/test as root"))
struct NetworkTests {
  private static let barrier = "barrier --iterations 3 --format json"

  /// Runs collbench on two hosts.
  ///
  /// - Parameters:
  ///   - options: Of `Scripts/test-hosts`, without spaces in any.
  ///   - prepare: What bash runs on each host first.
  ///   - variables: What bash runs in each rank first, to set its variables.
  private func run(
    _ options: String = "", prepare: String = ":", variables: String, _ command: String = Self.barrier, limit: Double = 40
  ) async throws -> Outcome {
    let script = Tool.root.appending(path: "Scripts/test-hosts").path
    let words = ["2"] + options.split(separator: " ").map(String.init) + ["--prepare", prepare, "--"]
    return try await Running(script, words + ["bash", "-euc", "\(variables)\nexec \(Tool.path) \(command)"])
      .outcome(limit: limit)
  }

  private func expectSuccess(_ outcome: Outcome, ranks: Int = 2) throws {
    #expect(outcome.status == 0, "\(outcome.errors)")
    for result in try results(outcome.output) {
      #expect(result["ranks"] as? Int == ranks && result["wrongElements"] as? Int == 0)
    }
  }

  /// Gives this process an /etc/hosts of its own: each rank is in a mount namespace of its own.
  private static func hosts(_ line: String) -> String {
    "names=$(mktemp); echo \"\(line)\" >$names; mount --bind $names /etc/hosts; rm $names;"
  }

  // MARK: Addresses

  @Test(arguments: ["localhost:29500", "0.0.0.0:29500", "[::]:29500"])
  func rankZeroIsReachedWhateverItCallsItself(_ rendezvous: String) async throws {
    try expectSuccess(
      try await run(variables: "if [ $TUTTI_RANK = 0 ]; then export TUTTI_RENDEZVOUS='\(rendezvous)'; fi"))
  }

  /// A rank beside rank 0 knows it as localhost as well, and still tells the others an address that they reach.
  @Test func neighboursOfRankZeroAreReachedToo() async throws {
    let outcome = try await run(
      "--ranks-per-host 2", variables: "if [ $TUTTI_HOST_INDEX = 0 ]; then export TUTTI_RENDEZVOUS=localhost:29500; fi",
      "all-reduce --sizes 8 --algorithm one-shot --iterations 3 --format json")
    try expectSuccess(outcome, ranks: 4)
  }

  /// Without a secret, whoever reaches the port gets in.
  @Test func localhostStaysLocalWithoutASecret() async throws {
    let outcome = try await run(
      variables: """
        unset TUTTI_SECRET; export TUTTI_ALLOW_UNAUTHENTICATED=1 TUTTI_TIMEOUT=\(Int(2 * Tool.slowness))
        if [ $TUTTI_RANK = 0 ]; then export TUTTI_RENDEZVOUS=localhost:29500; fi
        """)
    #expect(outcome.status == 1)
    #expect(outcome.errors.contains("Connection refused"), "\(outcome.errors)")
  }

  @Test func linkLocalAddressesCountWhenTheyAreNamed() async throws {
    try expectSuccess(
      try await run(
        prepare: "ip address flush dev eth0; ip address add 169.254.7.$((TUTTI_HOST_INDEX + 1))/16 dev eth0",
        variables: "export TUTTI_INTERFACE=eth0 TUTTI_RENDEZVOUS=169.254.7.1:29500"))
  }

  /// Those of IPv6 take an interface, which is another one's number on each host: named, or found by whoever dials.
  @Test(arguments: ["[fe80::7:1%eth0]:29500", "[fe80::7:1]:29500"], ["export TUTTI_INTERFACE=eth0", ":"])
  func linkLocalAddressesOfIPv6Count(_ rendezvous: String, _ interface: String) async throws {
    try expectSuccess(
      try await run(
        prepare: """
          if [ $TUTTI_HOST_INDEX = 1 ]; then ip link add v0 up type veth peer name v1; ip link set v1 up; fi
          ip address flush dev eth0; ip -6 address add fe80::7:$((TUTTI_HOST_INDEX + 1))/64 dev eth0 nodad
          """,
        variables: "\(interface); export TUTTI_RENDEZVOUS='\(rendezvous)'"))
  }

  @Test func anInterfaceThatAHostLacksIsNamed() async throws {
    let outcome = try await run(
      variables: "export TUTTI_RENDEZVOUS='[fe80::7:1%eth7]:29500' TUTTI_TIMEOUT=\(Int(2 * Tool.slowness))")
    #expect(outcome.status == 1)
    #expect(outcome.errors.contains("fe80::7:1%eth7\" is no link-local address over an interface"), "\(outcome.errors)")
  }

  @Test func hostsWithoutIPv4Meet() async throws {
    try expectSuccess(
      try await run(
        prepare: "ip address flush dev eth0; ip -6 address add fd77::$((TUTTI_HOST_INDEX + 1))/64 dev eth0 nodad",
        variables: Self.hosts("fd77::1 rank-zero") + "export TUTTI_RENDEZVOUS=rank-zero:29500"))
  }

  @Test func aNameThatIsALoopbackAddressEverywhereIsNamed() async throws {
    let outcome = try await run(
      variables: Self.hosts("127.0.1.1 clone")
        + "export TUTTI_RENDEZVOUS=clone:29500 TUTTI_TIMEOUT=\(Int(2 * Tool.slowness))")
    #expect(outcome.status == 1)
    #expect(outcome.errors.contains("clone is 127.0.1.1, a loopback address"), "\(outcome.errors)")
  }

  @Test func anAddressOfTheDialersOwnIsNamed() async throws {
    let outcome = try await run(
      prepare: "ip link add br0 type bridge; ip address add 172.17.0.1/16 dev br0; ip link set br0 up",
      variables: "export TUTTI_RENDEZVOUS=172.17.0.1:29500 TUTTI_TIMEOUT=\(Int(2 * Tool.slowness))")
    #expect(outcome.status == 1)
    #expect(outcome.errors.contains("172.17.0.1, an address of this host's own (br0)"), "\(outcome.errors)")
  }

  /// The good address is the eleventh of the first host's, whose own name is a loopback address; the second host has a
  /// bridge with an address of the first one's.
  @Test func bridgesAreNoDetour() async throws {
    let outcome = try await run(
      "--ranks-per-host 2",
      prepare: """
        if [ $TUTTI_HOST_INDEX = 1 ]; then
          ip link add br0 type bridge; ip address add 172.17.0.1/16 dev br0; ip link set br0 up; exit 0
        fi
        for i in 0 1 2 3 4 5 6 7 8 9; do
          ip link add br$i type bridge; ip address add 172.17.$i.1/24 dev br$i; ip link set br$i up
        done
        ip address flush dev eth0
        ip link add link eth0 name real0 type macvlan mode bridge
        ip address add 10.77.0.1/24 dev real0; ip link set real0 up
        """,
      variables: """
        if [ $TUTTI_HOST_INDEX = 0 ]; then own=127.0.1.1; else own=10.77.0.1; fi
        \(Self.hosts("$own rank-zero")) export TUTTI_RENDEZVOUS=rank-zero:29500 TUTTI_TIMEOUT=\(Int(8 * Tool.slowness))
        """, "all-reduce --sizes 8 --algorithm one-shot --iterations 3 --format json")
    try expectSuccess(outcome, ranks: 4)
  }

  /// Rank 0 is behind a translation of addresses, and the others know the outer one alone.
  @Test func anAdvertisedAddressLeadsToRankZero() async throws {
    let prepare = """
      if [ $TUTTI_HOST_INDEX = 1 ]; then ip route add 203.0.113.7 via 10.77.0.1; exit 0; fi
      nft add table ip nat
      nft add chain ip nat inward '{ type nat hook prerouting priority -100; }'
      nft add rule ip nat inward ip daddr 203.0.113.7 dnat to 10.77.0.1
      """
    let meeting = "export TUTTI_RENDEZVOUS=203.0.113.7:29500;"
    try expectSuccess(
      try await run(
        prepare: prepare, variables: meeting + "if [ $TUTTI_RANK = 0 ]; then export TUTTI_ADVERTISE=203.0.113.7; fi"))
    let untold = try await run(
      prepare: prepare, variables: meeting + "export TUTTI_TIMEOUT=\(Int(2 * Tool.slowness))")
    #expect(untold.status == 1 && untold.errors.contains("set TUTTI_ADVERTISE to it on rank 0"), "\(untold.errors)")
  }

  /// Something to cut makes test-hosts put a switch between the hosts, which drops packets larger than 1500 bytes.
  /// Segmentation by the card (the ioctls ETHTOOL_STSO and ETHTOOL_SGSO) is off, as it would hide that here.
  @Test func packetsThatASwitchDropsAreNamed() async throws {
    let outcome = try await run(
      "--cut-after 600",
      prepare: """
        ip link set eth0 mtu 9000
        exec python3 - <<'END'
        import array, fcntl, socket, struct
        for command in (0x1F, 0x24):
            value = array.array("I", [command, 0])
            fcntl.ioctl(socket.socket(), 0x8946, struct.pack("16sP16x", b"eth0", value.buffer_info()[0]))
        END
        """, variables: ":",
      "all-reduce --transport tcp --sizes 8,1M --iterations 3 --timeout \(Int(6 * Tool.slowness))", limit: 60)
    #expect(outcome.status == 1)
    let words = [
      "has sent a packet of 8948 bytes to rank ", "while smaller packets get through", "Compare the MTU of hosts",
    ]
    for word in words { #expect(outcome.errors.contains(word), "\(word): \(outcome.errors)") }
  }

  // MARK: Time

  @Test func lateRanksAreNamedWhileTheyAreWaitedFor() async throws {
    let outcome = try await run(variables: "if [ $TUTTI_RANK = 1 ]; then sleep 11; fi", limit: 60)
    try expectSuccess(outcome)
    #expect(outcome.errors.contains("rank 0: waiting for rank 1 of 2 at 10.77.0.1:29500, for 10"), "\(outcome.errors)")
  }

  /// What a link that is down for a while costs is time.
  @Test(arguments: [5, 15]) func aLinkThatComesBackCostsOnlyTime(_ seconds: Int) async throws {
    let outcome = try await run(
      "--rate 100mbit --cut-after 3 --restore-after \(seconds)", variables: ":",
      "all-reduce --sizes 1M --iterations 60 --timeout 300 --format json", limit: 120)
    #expect(outcome.errors.contains("plugging in host 1"), "the run was over before: \(outcome.errors)")
    try expectSuccess(outcome)
  }

  @Test func aHostThatDoesNotComeBackIsNamedWhenPatienceIsOver() async throws {
    let start = ContinuousClock.now
    let outcome = try await run(
      "--rate 100mbit --cut-after 2 --grace 30", variables: "export TUTTI_LINK_PATIENCE=4",
      "all-reduce --sizes 1M --iterations 100000 --timeout 300", limit: 40)
    #expect(outcome.status == 1)
    for rank in [0, 1] {
      let told = outcome.errors(ofRank: rank).first ?? ""
      #expect(told.contains("rank \(1 - rank) (") && told.contains("cannot be reached any more"), "\(outcome.errors)")
    }
    #expect(start.duration(to: .now) >= .seconds(4))
  }
}
