import CTuttiAllocations
import Glibc
import Patience
import Testing
import TuttiSystem

@testable import TuttiBootstrap

extension OverSockets {
  /// What a rank sends, hears and keeps so that it is in a job grows with the number of ranks by nothing but the table of
  /// ranks, in which each has a short row. Rank 0 says a little to everyone.
  @Suite(.serialized) struct JoinSizeTests {
    /// What a job has cost whose ranks are threads of this process.
    private struct Cost: CustomStringConvertible {
      let rankCount: Int
      /// Bytes of the table of ranks, as it travels.
      let table: Int
      /// By rank: what it has sent, and what has come, so that the job came together.
      let sent: [Int]
      let received: [Int]
      /// Bytes of the heap for each rank.
      let heap: Int

      var description: String {
        "\(rankCount) ranks, a table of \(table) bytes, most sent \(sent.max() ?? 0) (rank 0 \(sent[0])), "
          + "most received \(received.max() ?? 0) (rank 0 \(received[0])), heap \(heap)"
      }
    }

    private func cost(_ rankCount: Int) throws -> Cost {
      let rendezvous = freshRendezvous()
      let before = tutti_heap_bytes()
      let joined = try runRanks(0..<rankCount, seconds: 60) { rank throws(FailureReport) in
        let meeting = try Meeting.attend(
          identity: identity(rank, rankCount, rendezvous), secret: testSecret, offers: testOffers,
          deadline: Patience.deadline(seconds: 50))
        return (try meeting.begin(), meeting.traffic)
      }
      let ranks = try (0..<rankCount).map { try joined[$0]!.get() }
      let heap = Int(tutti_heap_bytes()) - Int(before)
      defer { for (membership, _) in ranks { membership.leave() } }
      let traffic = ranks.map { membership, meeting in meeting + membership.traffic }
      return Cost(
        rankCount: rankCount, table: RendezvousMessage.table(ranks[0].0.members).bytes.count,
        sent: traffic.map(\.bytesSent), received: traffic.map(\.bytesReceived), heap: heap / rankCount)
    }

    @Test func onlyTheTableGrows() throws {
      _ = try cost(2)
      let (few, many) = (try cost(32), try cost(256))
      print("JoinSizeTests: \(few); \(many)")
      let more = many.rankCount - few.rankCount
      #expect(many.table - few.table == more * MemberTable.rowBytes)
      for cost in [few, many] {
        // To rank 0 a request, from it a parent; the table from the parent, and to two children.
        #expect(cost.received[1...].allSatisfy { $0 <= cost.table + 1024 }, "\(cost)")
        #expect(cost.sent[1...].allSatisfy { $0 <= 2 * cost.table + 1024 }, "\(cost)")
        #expect(cost.sent[0] <= 2 * cost.table + 1024 * cost.rankCount, "\(cost)")
      }
      // The sanitizers' allocators are not asked.
      if few.heap > 0 {
        #expect(many.heap - few.heap < more * (MemoryLayout<MemberRecord>.stride + 16), "\(few); \(many)")
      }
    }
  }
}
