import Patience
import TuttiSystem
import TuttiTransport
import CTuttiLinux
import Glibc
import Testing

@testable import TuttiBootstrap

/// Tests with real sockets run one after another: they count descriptors and time.
@Suite(.serialized) enum OverSockets {}

/// Ranks that are threads, over real sockets.
extension OverSockets {
  @Suite(.serialized) struct ControlPlaneTests {
    @Test(arguments: [1, 2, 3, 4, 7, 8, 16])
    func oneCauseReachesEveryRank(_ rankCount: Int) throws {
      for reporter in Set([0, rankCount / 2, rankCount - 1]) {
        let group = try TestGroup(rankCount)
        defer { group.leave() }
        let cause = FailureReport(
          .mismatch, rank: reporter, peer: 0, "the very cause", advice: "do this", operation: "all-reduce",
          operationNumber: 3)
        group.members[reporter].report(cause)
        group.members[reporter].report(FailureReport(.aborted, "a later cause"))
        for (member, recorder) in zip(group.members, group.recorders) {
          let heard = recorder.awaitFailure()
          #expect(heard?.description == cause.description, "rank \(member.rank)")
          #expect(heard?.code == .mismatch && heard?.rank == reporter)
          #expect(member.firstCause?.description == cause.description)
        }
        // Everyone has it; nobody hears a second one.
        for recorder in group.recorders { #expect(recorder.failures.withLock { $0.count } == 1) }
      }
    }

    @Test(arguments: [(2, 0), (2, 1), (4, 0), (4, 1), (4, 3), (8, 0), (8, 1), (8, 2), (8, 3), (8, 7)])
    func aDeathIsNamedEverywhere(_ rankCount: Int, _ victim: Int) throws {
      let group = try TestGroup(rankCount)
      defer { group.leave() }
      group.members[victim].closeEverything()
      for rank in 0..<rankCount where rank != victim {
        let heard = group.recorders[rank].awaitFailure()
        #expect(heard?.code == .peerLost && heard?.peer == victim, "rank \(rank): \(heard?.description ?? "nothing")")
        #expect(heard?.message.hasPrefix("rank \(victim) (pid ") == true)
      }
    }

    @Test func leavingIsNoDeath() throws {
      for order in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [2, 0, 5, 1, 4, 3]] {
        let group = try TestGroup(6)
        for rank in order {
          group.members[rank].leave()
          group.members[rank].leave()
          Clock.pause(5 * Clock.millisecond)
        }
        Clock.pause(50 * Clock.millisecond)
        for recorder in group.recorders { #expect(recorder.failures.withLock { $0.isEmpty }) }
      }
    }

    @Test func aDroppedMembershipHasLeft() throws {
      var group: TestGroup? = try TestGroup(3)
      let recorders = try #require(group).recorders
      group = nil
      Clock.pause(50 * Clock.millisecond)
      for recorder in recorders { #expect(recorder.failures.withLock { $0.isEmpty }) }
    }

    @Test func causesBeforeTheHandlersAreDelivered() throws {
      let rendezvous = freshRendezvous()
      let joined = try runRanks(0..<2) { rank throws(FailureReport) in
        try Membership.join(
          identity: identity(rank, 2, rendezvous), secret: testSecret, offers: [TransportOffer(testTransport, [])],
          deadline: Patience.deadline(seconds: 5))
      }
      let members = try (0..<2).map { try joined[$0]!.get() }
      defer { for member in members { member.leave() } }
      members[0].report(FailureReport(.aborted, rank: 0, "early"))
      #expect(Clock.wait(until: Patience.deadline(seconds: 5)) { members[1].firstCause != nil })
      let recorder = Recorder()
      members[1].activate(recorder.handlers)
      #expect(recorder.failures.withLock { $0.map(\.message) } == ["early"])
    }

    @Test(arguments: [ConnectionWay.network, .ownUser, .any])
    func dataLinksAreConnected(_ way: ConnectionWay) throws {
      let group = try TestGroup(3)
      defer { group.leave() }
      #expect(group.members[2].isSameHost(0))
      let socket = try group.members[2].connect(
        to: 0, for: testTransport, over: way, deadline: Patience.deadline(seconds: 5))
      let dialed = socket.raw
      let accepted = try #require(group.recorders[0].awaitConnection())
      #expect(accepted.peer == 2 && accepted.transport == testTransport)
      #expect((Sockets.remoteAddress(dialed)?.family == AF_INET) == (way == .network))
      #expect(send(dialed, "hello", 5, Int32(MSG_NOSIGNAL)) == 5)
      #expect(Sockets.wait(accepted.connection.raw, for: POLLIN, until: Patience.deadline(seconds: 5)))
      guard case .bytes(let bytes) = Sockets.receiveNow(accepted.connection.raw, max: 16) else {
        throw FailureReport.missing
      }
      #expect(bytes == Array("hello".utf8))
      for descriptor in [dialed, accepted.connection.raw] {
        #expect(fcntl(descriptor, F_GETFL) & O_NONBLOCK != 0 && fcntl(descriptor, F_GETFD) & FD_CLOEXEC != 0)
      }
      _ = consume socket
    }

    @Test func connectingToARankThatLeftNamesIt() throws {
      let group = try TestGroup(3)
      defer { group.leave() }
      group.members[0].leave()
      Clock.pause(20 * Clock.millisecond)
      let error = #expect(throws: FailureReport.self) {
        _ = try group.members[2].connect(to: 0, for: testTransport, over: .network, deadline: Patience.deadline(seconds: 5))
      }
      #expect(error?.code == .peerLost && error?.peer == 0 && error?.message.contains("closed its communicator") == true)
    }

    @Test func strangersOnTheListenerChangeNothing() throws {
      let group = try TestGroup(2)
      defer { group.leave() }
      let seed = SeededGenerator.seed()
      var generator = SeededGenerator(seed: seed)
      let address = try #require(group.members[0].members[0].addresses.first)
      var silent: [Int32] = []
      defer { for descriptor in silent { tutti_close(descriptor) } }
      for index in 0..<300 {
        let descriptor = try Sockets.connect(to: address, deadline: Patience.deadline(seconds: 5)).get().handOver()
        switch index % 3 {
        case 0: silent.append(descriptor)
        case 1:
          let noise = generator.bytes(Int.random(in: 1..<200, using: &generator))
          _ = Sockets.sendNow(descriptor, noise[...])
          tutti_close(descriptor)
        default:
          let hello = HandshakeHello(
            role: .control, from: 1, to: 0, rankCount: 2, communicator: group.members[0].communicator,
            nonce: Handshake.freshNonce())
          _ = Sockets.sendNow(descriptor, (hello.bytes + generator.bytes(36))[...])
          silent.append(descriptor)
        }
      }
      let dialed = try group.members[1].connect(
        to: 0, for: testTransport, over: .network, deadline: Patience.deadline(seconds: 5))
      _ = consume dialed
      let accepted = try #require(group.recorders[0].awaitConnection(), "seed \(seed)")
      #expect(accepted.peer == 1)
      #expect(group.members[0].firstCause == nil, "seed \(seed)")
    }

    @Test func anotherSecretIsRefusedOnTheListenerToo() throws {
      let group = try TestGroup(2)
      defer { group.leave() }
      let member = group.members[0]
      let address = try #require(member.members[0].addresses.first)
      let descriptor = try Sockets.connect(to: address, deadline: Patience.deadline(seconds: 5)).get().handOver()
      defer { tutti_close(descriptor) }
      let hello = HandshakeHello(
        role: .link, from: 1, to: 0, rankCount: 2, communicator: member.communicator, transport: testTransport,
        nonce: Handshake.freshNonce())
      #expect(throws: HandshakeDialer.Failure.unproven) {
        try HandshakeDialer(socket: descriptor, deadline: Patience.deadline(seconds: 5), clock: .system, giveUp: { false })
          .run(hello: hello, key: otherSecret.handshakeKey(for: member.communicator))
      }
    }

    @Test func noiseOnAControlConnectionNamesItsSender() throws {
      let seed = SeededGenerator.seed()
      var generator = SeededGenerator(seed: seed)
      for round in 0..<20 {
        let group = try TestGroup(3)
        defer { group.leave() }
        let descriptor = try #require(
          group.members[1].state.withLock { ($0.machines.edges.channels[0] as? EdgeConnection)?.descriptor })
        var noise = WireEncoder()
        switch round % 3 {
        case 0: noise.put(UInt32(ControlMessage.bytesMax + 1))
        case 1: noise.put(UInt32(0))
        default:
          let frame = [200] + generator.bytes(Int.random(in: 0..<300, using: &generator))
          noise.put(UInt32(frame.count))
          noise.put(raw: frame)
        }
        _ = Sockets.sendNow(descriptor, noise.bytes[...])
        for rank in [0, 2] {
          let heard = group.recorders[rank].awaitFailure()
          #expect(heard?.peer == 1 && heard?.message.contains("cannot be read") == true, "seed \(seed)")
        }
      }
    }

    @Test func silentConnectionsAreDroppedInTime() throws {
      let listener = try Sockets.listen(on: .ipv4(0x7F00_0001, port: 0))
      let address = try #require(Sockets.localAddress(listener.raw))
      let acceptor = try HandshakeAcceptor(
        policy: ListenerPolicy(
          rank: 0, expected: 4, communicator: .meeting, key: testSecret.handshakeKey(for: .meeting), judge: { _ in .fine }),
        listeners: [PassedDescriptor(listener)], clock: .system, patience: 50 * Clock.millisecond)
      defer { acceptor.close() }
      let silent = try Sockets.connect(to: address, deadline: Patience.deadline(seconds: 5)).get().handOver()
      defer { tutti_close(silent) }
      var refusals: [String] = []
      _ = Clock.wait(until: Patience.deadline(seconds: 5)) {
        for case .refused(let why) in acceptor.service() { refusals.append(why) }
        return !refusals.isEmpty
      }
      #expect(refusals.first?.contains("said nothing more for 0.05 s") == true)
      guard case .end = Sockets.receiveNow(silent, max: 1) else { throw FailureReport.missing }
    }

    /// The ranks of the ring wait for the one before; `odd` has not called the operation, or has left.
    @Test(arguments: [(4, 2, false), (8, 0, false), (8, 5, false), (8, 1, true), (8, 7, true)])
    func timeoutsNameTheRankThatIsNotThere(_ rankCount: Int, _ odd: Int, _ leaves: Bool) throws {
      let group = try TestGroup(rankCount)
      defer { group.leave() }
      for (rank, recorder) in group.recorders.enumerated() {
        recorder.status.withLock {
          $0 =
            rank == odd
            ? RankStatus(entered: 4, completed: 4, operation: "barrier")
            : RankStatus(entered: 5, completed: 4, waitingFor: (rank + rankCount - 1) % rankCount, operation: "barrier")
        }
      }
      if leaves { group.members[odd].leave() }
      let asker = (odd + rankCount / 2) % rankCount
      let start = monotonicNanoseconds()
      let found = group.members[asker].failAtTimeout(
        ExpiredWait(
          operationNumber: 5, operation: "barrier", waitingFor: (asker + rankCount - 1) % rankCount, timeoutSeconds: 1))
      #expect(found.code == .timeout && found.peer == odd, "\(found)")
      #expect(
        found.message.contains(
          leaves ? "has closed the communicator" : "has not called operation 5 (barrier); it last completed operation 4"),
        "\(found)")
      #expect(monotonicNanoseconds() - start < 2 * UInt64(Patience.factor) * Clock.second)
      for rank in 0..<rankCount where !leaves {
        #expect(group.recorders[rank].awaitFailure()?.description == found.description)
      }
    }

    /// A rank that finds another in a different call asks it which.
    @Test(arguments: [2, 5, 8])
    func callsAreToldWhenAsked(_ rankCount: Int) throws {
      let group = try TestGroup(rankCount)
      defer { group.leave() }
      let asker = group.members[0]
      let barrier = CallDescription("barrier (direct)", identity: 99)
      group.recorders[rankCount - 1].calls.withLock { $0[7] = barrier }
      #expect(asker.askCall(of: rankCount - 1, operationNumber: 7) == barrier)
      #expect(asker.askCall(of: rankCount - 1, operationNumber: 8) == nil)
      #expect(asker.askCall(of: 0, operationNumber: 7) == nil && asker.askCall(of: rankCount, operationNumber: 7) == nil)
      group.members[rankCount - 1].leave()
      let start = monotonicNanoseconds()
      #expect(asker.askCall(of: rankCount - 1, operationNumber: 7) == nil)
      #expect(monotonicNanoseconds() - start < Clock.second)
    }

    @Test func lossIsExplainedByWhatIsKnown() throws {
      let group = try TestGroup(4)
      defer { group.leave() }
      let otherwise = FailureReport(.transport, rank: 3, peer: 2, "connection reset", operationNumber: 5)
      #expect(group.members[3].causeOfLoss(of: 2, otherwise: otherwise) === otherwise)
      group.members[2].leave()
      let left = group.members[3].causeOfLoss(of: 2, otherwise: otherwise)
      #expect(left.peer == 2 && left.operationNumber == 5 && left.message.contains("closed its communicator"))
      group.members[1].closeEverything()
      #expect(group.recorders[3].awaitFailure()?.peer == 1)
      #expect(group.members[3].causeOfLoss(of: 2, otherwise: otherwise).peer == 1)
    }

    @Test func nothingLeaksOverAHundredJoins() throws {
      _ = try TestGroup(4)
      Clock.pause(20 * Clock.millisecond)
      let before = openDescriptorCount()
      for round in 0..<100 {
        let group = try TestGroup(1 + round % 5)
        if round % 2 == 0 { group.leave() }
      }
      _ = Clock.wait(until: Patience.deadline(seconds: 2)) { openDescriptorCount() <= before }
      #expect(openDescriptorCount() <= before)
    }
  }
}
