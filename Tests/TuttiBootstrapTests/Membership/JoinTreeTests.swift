import Glibc
import Patience
import Testing
import TuttiSystem
import TuttiTransport

@testable import TuttiBootstrap

extension OverSockets {
  /// The table of ranks comes down the control tree: what happens to those below a rank that does not pass it on.
  @Suite(.serialized) struct JoinTreeTests {
    @Test(arguments: [0, 1, 2, 4, 6]) func theReasonOfARankThatRefusesReachesAll(_ refusing: Int) throws {
      let rendezvous = freshRendezvous()
      let results = try runRanks(0..<7) { rank throws(FailureReport) in
        try Membership.join(
          identity: identity(rank, 7, rendezvous), secret: testSecret, offers: testOffers,
          deadline: Patience.deadline(seconds: 10)
        ) { members throws(FailureReport) in
          if rank == refusing { throw FailureReport(.resources, rank: rank, "no memory for \(members.count)") }
        }
      }
      for (rank, result) in results {
        let error = #expect(throws: FailureReport.self) { try result.get() }
        #expect(error?.message == "no memory for 7", "rank \(rank): \(String(describing: error))")
      }
    }

    @Test(arguments: [1, 2, 5]) func aRankThatEndsWithTheTableIsNamed(_ ending: Int) throws {
      let rendezvous = freshRendezvous()
      let results = try runRanks(0..<7) { rank throws(FailureReport) -> Int in
        let meeting = try Meeting.attend(
          identity: identity(rank, 7, rendezvous), secret: testSecret, offers: testOffers,
          deadline: Patience.deadline(seconds: 10))
        // What it has is closed with its meeting.
        return rank == ending ? rank : try meeting.begin().rank
      }
      for (rank, result) in results where rank != ending {
        let error = #expect(throws: FailureReport.self) { try result.get() }
        #expect(error?.code == .peerLost && error?.peer == ending, "rank \(rank): \(String(describing: error))")
      }
    }

    /// What a rank's parent may say instead of the table, and what the rank makes of it.
    enum Nonsense: CaseIterable {
      case anotherMessage, tooFewRanks, noFrame, nothingMore

      var bytes: [UInt8] {
        func frame(_ content: [UInt8]) -> [UInt8] { [UInt8(content.count), 0, 0, 0] + content }
        switch self {
        case .anotherMessage: return frame(RendezvousMessage.begin.bytes)
        case .tooFewRanks: return frame(RendezvousMessage.table([]).bytes)
        case .noFrame: return [0xFF, 0xFF, 0xFF, 0xFF]
        case .nothingMore: return []
        }
      }

      var complaint: String {
        switch self {
        case .anotherMessage, .tooFewRanks: "sent something other than the table of ranks"
        case .noFrame, .nothingMore: "ended while the ranks were joining"
        }
      }
    }

    @Test(arguments: Nonsense.allCases) func nonsenseOfTheParentIsNamed(_ nonsense: Nonsense) throws {
      let (toParent, parent) = try pair()
      let (toRankZero, rankZero) = try pair()
      let guest = RendezvousGuest(
        identity: identity(3, 4, freshRendezvous()), secret: testSecret,
        connection: FramedConnection(peer: 0, toRankZero.take(), frameBytesMax: 1 << 10, clock: .system),
        deadline: Patience.deadline(seconds: 5), clock: .system)
      let edge = FramedConnection(peer: 1, toParent.take(), frameBytesMax: 1 << 10, clock: .system)
      #expect(write(parent.raw, nonsense.bytes, nonsense.bytes.count) == nonsense.bytes.count)
      #expect(shutdown(parent.raw, Int32(SHUT_WR)) == 0)
      let record = MemberRecord(
        facts: RankFacts(rank: 1, process: .current(), host: .current(), abilities: .current(), offers: []), addresses: [],
        listenerNumber: .random(), processors: .current())
      let error = #expect(throws: FailureReport.self) { _ = try guest.receiveTable(over: edge, from: record) }
      #expect(error?.peer == 1 && error?.message.contains(nonsense.complaint) == true, "\(String(describing: error))")
      _ = rankZero
    }

    private func pair() throws -> (PassedConnection, PassedConnection) {
      var ends: [Int32] = [-1, -1]
      try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0, &ends) == 0)
      return (PassedConnection(Connection(OwnedDescriptor(ends[0]))), PassedConnection(Connection(OwnedDescriptor(ends[1]))))
    }
  }
}
