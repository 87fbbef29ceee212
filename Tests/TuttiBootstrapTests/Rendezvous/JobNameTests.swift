import CTuttiLinux
import Patience
import Testing
import TuttiSystem

@testable import TuttiBootstrap

extension OverSockets {
  /// Jobs with one secret that meet at one address.
  @Suite(.serialized) struct JobNameTests {
    /// Joins as a rank of the job called `name`.
    private static func join(
      _ rank: Int, _ rankCount: Int, _ name: String?, _ rendezvous: RendezvousAddress, seconds: Double
    ) throws(FailureReport) -> Membership {
      try Membership.join(
        identity: identity(rank, rankCount, rendezvous), secret: testSecret.bound(to: name), offers: testOffers,
        deadline: Patience.deadline(seconds: seconds))
    }

    /// Two jobs of two ranks start at once, in an order that chance gives. One waits for the other's port, and no rank of
    /// one gets into the other.
    @Test(arguments: 0..<100) func jobsOfDifferentNamesNeverMix(_ turn: Int) throws {
      let seed = SeededGenerator.seed() &+ UInt64(turn)
      var generator = SeededGenerator(seed: seed)
      let delays = (0..<4).map { _ in UInt64.random(in: 0..<30, using: &generator) * Clock.millisecond }
      let rendezvous = RendezvousAddress.tcp(host: "127.0.0.1", port: try freePort())
      let results = try runRanks(0..<4) { number throws(FailureReport) in
        Clock.pause(delays[number])
        return try Self.join(number % 2, 2, number < 2 ? "a" : "b", rendezvous, seconds: 10)
      }
      let members = try (0..<4).map { number in
        try #require(try? results[number]?.get(), "TUTTI_TEST_SEED=\(seed): \(String(describing: results[number]))")
      }
      #expect(members[0].communicator == members[1].communicator, "TUTTI_TEST_SEED=\(seed)")
      #expect(members[2].communicator == members[3].communicator, "TUTTI_TEST_SEED=\(seed)")
      #expect(members[0].communicator != members[2].communicator, "TUTTI_TEST_SEED=\(seed)")
      for member in members { member.leave() }
    }

    @Test func aRankOfAnotherJobIsToldSo() throws {
      let rendezvous = RendezvousAddress.tcp(host: "127.0.0.1", port: try freePort())
      let results = try runRanks([0, 1]) { rank throws(FailureReport) in
        try Self.join(rank, 2, rank == 0 ? "a" : "b", rendezvous, seconds: 8)
      }
      guard case .failure(let stranger)? = results[1] else {
        Issue.record("a rank of job b has joined job a")
        return
      }
      #expect(stranger.code == .authentication && stranger.advice.contains("this rank's job is \"b\""), "\(stranger)")
    }

    @Test func aPortThatIsInUseIsWaitedFor() throws {
      let port = try freePort()
      let listener = try Sockets.listen(on: .ipv4(0x7F00_0001, port: port)).handOver()
      try startDetachedThread("test-port") {
        Clock.pause(500 * Clock.millisecond)
        tutti_close(listener)
      }
      let results = try runRanks(0..<2) { rank throws(FailureReport) in
        // The other one must not take the port's first owner for rank 0.
        if rank == 1 { Clock.pause(700 * Clock.millisecond) }
        return try Self.join(rank, 2, nil, .tcp(host: "127.0.0.1", port: port), seconds: 10)
      }
      for rank in 0..<2 { try results[rank]!.get().leave() }
    }

    @Test func missingRanksAreToldOfEveryTenSeconds() throws {
      let told = Lock<[String]>([])
      let time = Lock(UInt64(1))
      // A clock on which each look takes a second.
      let clock = MonotonicClock({ time.withLock { $0 } }, pause: { _ in time.withLock { $0 += Clock.second } })
      let report = #expect(throws: FailureReport.self) {
        try Meeting.attend(
          identity: identity(0, 3, freshRendezvous()), secret: testSecret, offers: testOffers,
          deadline: 35 * Clock.second, notify: { text in told.withLock { $0.append(text) } }, clock: clock)
      }
      #expect(report?.message.contains("ranks 1 and 2 of 3 have not joined") == true)
      let texts = told.withLock { $0 }
      #expect(texts.count == 3, "\(texts)")
      #expect(texts.first?.contains("waiting for ranks 1 and 2 of 3 at unix:@") == true, "\(texts)")
    }
  }
}
