import Patience
import Testing
import TuttiSystem
import TuttiTransport

@testable import TuttiBootstrap

/// What waits, waits by the clock that it is given: ten minutes pass in a moment, and none at all while a test holds them.
extension OverSockets {
  @Suite(.serialized) struct JoinClockTests {
    private let time = VirtualClock()

    /// A store that never answers.
    private struct SilentStore: Rendezvous {
      func put(_ value: [UInt8], for key: String, timeout: Duration) throws { Clock.pause(Clock.second) }
      func get(_ key: String, timeout: Duration) throws -> [UInt8]? {
        Clock.pause(Clock.second)
        return nil
      }
    }

    private func join(_ rank: Int, _ place: MeetingPlace, seconds: UInt64) throws(FailureReport) -> Membership {
      try Membership.join(
        identity: LaunchIdentity(rank: rank, rankCount: 2, place: place, source: "the test"), secret: testSecret, offers: [],
        deadline: time.now + seconds * Clock.second, clock: time.clock)
    }

    @Test func rankZeroIsLookedForByTheClock() {
      let start = time.now
      let error = #expect(throws: FailureReport.self) { try join(1, .address(freshRendezvous()), seconds: 600) }
      #expect(
        error?.message.contains("cannot be reached") == true && error?.message.contains("for 599.") == true,
        "\(String(describing: error))")
      #expect((595 * Clock.second...600 * Clock.second).contains(time.now - start))
    }

    @Test func ranksAreWaitedForByTheClock() {
      let start = time.now
      let error = #expect(throws: FailureReport.self) { try join(0, .address(freshRendezvous()), seconds: 60) }
      #expect(error?.message.contains("rank 1 of 2 has not joined") == true, "\(String(describing: error))")
      #expect(
        error?.message.contains("within 60 s") == true && time.now - start >= 60 * Clock.second,
        "\(String(describing: error))")
    }

    @Test func aStoreIsWaitedForByTheClock() {
      let error = #expect(throws: FailureReport.self) { try join(1, .store(SilentStore(), key: "k"), seconds: 60) }
      #expect(
        error?.message.contains("has left no address") == true && error?.message.contains("within 60.2 s") == true,
        "\(String(describing: error))")
    }

    /// Whoever finds a rank gone may say so to rank 0 before that rank's own reason has come.
    @Test func theReasonOfARankThatGaveUpCountsMoreThanItsLoss() throws {
      let (rendezvous, clock) = (freshRendezvous(), time.standing)
      let results = try runRanks(0..<4) { rank throws(FailureReport) in
        let meeting = try Meeting.attend(
          identity: identity(rank, 4, rendezvous), secret: testSecret, offers: [],
          deadline: clock.now() + 600 * Clock.second, clock: clock)
        switch rank {
        case 1:
          Clock.pause(100 * Clock.millisecond)
          throw meeting.refuse(FailureReport(.resources, rank: 1, peer: 1, "no memory"))
        case 2: throw meeting.refuse(FailureReport(.peerLost, rank: 2, peer: 1, "it is gone"))
        default: return try meeting.begin()
        }
      }
      for (rank, result) in results {
        let error = #expect(throws: FailureReport.self) { try result.get() }
        #expect(error?.message == "no memory", "rank \(rank): \(String(describing: error))")
      }
    }

    /// While time stands still, so does the wait for a cause; the ranks talk to each other all the same.
    @Test func aCauseIsWaitedForByTheClock() throws {
      let group = try TestGroup(3, clock: time.standing)
      defer { group.leave() }
      let otherwise = FailureReport(.transport, rank: 2, peer: 1, "reset")
      let found = Lock<FailureReport?>(nil)
      let member = group.members[2]
      try startDetachedThread("loss") {
        let cause = member.causeOfLoss(of: 1, otherwise: otherwise)
        found.withLock { $0 = cause }
      }
      Clock.pause(300 * Clock.millisecond)
      #expect(found.withLock { $0 } == nil)
      time.advance(200 * Clock.millisecond)
      #expect(Clock.wait(until: Patience.deadline(seconds: 5)) { found.withLock { $0 } != nil })
      #expect(found.withLock { $0 } === otherwise)
    }
  }
}
