import Patience
import TuttiSystem
import TuttiTransport
import CTuttiFork
import CTuttiLinux
import Glibc
import Testing

@testable import TuttiBootstrap

extension OverSockets {
  @Suite(.serialized) struct RendezvousTests {
    static func join(
      _ rank: Int, _ rankCount: Int, _ rendezvous: RendezvousAddress, secret: JobSecret = testSecret,
      settings: [String: String] = [:], network: NetworkSettings = NetworkSettings(), seconds: Double = 5,
      version: UInt16 = protocolVersion
    ) throws(FailureReport) -> Membership {
      try Membership.join(
        identity: identity(rank, rankCount, rendezvous), secret: secret, settings: settings,
        offers: testOffers,
        network: network, deadline: Patience.deadline(seconds: seconds), version: version)
    }

    static func failure(_ result: Result<Membership, FailureReport>?) -> FailureReport? {
      guard case .failure(let report)? = result else { return nil }
      return report
    }

    static func loopbackRendezvous() throws -> RendezvousAddress { .tcp(host: "127.0.0.1", port: try freePort()) }

    /// The largest notes reach every rank, and a larger one is refused on the rank that has it, before it meets anybody.
    @Test func notesAreBounded() throws {
      @Sendable func attend(
        _ rank: Int, _ rankCount: Int, note: Int, _ place: RendezvousAddress
      ) throws(FailureReport) -> Meeting {
        try Meeting.attend(
          identity: identity(rank, rankCount, place), secret: testSecret, offers: testOffers,
          note: [UInt8](repeating: UInt8(rank), count: note), deadline: Patience.deadline(seconds: 20))
      }
      let most = [MemberRecord.noteBytesMax, MemberRecord.requestNoteBytesMax, MemberRecord.requestNoteBytesMax]
      let place = freshRendezvous()
      let sizes = try runRanks(0..<3, seconds: 30) { rank throws(FailureReport) in
        let meeting = try attend(rank, 3, note: most[rank], place)
        let sizes = meeting.members.map(\.note.count)
        try meeting.begin().leave()
        return sizes
      }
      for rank in 0..<3 { #expect(try sizes[rank]?.get() == most) }
      for (rank, rankCount) in [(0, 1), (0, 2), (1, 2)] {
        let started = monotonicNanoseconds()
        let report = #expect(throws: FailureReport.self) {
          try attend(rank, rankCount, note: most[rank] + 1, freshRendezvous())
        }
        #expect(report?.code == .configuration && report?.rank == rank)
        #expect(report?.message.contains("\(most[rank] + 1) bytes") == true, "\(String(describing: report))")
        #expect(monotonicNanoseconds() - started < 5 * UInt64(Patience.factor) * Clock.second)
      }
    }

    @Test(arguments: ["127.0.0.1", "localhost", "::1", "name"])
    func joinsOverTCP(_ host: String) throws {
      var host = host
      if host == "name" {
        var buffer = [CChar](repeating: 0, count: 256)
        gethostname(&buffer, 255)
        host = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // A host that does not know its own name cannot try this.
        guard (try? NameResolution.resolve(host, port: 1, deadline: Patience.deadline(seconds: 2), clock: .system)) != nil
        else { return }
      }
      if host == "::1", (try? Sockets.listen(on: .ipv6(0, 1, port: 0)).handOver()).map({ tutti_close($0) }) == nil { return }
      let rendezvous = RendezvousAddress.tcp(host: host, port: try freePort())
      let results = try runRanks(0..<4) { rank throws(FailureReport) in try Self.join(rank, 4, rendezvous) }
      let members = try (0..<4).map { try results[$0]!.get() }
      for member in members {
        #expect(member.rankCount == 4 && member.members.map(\.rank) == [0, 1, 2, 3])
        #expect(member.members == members[0].members)
        #expect(member.members[member.rank].process.pid == getpid())
        #expect(member.members.allSatisfy { $0.facts.offers == testOffers })
        #expect(member.members[0].facts.offer(of: TransportKind("other")) == [1, 2, 3])
        #expect(member.members.allSatisfy { !$0.addresses.isEmpty && $0.addresses.allSatisfy { $0.port != 0 } })
      }
      let link = try members[3].connect(to: 0, for: testTransport, over: .network, deadline: Patience.deadline(seconds: 5))
      _ = consume link
      for member in members { member.leave() }
    }

    @Test func rankZeroMayListenOnEveryAddress() throws {
      let port = try freePort()
      for everywhere in ["0.0.0.0", "::"] {
        let results = try runRanks(0..<2) { rank throws(FailureReport) in
          try Self.join(rank, 2, .tcp(host: rank == 0 ? everywhere : "127.0.0.1", port: port))
        }
        let members = try (0..<2).map { try results[$0]!.get() }
        // Others are told the address that they came in on, not the one that stands for all.
        #expect(members[1].members[0].addresses.first?.hostText == "127.0.0.1", "\(members[1].members[0].addresses)")
        for member in members { member.leave() }
      }
    }

    @Test func rankZeroMayComeLast() throws {
      let rendezvous = try Self.loopbackRendezvous()
      let results = try runRanks(0..<3) { rank throws(FailureReport) in
        if rank == 0 { Clock.pause(400 * Clock.millisecond) }
        return try Self.join(rank, 3, rendezvous)
      }
      for rank in 0..<3 { try results[rank]!.get().leave() }
    }

    @Test func missingRanksAreNamedToEveryone() throws {
      let rendezvous = try Self.loopbackRendezvous()
      let results = try runRanks([0, 1, 3, 4]) { rank throws(FailureReport) in
        // The earliest deadline counts for all.
        try Self.join(rank, 6, rendezvous, seconds: rank == 3 ? 0.5 : 10)
      }
      for rank in [0, 1, 3, 4] {
        let report = Self.failure(results[rank])
        #expect(report?.code == .rendezvous)
        #expect(report?.message.contains("ranks 2 and 5 of 6 have not joined") == true, "\(report?.description ?? "joined")")
      }
    }

    @Test func oneMissingRankIsThePeer() throws {
      let rendezvous = freshRendezvous()
      let results = try runRanks([0, 1]) { rank throws(FailureReport) in try Self.join(rank, 3, rendezvous, seconds: 0.3) }
      for rank in [0, 1] { #expect(Self.failure(results[rank])?.peer == 2) }
    }

    @Test func twoProcessesWithOneRankAreNamedToEveryone() throws {
      let rendezvous = freshRendezvous()
      let results = try runRanks([0, 1, 2, 11]) { rank throws(FailureReport) in try Self.join(rank % 10, 4, rendezvous) }
      let reports = results.values.compactMap { Self.failure($0) }
      #expect(reports.count == 4)
      for report in reports {
        #expect(report.code == .configuration && report.message.contains("two processes are rank 1"), "\(report)")
      }
    }

    @Test func differingRankCountsAreNamed() throws {
      let rendezvous = freshRendezvous()
      let results = try runRanks([0, 1]) { rank throws(FailureReport) in try Self.join(rank, rank == 0 ? 2 : 3, rendezvous) }
      for rank in [0, 1] {
        #expect(Self.failure(results[rank])?.message.contains("counts 3 ranks, rank 0 counts 2") == true)
      }
    }

    @Test func differingSettingsAreNamedToEveryone() throws {
      let rendezvous = freshRendezvous()
      let results = try runRanks(0..<4) { rank throws(FailureReport) in
        try Self.join(rank, 4, rendezvous, settings: ["TUTTI_CHECK": rank == 2 ? "strict" : "fast", "same": "1"])
      }
      for rank in 0..<4 {
        let report = Self.failure(results[rank])
        #expect(report?.code == .configuration && report?.peer == 2)
        #expect(
          report?.message
            == "setting TUTTI_CHECK must be equal on all ranks: ranks 0, 1 and 3 have \"fast\", rank 2 has \"strict\"",
          "\(report?.description ?? "joined")")
      }
    }

    @Test func wrongSecretIsToldOnBothSides() throws {
      let rendezvous = try Self.loopbackRendezvous()
      let results = try runRanks([0, 1]) { rank throws(FailureReport) in
        try Self.join(rank, 2, rendezvous, secret: rank == 0 ? testSecret : otherSecret, seconds: 1)
      }
      let dialer = Self.failure(results[1])
      #expect(dialer?.code == .authentication && dialer?.advice.contains("TUTTI_SECRET") == true)
      let listener = Self.failure(results[0])
      #expect(listener?.message.contains("that calls itself rank 1 did not prove the job's secret") == true)
      for report in [dialer, listener] {
        for word in ["correct", "horse", "Tr0ub"] { #expect(report?.description.contains(word) == false) }
      }
    }

    @Test func secretAgainstNoneIsExplained() throws {
      let rendezvous = freshRendezvous()
      let results = try runRanks([0, 1]) { rank throws(FailureReport) in
        try Self.join(rank, 2, rendezvous, secret: rank == 0 ? testSecret : .unauthenticated, seconds: 0.5)
      }
      #expect(Self.failure(results[1])?.advice.contains("TUTTI_ALLOW_UNAUTHENTICATED=1") == true)
    }

    @Test func otherVersionsAreNamedOnBothSides() throws {
      let rendezvous = freshRendezvous()
      let results = try runRanks([0, 1]) { rank throws(FailureReport) in
        try Self.join(rank, 2, rendezvous, seconds: 0.5, version: rank == 0 ? 1 : protocolVersion)
      }
      let dialer = Self.failure(results[1])
      #expect(dialer?.code == .version)
      #expect(
        dialer?.message.contains("version 1, this rank version \(protocolVersion)") == true, "\(dialer?.description ?? "")")
      let listener = Self.failure(results[0])
      #expect(listener?.message.contains("speaks protocol version \(protocolVersion), this rank 1") == true)
    }

    @Test func portInUseHasAdvice() throws {
      let port = try freePort()
      let taken = try Sockets.listen(on: .ipv4(0x7F00_0001, port: port)).handOver()
      defer { tutti_close(taken) }
      let report = #expect(throws: FailureReport.self) { try Self.join(0, 2, .tcp(host: "127.0.0.1", port: port)) }
      #expect(report?.code == .rendezvous && report?.systemError == EADDRINUSE)
      #expect(report?.message.contains("127.0.0.1:\(port)") == true && report?.advice.contains("free port") == true)
    }

    @Test func foreignAddressHasAdvice() throws {
      let report = #expect(throws: FailureReport.self) { try Self.join(0, 2, .tcp(host: "192.0.2.1", port: 9)) }
      #expect(report?.systemError == EADDRNOTAVAIL && report?.advice.contains("not an address of this host") == true)
    }

    @Test func unreachableRankZeroIsNamed() throws {
      let rendezvous = try Self.loopbackRendezvous()
      let start = monotonicNanoseconds()
      let report = #expect(throws: FailureReport.self) { try Self.join(1, 2, rendezvous, seconds: 0.4) }
      #expect(report?.code == .rendezvous && report?.message.contains(rendezvous.description) == true)
      #expect(report?.message.contains("Connection refused") == true && report?.advice.contains("firewall") == true)
      #expect(monotonicNanoseconds() - start < 3 * UInt64(Patience.factor) * Clock.second)
    }

    @Test func unknownNameIsNamed() throws {
      let rendezvous = RendezvousAddress.tcp(host: "no-such-host.invalid", port: 80)
      let report = #expect(throws: FailureReport.self) { try Self.join(1, 2, rendezvous, seconds: 0.5) }
      #expect(report?.message.contains("no-such-host.invalid") == true && report?.message.contains("has no address") == true)
      #expect(report?.code == .rendezvous)
    }

    @Test func aStrangerAtTheRendezvousIsRecognised() throws {
      let listener = try Sockets.listen(on: .ipv4(0x7F00_0001, port: 0)).handOver()
      let port = try #require(Sockets.localAddress(listener)).port
      let results = try runRanks([0, 1]) { rank throws(FailureReport) in
        if rank == 1 { return try Self.join(1, 2, .tcp(host: "127.0.0.1", port: port)).rank }
        _ = Sockets.wait(listener, for: POLLIN, until: Patience.deadline(seconds: 5))
        let connection = OwnedDescriptor(tutti_accept(listener))
        _ = Sockets.sendNow(connection.raw, Array("HTTP/1.1 400 Bad Request\r\n".utf8)[...])
        Clock.pause(200 * Clock.millisecond)
        return 0
      }
      tutti_close(listener)
      guard case .failure(let report)? = results[1] else { throw FailureReport.missing }
      #expect(report.message.contains("another program"))
    }

    @Test func aSilentRendezvousEndsAtTheDeadline() throws {
      let listener = try Sockets.listen(on: .ipv4(0x7F00_0001, port: 0)).handOver()
      defer { tutti_close(listener) }
      let port = try #require(Sockets.localAddress(listener)).port
      let report = #expect(throws: FailureReport.self) {
        try Self.join(1, 2, .tcp(host: "127.0.0.1", port: port), seconds: 0.3)
      }
      #expect(report?.message.contains("does not answer") == true && report?.peer == 0)
    }

    @Test func strangersAtTheRendezvousChangeNothing() throws {
      let port = try freePort()
      let rendezvous = RendezvousAddress.tcp(host: "127.0.0.1", port: port)
      let seed = SeededGenerator.seed()
      let results = try runRanks([0, 1, 2, 9]) { rank throws(FailureReport) in
        if rank < 3 {
          if rank > 0 { Clock.pause(300 * Clock.millisecond) }
          try Self.join(rank, 3, rendezvous).leave()
          return
        }
        var generator = SeededGenerator(seed: seed)
        var open: [Int32] = []
        for _ in 0..<200 {
          let address = SocketAddress.ipv4(0x7F00_0001, port: port)
          guard case .success(let socket) = Sockets.connect(to: address, deadline: Patience.deadline(seconds: 1)) else {
            continue
          }
          if Bool.random(using: &generator) {
            let noise = generator.bytes(Int.random(in: 1..<150, using: &generator))
            _ = Sockets.sendNow(socket.raw, (Bool.random(using: &generator) ? handshakeMagic + noise : noise)[...])
          }
          open.append(socket.handOver())
          Clock.pause(Clock.millisecond)
        }
        for socket in open { tutti_close(socket) }
      }
      for rank in 0..<3 { #expect(throws: Never.self, "seed \(seed)") { try results[rank]!.get() } }
    }

    @Test func anAuthenticatedRankThatTalksNonsenseIsNamed() throws {
      let rendezvous = freshRendezvous()
      let results = try runRanks([0, 1]) { rank throws(FailureReport) in
        if rank == 0 { return try Self.join(0, 2, rendezvous).rank }
        let guest = try RendezvousGuest.meet(
          identity(1, 2, rendezvous), secret: testSecret, deadline: Patience.deadline(seconds: 5), version: protocolVersion,
          clock: .system)
        guest.connection.queue([77, 1, 2, 3])
        guest.connection.flush()
        Clock.pause(300 * Clock.millisecond)
        return 1
      }
      guard case .failure(let report)? = results[0] else { throw FailureReport.missing }
      #expect(report.peer == 1 && report.message.contains("cannot be read"))
    }

    @Test func aRankThatEndsWhileJoiningIsNamed() throws {
      let rendezvous = freshRendezvous()
      let results = try runRanks([0, 1, 2]) { rank throws(FailureReport) in
        if rank != 1 { return try Self.join(rank, 4, rendezvous).rank }
        Clock.pause(100 * Clock.millisecond)
        let guest = try RendezvousGuest.meet(
          identity(1, 4, rendezvous), secret: testSecret, deadline: Patience.deadline(seconds: 5), version: protocolVersion,
          clock: .system)
        guest.connection.close()
        return 1
      }
      for rank in [0, 2] {
        guard case .failure(let report)? = results[rank] else { throw FailureReport.missing }
        #expect(
          report.code == .peerLost && report.peer == 1 && report.message.contains("ended while the ranks were joining"))
      }
    }

    @Test func portRangesAreKept() throws {
      let base = UInt16.random(in: 20000..<30000)
      let range = base...(base + 20)
      let rendezvous = try Self.loopbackRendezvous()
      let results = try runRanks(0..<3) { rank throws(FailureReport) in
        try Self.join(rank, 3, rendezvous, network: NetworkSettings(portRange: range))
      }
      for rank in 0..<3 {
        let member = try results[rank]!.get()
        for record in member.members { #expect(record.addresses.allSatisfy { range.contains($0.port) }) }
        member.leave()
      }
    }

    @Test func aFullPortRangeIsAnErrorForAll() throws {
      let taken = try Sockets.listen(on: .ipv4(0x7F00_0001, port: 0)).handOver()
      defer { tutti_close(taken) }
      let port = try #require(Sockets.localAddress(taken)).port
      let rendezvous = freshRendezvous()
      let results = try runRanks(0..<2) { rank throws(FailureReport) in
        try Self.join(rank, 2, rendezvous, network: NetworkSettings(portRange: rank == 1 ? port...port : nil))
      }
      for rank in 0..<2 {
        #expect(Self.failure(results[rank])?.message.contains("TUTTI_PORT_RANGE=\(port)-\(port)") == true)
      }
    }

    @Test func unknownInterfaceIsAnErrorForAll() throws {
      let rendezvous = freshRendezvous()
      let results = try runRanks(0..<2) { rank throws(FailureReport) in
        try Self.join(rank, 2, rendezvous, network: NetworkSettings(interface: rank == 1 ? "eth77" : nil))
      }
      for rank in 0..<2 { #expect(Self.failure(results[rank])?.message.contains("\"eth77\"") == true) }
    }

    @Test func oneRankNeedsNoNetwork() throws {
      let before = openDescriptorCount()
      let member = try Self.join(0, 1, .tcp(host: "no-such-host.invalid", port: 1))
      let recorder = Recorder()
      member.activate(recorder.handlers)
      #expect(member.members.count == 1 && member.firstCause == nil)
      member.report(FailureReport(.aborted, rank: 0, "enough"))
      #expect(recorder.failures.withLock { $0.count } == 1)
      member.leave()
      #expect(Clock.wait(until: Patience.deadline(seconds: 5)) { openDescriptorCount() <= before })
    }

    @Test func aForkedChildsMembershipIsDead() throws {
      let group = try TestGroup(2)
      defer { group.leave() }
      // The child has none of the descriptors, so the ranks notice nothing when it ends, or that it lives on.
      let child = tutti_fork_sleeper(1)
      #expect(child > 0)
      var status: Int32 = 0
      waitpid(child, &status, 0)
      #expect(group.members[0].firstCause == nil && group.members[1].firstCause == nil)
    }
  }
}
