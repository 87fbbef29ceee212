import CTuttiLinux
import Glibc
import Patience
import Testing
import TuttiSystem
import TuttiTransport

@testable import TuttiBootstrap

/// Ranks that join with TLS, and those that must not: who differs, who knows another secret, who says nothing more.
extension OverSockets {
  @Suite(.serialized) struct TLSJoinTests {
    private static let secret = encrypting(testSecret)

    private static func encrypting(_ secret: JobSecret) -> JobSecret {
      do throws(FailureReport) {
        try TLSLibrary.load([:])
        return try secret.encrypting()
      } catch { preconditionFailure(error.message) }
    }

    /// Over TCP, where ranks of one host would else meet over a Unix socket.
    private func rendezvous() throws -> RendezvousAddress {
      try #require(RendezvousAddress("127.0.0.1:\(try freePort())"))
    }

    @Test("a job over TCP meets, connects and leaves, and its data connections are encrypted")
    func join() throws {
      let group = try TestGroup(3, rendezvous: try rendezvous(), secret: Self.secret)
      defer { group.leave() }
      let deadline = Patience.deadline(seconds: 5)
      let dialed = try group.members[2].connect(to: 0, for: testTransport, over: .network, deadline: deadline)
      let accepted = try #require(group.recorders[0].awaitConnection()).connection.take()
      let areEncrypted = (dialed.isEncrypted, accepted.isEncrypted)
      #expect(areEncrypted == (true, true))
      let text = Array("seen by nobody".utf8)
      let (sent, receiver) = (dialed.sendNow(text[...]), accepted.raw)
      #expect(sent == .success(text.count))
      #expect(Sockets.wait(receiver, for: POLLIN, until: deadline))
      var wire = [UInt8](repeating: 0, count: 256)
      let count = recv(receiver, &wire, wire.count, Int32(MSG_PEEK | MSG_DONTWAIT))
      #expect(count > text.count)
      #expect(!wire.indices.contains { wire[$0...].starts(with: text) })
      guard case .bytes(let bytes) = accepted.receiveNow(max: 64) else { throw FailureReport.missing }
      #expect(bytes == text)
    }

    @Test("connections that stay in the host are in the clear")
    func unixSockets() throws {
      let group = try TestGroup(2, secret: Self.secret)
      defer { group.leave() }
      let dialed = try group.members[1].connect(
        to: 0, for: testTransport, over: .ownUser, deadline: Patience.deadline(seconds: 5))
      let isEncrypted = dialed.isEncrypted
      #expect(!isEncrypted)
    }

    @Test("a cause still reaches all ranks over control connections", arguments: [2, 5])
    func causes(_ rankCount: Int) throws {
      let group = try TestGroup(rankCount, rendezvous: try rendezvous(), secret: Self.secret)
      defer { group.leave() }
      group.members[rankCount - 1].report(FailureReport(.aborted, rank: rankCount - 1, "the test's cause"))
      for recorder in group.recorders { #expect(recorder.awaitFailure()?.message == "the test's cause") }
    }

    @Test("ranks that differ in TLS hear so at once, and who differs", arguments: [0, 1, 2], [true, false])
    func disagreement(_ odd: Int, _ overTCP: Bool) throws {
      let place = overTCP ? try rendezvous() : freshRendezvous()
      let started = monotonicNanoseconds()
      let joined = try runRanks(0..<3, seconds: 30) { rank throws(FailureReport) in
        try Membership.join(
          identity: identity(rank, 3, place), secret: rank == odd ? Self.secret : testSecret, offers: testOffers,
          deadline: Patience.deadline(seconds: 30))
      }
      let elapsed = Double(monotonicNanoseconds() - started) / 1e9
      #expect(elapsed < Patience.seconds(10), "\(elapsed) s")
      for rank in 0..<3 {
        guard case .failure(let failure) = joined[rank]! else {
          Issue.record("rank \(rank) joined")
          continue
        }
        #expect(failure.code == .configuration, "rank \(rank): \(failure)")
        #expect(failure.message.contains(" TLS"), "rank \(rank): \(failure)")
        #expect(failure.message.contains("(TUTTI_TLS=1, or the option tls)"), "rank \(rank): \(failure)")
        #expect(failure.advice.contains("TUTTI_TLS to the same value on every rank, or the option"), "\(failure)")
      }
      guard case .failure(let failure) = joined[0]! else { return }
      #expect(odd == 0 || failure.peer == odd, "\(failure)")
    }

    @Test("another secret is refused as ever")
    func wrongSecret() throws {
      let place = try rendezvous()
      let joined = try runRanks(0..<2, seconds: 20) { rank throws(FailureReport) in
        try Membership.join(
          identity: identity(rank, 2, place), secret: rank == 0 ? Self.secret : Self.encrypting(otherSecret),
          offers: testOffers, deadline: Patience.deadline(seconds: 3))
      }
      guard case .failure(let failure) = joined[1]! else { throw FailureReport.missing }
      #expect(failure.code == .authentication)
    }

    // MARK: One connection

    /// An acceptor that speaks TLS, and a dialer that has proven the secret and has not begun TLS.
    private func provenDialer(
      patience: UInt64 = 5 * Clock.second
    ) throws -> (acceptor: HandshakeAcceptor, dialer: PassedDescriptor, outcomes: [HandshakeAcceptor.Outcome]) {
      let listener = PassedDescriptor(try Sockets.listen(on: .ipv4(0x7F00_0001, port: 0)))
      let address = try #require(Sockets.localAddress(listener.raw))
      let acceptor = try HandshakeAcceptor(
        policy: ListenerPolicy(
          rank: 0, expected: 4, communicator: .meeting, key: testSecret.handshakeKey(for: .meeting),
          tls: Self.secret.tlsKey(for: .meeting), judge: { _ in .fine }),
        listeners: [listener], clock: .system, patience: patience)
      let dialer = PassedDescriptor(try Sockets.connect(to: address, deadline: Patience.deadline(seconds: 5)).get())
      let hello = HandshakeHello(
        role: .rendezvous, from: 1, to: 0, rankCount: 2, communicator: .meeting, isEncrypting: true,
        nonce: Handshake.freshNonce())
      #expect(Sockets.sendNow(dialer.raw, hello.bytes[...]) == .success(hello.bytes.count))
      let challenge = try answer(acceptor, dialer.raw, Handshake.challengeByteCount)
      let proof = Handshake.proof(
        .dialer, hello: hello.bytes, listenerNonce: Array(challenge[12..<44]), key: testSecret.handshakeKey(for: .meeting))
      _ = Sockets.sendNow(dialer.raw, ([0, 0, 0, 0] + proof)[...])
      let accepted = try answer(acceptor, dialer.raw, Handshake.replyHeaderByteCount)
      #expect(accepted[10] == HandshakeVerdict.fine.rawValue)
      return (acceptor, dialer, acceptor.service())
    }

    private func answer(_ acceptor: HandshakeAcceptor, _ socket: Int32, _ count: Int) throws -> [UInt8] {
      var bytes: [UInt8] = []
      let deadline = Patience.deadline(seconds: 5)
      while bytes.count < count, monotonicNanoseconds() < deadline {
        #expect(acceptor.service().isEmpty)
        if case .bytes(let more) = Sockets.receiveNow(socket, max: count - bytes.count) { bytes += more }
      }
      return bytes
    }

    private func refusal(_ acceptor: HandshakeAcceptor, seconds: Double = 5) -> String? {
      let deadline = Patience.deadline(seconds: seconds)
      while monotonicNanoseconds() < deadline {
        for outcome in acceptor.service() {
          if case .refused(let why) = outcome { return why }
          return "accepted"
        }
        usleep(1000)
      }
      return nil
    }

    @Test("who has proven the secret and sends no TLS is turned away, and why is said")
    func garbageAfterProof() throws {
      let (acceptor, dialer, outcomes) = try provenDialer()
      #expect(outcomes.isEmpty)
      _ = Sockets.sendNow(dialer.raw, Array("no TLS at all, but something else".utf8)[...])
      #expect(refusal(acceptor)?.contains("rank 1 proved the job's secret, but TLS with it failed") == true)
      acceptor.close()
    }

    @Test("who does not go on with TLS is dropped when its time is up")
    func slowHandshake() throws {
      let (acceptor, dialer, outcomes) = try provenDialer(patience: 300 * Clock.millisecond)
      #expect(outcomes.isEmpty)
      // The beginning of a record, and no more.
      _ = Sockets.sendNow(dialer.raw, [22, 3, 1, 1, 0][...])
      #expect(refusal(acceptor)?.contains("said nothing more for 0.3 s") == true)
      acceptor.close()
    }

    @Test("who closes in the middle of TLS is dropped at once")
    func truncatedHandshake() throws {
      let (acceptor, dialer, _) = try provenDialer(patience: 60 * Clock.second)
      _ = Sockets.sendNow(dialer.raw, [22, 3, 1, 1, 0, 1][...])
      shutdown(dialer.raw, Int32(SHUT_WR))
      #expect(refusal(acceptor)?.contains("TLS with it failed: it closed") == true)
      acceptor.close()
    }
  }
}
