import Patience
import TuttiSystem
import TuttiTransport
import TuttiTopology
import CTuttiFork
import Glibc
import Testing

@testable import TuttiBootstrap

/// A process of another user that knows the secret, or needs none, takes part in the control plane and gets no memory.
@Suite(.serialized) struct OtherUserTests {
  /// A child that proves the secret to rank 0 as rank 1 and waits for descriptors.
  private final class Dialer {
    let membership: Membership
    let role: ConnectionRole
    let user: uid_t
    /// Made here: a forked child measures nothing.
    private let deadline = Patience.deadline(seconds: 5)

    init(_ membership: Membership, _ role: ConnectionRole, user: uid_t) {
      self.membership = membership
      self.role = role
      self.user = user
    }

    /// How many descriptors it got; 100 when the connection was closed instead, 101 when nothing came.
    func run() -> Int32 {
      tutti_fork_call(
        { context in
          let dialer = Unmanaged<Dialer>.fromOpaque(context!).takeUnretainedValue()
          return dialer.user == geteuid() || setuid(dialer.user) == 0 ? dialer.dial() : 102
        }, Unmanaged.passUnretained(self).toOpaque(), 10)
    }

    private func dial() -> Int32 {
      let listener = SocketAddress.abstractUnix(membership.members[0].unixName)
      guard case .success(let socket) = Sockets.connect(to: listener, deadline: deadline) else { return 103 }
      let hello = HandshakeHello(
        role: role, from: 1, to: 0, rankCount: membership.rankCount, communicator: membership.communicator,
        transport: role == .link ? testTransport : nil, nonce: Handshake.freshNonce())
      do {
        try HandshakeDialer(socket: socket.raw, deadline: deadline, clock: .system, giveUp: { false }).run(
          hello: hello, key: membership.key)
      } catch { return 104 }
      guard Sockets.wait(socket.raw, for: POLLIN, until: monotonicNanoseconds() + 500 * Clock.millisecond) else {
        return 101
      }
      var byte: UInt8 = 0
      let (bytes, descriptors, _) = withUnsafeMutableBytes(of: &byte) { Sockets.receiveDescriptors(socket.raw, into: $0) }
      return bytes == 0 ? 100 : Int32(descriptors.count)
    }
  }

  @Test(
    .enabled(
      if: geteuid() == 0 && getenv("TUTTI_TEST_SANITIZER") == nil,
      "needs root to become another user; a sanitizer's forked child may deadlock"))
  func onlyOneUserGetsMemory() throws {
    let group = try TestGroup(2)
    defer { group.leave() }
    func dial(_ role: ConnectionRole, _ user: uid_t) -> Int32 {
      let dialer = Dialer(group.members[0], role, user: user)
      return withExtendedLifetime(dialer) { dialer.run() }
    }
    #expect(dial(.departureBoard, geteuid()) == 1)
    #expect(dial(.departureBoard, 65534) == 100)
    #expect(group.recorders[0].connections.withLock { $0.isEmpty })
    // A link's connection is handed to the runtime, which knows whether that transport is for this user alone.
    #expect(dial(.link, 65534) != 100)
    #expect(group.recorders[0].connections.withLock { $0.map { Sockets.isOfOwnUser($0.connection.raw) } } == [false])
    #expect(group.members.allSatisfy { $0.firstCause == nil })
  }

  // MARK: Who shares with whom

  private static func member(
    _ rank: Int, host: String = "boot/1", user: UInt32 = 0, users: UInt64 = 1, obstacle: String = ""
  ) -> RankFacts {
    RankFacts(
      rank: rank, process: ProcessIdentity(pid: 10 + Int32(rank), startTime: 1, namespace: 1),
      host: HostIdentity(name: "host", identity: host),
      abilities: HostAbilities(memoryObstacle: obstacle, user: user, userNamespace: users), offers: [])
  }

  @Test("ranks share memory exactly when nothing is in the way, and what is gets a name") func domains() {
    let first = Self.member(0)
    #expect(first.memoryDomain == Self.member(1).memoryDomain && first.obstacleToSharing(with: Self.member(1)) == nil)
    let others: [(RankFacts, words: String, isOnMachine: Bool)] = [
      (Self.member(1, host: "other/1"), "on different hosts", false),
      (Self.member(1, host: "boot/2"), "on one machine in different network namespaces", true),
      (Self.member(1, user: 7), "runs as user 0 and rank 1 (pid 11 on host) as user 7", true),
      (Self.member(1, users: 2), "in different user namespaces", true),
      (Self.member(1, obstacle: "memfd_create: no"), "rank 1 (pid 11 on host) cannot share memory (memfd_create: no)", true),
    ]
    for (other, words, isOnMachine) in others {
      #expect(other.memoryDomain != first.memoryDomain)
      #expect(first.obstacleToSharing(with: other)?.contains(words) == true, "\(words)")
      #expect(other.obstacleToSharing(with: first) != nil && other.isOnMachine(of: first) == isOnMachine)
    }
    // Two that cannot share at all do not share with each other.
    let hampered = Self.member(2, obstacle: "x")
    #expect(hampered.memoryDomain == nil && hampered.obstacleToSharing(with: hampered) != nil)
  }

  @Test("what a sandbox said is bounded") func bounded() throws {
    var encoder = WireEncoder()
    HostAbilities(memoryObstacle: String(repeating: "ä", count: 500), user: 1, userNamespace: 2).encode(into: &encoder)
    var decoder = WireDecoder(encoder.bytes)
    let abilities = try HostAbilities(from: &decoder)
    #expect(abilities.memoryObstacle.utf8.count == 128 && abilities.user == 1)
    #expect(HostAbilities.current().watchObstacle.isEmpty)
  }
}
