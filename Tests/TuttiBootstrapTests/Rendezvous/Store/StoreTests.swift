import CTuttiLinux
import Glibc
import Patience
import Testing
import TuttiSystem
import TuttiTransport

@testable import TuttiBootstrap

extension OverSockets {
  /// Joins over stores, good ones and others.
  @Suite(.serialized) struct StoreTests {
    static func join(
      _ rank: Int, _ rankCount: Int, _ store: any Rendezvous, name: String = "main", secret: JobSecret? = testSecret,
      settings: [String: String] = [:], network: NetworkSettings = NetworkSettings(), seconds: Double = 5,
      version: UInt16 = protocolVersion
    ) throws(FailureReport) -> Membership {
      guard let key = MeetingPlace.key(name) else { throw FailureReport(.invalidArgument, "a bad name") }
      return try Membership.join(
        identity: LaunchIdentity(rank: rank, rankCount: rankCount, place: .store(store, key: key), source: "the test"),
        secret: secret, settings: settings, offers: testOffers, network: network,
        deadline: Patience.deadline(seconds: seconds), version: version)
    }

    static func failure<Value>(_ result: Result<Value, FailureReport>?) -> FailureReport? {
      guard case .failure(let report)? = result else { return nil }
      return report
    }

    /// All know the same members, and can dial each other.
    static func check(_ results: [Int: Result<Membership, FailureReport>], _ rankCount: Int) throws {
      let members = try (0..<rankCount).map { try #require(results[$0]).get() }
      for member in members { #expect(member.members == members[0].members && member.rankCount == rankCount) }
      if rankCount > 1 {
        _ = try members[rankCount - 1].connect(
          to: 0, for: testTransport, over: .network, deadline: Patience.deadline(seconds: 5))
      }
      for member in members { member.leave() }
    }

    @Test(arguments: [1, 2, 5]) func ranksMeetInMemory(_ rankCount: Int) throws {
      let store = MemoryStore()
      let results = try runRanks(0..<rankCount) { rank throws(FailureReport) in
        // Whoever comes first waits for the others.
        Clock.pause(UInt64((rank * 7) % 5) * 30 * Clock.millisecond)
        return try Self.join(rank, rankCount, store)
      }
      try Self.check(results, rankCount)
      #expect(store.keys == (rankCount == 1 ? [] : ["tutti-main"]))
    }

    @Test func aSpaceWithABarrierServes() throws {
      let space = BarrierSpace(rankCount: 4)
      let results = try runRanks(0..<4) { rank throws(FailureReport) in
        try Self.join(rank, 4, BarrierRendezvous(space: space), name: String(repeating: "n", count: 58))
      }
      try Self.check(results, 4)
      #expect(space.barriers == 1)
    }

    @Test func rankZeroSaysWhyToASpaceWithABarrier() throws {
      let space = BarrierSpace(rankCount: 2)
      let results = try runRanks(0..<2) { rank throws(FailureReport) in
        try Self.join(
          rank, 2, BarrierRendezvous(space: space), network: NetworkSettings(interface: rank == 0 ? "eth77" : nil))
      }
      for rank in 0..<2 {
        let report = Self.failure(results[rank])
        #expect(
          report?.code == .configuration && report?.message.contains("\"eth77\"") == true, "\(String(describing: report))")
      }
    }

    @Test func groupsOfOneStoreAreApart() throws {
      let store = MemoryStore()
      // Eight groups at once, from as many threads as there are members, in one process.
      let groups = (0..<8).map { 1 + $0 % 4 }
      let seats = groups.indices.flatMap { group in (0..<groups[group]).map { (group: group, rank: $0) } }
      let results = try runRanks(seats.indices) { seat throws(FailureReport) in
        let (group, rank) = seats[seat]
        return try Self.join(rank, groups[group], store, name: "group/\(group)", secret: nil)
      }
      for group in groups.indices {
        let own = seats.indices.filter { seats[$0].group == group }
        try Self.check(
          Dictionary(uniqueKeysWithValues: own.map { (seats[$0].rank, try #require(results[$0])) }), groups[group])
      }
    }

    @Test func whatAnEarlierRunLeftIsReplaced() throws {
      let store = MemoryStore()
      for round in 0..<3 {
        let results = try runRanks(0..<2) { rank throws(FailureReport) in
          if rank == 0 { Clock.pause(round == 0 ? 0 : 300 * Clock.millisecond) }
          return try Self.join(rank, 2, store)
        }
        try Self.check(results, 2)
      }
    }

    @Test func anotherMeetingIsNotJoined() throws {
      let store = MemoryStore()
      let other = try MeetingListeners.open(
        .store(store, key: "x"), NetworkSettings(), isAuthenticated: true, publishedSecret: nil,
        deadline: Patience.deadline(seconds: 5), clock: .system)
      let acceptor = try HandshakeAcceptor(
        policy: ListenerPolicy(
          rank: 0, expected: 4, communicator: .random(), key: testSecret.handshakeKey(for: .meeting), judge: { _ in .fine }),
        listeners: other.sockets, clock: .system)
      let isOver = Lock(false)
      try startDetachedThread("stranger") {
        while !isOver.withLock({ $0 }) {
          _ = acceptor.service()
          Clock.pause(Clock.millisecond)
        }
      }
      defer { isOver.withLock { $0 = true } }
      store.put(MeetingWord.point(try #require(other.point)).bytes(), for: "tutti-main", timeout: .seconds(1))
      let report = #expect(throws: FailureReport.self) { try Self.join(1, 2, store, seconds: 0.6) }
      #expect(report?.code == .rendezvous && report?.peer == 0)
      #expect(report?.message.contains("MemoryStore under \"tutti-main\"") == true, "\(String(describing: report))")
    }

    @Test func theSecretCanBePublished() throws {
      let store = MemoryStore()
      try Self.check(
        try runRanks(0..<3) { rank throws(FailureReport) in try Self.join(rank, 3, store, secret: nil) }, 3)
      let value = try #require(store.get("tutti-main", timeout: .zero))
      guard case .point(let point) = try MeetingWord(value) else { throw FailureReport.missing }
      #expect(point.secret.count == 32)
    }

    @Test func aSecretFromElsewhereStaysThere() throws {
      let store = MemoryStore()
      try Self.check(try runRanks(0..<2) { rank throws(FailureReport) in try Self.join(rank, 2, store) }, 2)
      let value = try #require(store.get("tutti-main", timeout: .zero))
      guard case .point(let point) = try MeetingWord(value) else { throw FailureReport.missing }
      #expect(point.secret.isEmpty)
    }

    @Test(arguments: [true, false]) func kindsOfSecretMustAgree(_ isPublished: Bool) throws {
      let store = MemoryStore()
      let results = try runRanks(0..<2) { rank throws(FailureReport) in
        try Self.join(rank, 2, store, secret: (rank == 0) == isPublished ? nil : testSecret, seconds: 0.5)
      }
      let report = Self.failure(results[1])
      #expect(report?.code == .configuration && report?.message.contains("secret") == true, "\(String(describing: report))")
      #expect(Self.failure(results[0])?.message.contains("rank 1 of 2 has not joined") == true)
    }

    @Test func aWrongSecretIsToldOnBothSides() throws {
      let store = MemoryStore()
      let results = try runRanks(0..<2) { rank throws(FailureReport) in
        try Self.join(rank, 2, store, secret: rank == 0 ? testSecret : otherSecret, seconds: 1)
      }
      #expect(Self.failure(results[1])?.code == .authentication)
      let listener = Self.failure(results[0])
      #expect(
        listener?.message.contains("that calls itself rank 1 did not prove the job's secret") == true,
        "\(String(describing: listener))")
    }

    @Test func versionsAreComparedInTheStore() throws {
      let store = MemoryStore()
      let results = try runRanks(0..<2) { rank throws(FailureReport) in
        try Self.join(rank, 2, store, seconds: 0.5, version: rank == 0 ? 3 : 9)
      }
      let report = Self.failure(results[1])
      #expect(report?.code == .version && report?.message.contains("version 3, this rank version 9") == true)
    }

    @Test func missingRanksAreNamedToEveryone() throws {
      let store = MemoryStore()
      let results = try runRanks([0, 2]) { rank throws(FailureReport) in try Self.join(rank, 4, store, seconds: 0.5) }
      for rank in [0, 2] {
        let report = Self.failure(results[rank])
        #expect(report?.message.contains("ranks 1 and 3 of 4 have not joined") == true, "\(String(describing: report))")
      }
    }

    @Test func aMissingRankZeroIsNamed() throws {
      let start = monotonicNanoseconds()
      let report = #expect(throws: FailureReport.self) { try Self.join(1, 2, MemoryStore(), seconds: 0.4) }
      #expect(report?.code == .rendezvous && report?.peer == 0)
      #expect(report?.message.contains("rank 0 has left no address in the rendezvous MemoryStore") == true)
      #expect(monotonicNanoseconds() - start < 3 * UInt64(Patience.factor) * Clock.second)
    }

    @Test func disagreementsEndTheJoinForAll() throws {
      let twins = MemoryStore()
      for report in try runRanks([0, 1, 11], { rank throws(FailureReport) in try Self.join(rank % 10, 3, twins) }).values {
        #expect(Self.failure(report)?.message.contains("two processes are rank 1") == true)
      }
      let settings = MemoryStore()
      let results = try runRanks(0..<3) { rank throws(FailureReport) in
        try Self.join(rank, 3, settings, settings: ["transport": rank == 1 ? "tcp" : "shm"])
      }
      for rank in 0..<3 { #expect(Self.failure(results[rank])?.message.contains("setting transport must be equal") == true) }
    }

    @Test(arguments: HostileStore.Manner.allCases) func hostileStoresAreNamed(_ manner: HostileStore.Manner) throws {
      let store = HostileStore(manner: manner)
      let start = monotonicNanoseconds()
      let results = try runRanks(0..<2) { rank throws(FailureReport) in try Self.join(rank, 2, store, seconds: 0.6) }
      let seconds = Double(monotonicNanoseconds() - start) / 1e9
      if manner == .losesLater { return try Self.check(results, 2) }
      #expect(seconds < Patience.seconds(5), "\(manner) took \(seconds) s")
      let (leader, guest) = (Self.failure(results[0]), Self.failure(results[1]))
      #expect(leader?.code == .rendezvous && guest?.code == .rendezvous, "\(String(describing: guest))")
      let expected: String =
        switch manner {
        case .losesPuts, .throwsOnPut, .throwsAtTheEnd: "rank 0 has left no address in the rendezvous HostileStore"
        case .answersLate, .neverAnswers: "rank 0 has left no address"
        case .throwsOnWait: "the rendezvous HostileStore under \"tutti-main\" could not wait for the value"
        case .losesLater: ""
        case .givesNoise: "16 bytes are stored that rank 0 has not put there"
        case .givesALot: "8388608 bytes are stored that rank 0 has not put there"
        case .flipsABit, .cutsValues: "rank 0 has not put there, or only a part of what it put"
        }
      #expect(guest?.message.contains(expected) == true, "\(manner): \(String(describing: guest))")
      switch manner {
      case .throwsOnPut: #expect(leader?.cause?.message == "the disk is full")
      case .throwsOnWait: #expect(guest?.cause?.message == "connection reset by the store")
      case .throwsAtTheEnd: #expect(guest?.cause?.cause?.message == "Timeout waiting for key")
      default: #expect(leader?.message.contains("rank 1 of 2 has not joined") == true, "\(String(describing: leader))")
      }
    }

    @Test func aListenerIsHandedOver() throws {
      let listener = try Sockets.listen(on: .ipv4(0x7F00_0001, port: 0)).handOver()
      let port = try #require(Sockets.localAddress(listener)).port
      let address = RendezvousAddress.tcp(host: "127.0.0.1", port: port)
      let socket = try ListeningSocket(listener)
      let results = try runRanks(0..<3) { rank throws(FailureReport) in
        try Membership.join(
          identity: LaunchIdentity(
            rank: rank, rankCount: 3, place: .address(address, listener: rank == 0 ? socket : nil), source: "the test"),
          secret: testSecret, offers: testOffers, deadline: Patience.deadline(seconds: 5))
      }
      try Self.check(results, 3)
      // Closed when the ranks had met.
      #expect(fcntl(listener, F_GETFD) < 0 || Sockets.localAddress(listener)?.port != port)
    }

    @Test func whatIsNoListenerIsRefusedAndClosed() throws {
      let plain = tutti_socket(AF_INET, Int32(SOCK_STREAM.rawValue))
      let refused = #expect(throws: FailureReport.self) { try ListeningSocket(plain) }
      #expect(refused?.code == .invalidArgument && refused?.message.contains("not a listening socket") == true)
      #expect(fcntl(plain, F_GETFD) < 0)
      let nothing = #expect(throws: FailureReport.self) { try ListeningSocket(9999) }
      #expect(nothing?.systemError == EBADF)
      let before = openDescriptorCount()
      _ = try ListeningSocket(Sockets.listen(on: .ipv4(0x7F00_0001, port: 0)).handOver())
      // Other tests' threads may close theirs meanwhile: what counts is that none is left open here.
      #expect(Clock.wait(until: Patience.deadline(seconds: 5)) { openDescriptorCount() <= before })
    }

    @Test func nothingStaysOpen() throws {
      let store = MemoryStore()
      try Self.check(try runRanks(0..<3) { rank throws(FailureReport) in try Self.join(rank, 3, store, name: "first") }, 3)
      let before = openDescriptorCount()
      try Self.check(try runRanks(0..<3) { rank throws(FailureReport) in try Self.join(rank, 3, store, name: "second") }, 3)
      _ = try runRanks([0, 1]) { rank throws(FailureReport) in try Self.join(rank, 3, store, name: "third", seconds: 0.3) }
      #expect(Clock.wait(until: Patience.deadline(seconds: 5)) { openDescriptorCount() <= before })
    }
  }
}
