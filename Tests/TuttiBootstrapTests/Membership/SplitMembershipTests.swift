import Patience
import TuttiSystem
import TuttiTransport
import CTuttiLinux
import Glibc
import Testing

@testable import TuttiBootstrap

/// Memberships made from others, whose ranks already know and trust each other.
extension OverSockets {
  @Suite(.serialized) struct SplitMembershipTests {
    /// Makes all ranks' offers, and forms the communicator of `ranks`. Results are by rank of the parent. What `instead`
    /// does for a rank is done instead of its part.
    private func split(
      _ group: TestGroup, _ ranks: [Int], seconds: Double = 10, absent: Set<Int> = [],
      instead: @escaping @Sendable (_ rank: Int, [SplitPlace]) -> Void = { _, _ in }
    ) throws -> [Int: Result<Membership, FailureReport>] {
      let offers = Offers(try ranks.map { try group.members[$0].makeSplitOffer() })
      let places = offers.all.map(\.place)
      return try runRanks(ranks, seconds: 90) { rank throws(FailureReport) in
        if absent.contains(rank) {
          offers.all[ranks.firstIndex(of: rank)!].close()
          instead(rank, places)
          throw .missing
        }
        return try group.members[rank].split(
          offers.all[ranks.firstIndex(of: rank)!], ranks: ranks, places: places,
          deadline: Patience.deadline(seconds: seconds))
      }
    }

    /// Each offer is used by its rank's thread alone.
    private struct Offers: @unchecked Sendable {
      let all: [SplitOffer]

      init(_ all: [SplitOffer]) { self.all = all }
    }

    private static func failure<Value>(_ result: Result<Value, FailureReport>?) -> FailureReport? {
      guard case .failure(let error)? = result else { return nil }
      return error
    }

    /// What peers close, they close on their own threads.
    private func expectDescriptors(_ count: Int) {
      #expect(
        Clock.wait(until: Patience.deadline(seconds: 5)) { openDescriptorCount() <= count },
        "\(openDescriptorCount()) descriptors, \(count) before")
    }

    @Test func ranksAreNumberedAnewAndFailApart() throws {
      let parent = try TestGroup(6)
      let descriptors = openDescriptorCount()
      for ranks in [[0], [4], [1, 0], [5, 3, 1], [5, 4, 3, 2, 1, 0]] {
        let results = try split(parent, ranks)
        let members = try ranks.map { try results[$0]!.get() }
        let recorders = members.map { _ in Recorder() }
        for (member, recorder) in zip(members, recorders) { member.activate(recorder.handlers) }
        for (rank, member) in members.enumerated() {
          #expect(member.rank == rank && member.rankCount == ranks.count && member.communicator == members[0].communicator)
          #expect(member.members.map(\.rank) == Array(ranks.indices))
          #expect(member.communicator != parent.members[0].communicator)
        }
        if ranks.count > 1 {
          let dialed = try members[1].connect(
            to: 0, for: testTransport, over: .network, deadline: Patience.deadline(seconds: 5))
          _ = consume dialed
          let accepted = try #require(recorders[0].awaitConnection())
          #expect(accepted.peer == 1)
        }
        members[ranks.count - 1].report(FailureReport(.aborted, rank: ranks.count - 1, "in the child"))
        for recorder in recorders { #expect(ranks.count == 1 || recorder.awaitFailure()?.message == "in the child") }
        for member in members { member.leave() }
      }
      for recorder in parent.recorders { #expect(recorder.failures.withLock { $0.isEmpty }) }
      expectDescriptors(descriptors)
      parent.leave()
    }

    /// Who knows the secret, but asks for another communicator, is a stranger to this one.
    @Test func anotherCommunicatorsRanksAreRefused() throws {
      let parent = try TestGroup(3)
      defer { parent.leave() }
      let results = try split(parent, [0, 1, 2])
      let members = try (0..<3).map { try results[$0]!.get() }
      defer { for member in members { member.leave() } }
      let impostor = Membership(
        rank: 2, members: members[0].members, communicator: parent.members[0].communicator, secret: testSecret, service: nil)
      let error = #expect(throws: FailureReport.self) {
        _ = try impostor.connect(to: 0, for: testTransport, over: .network, deadline: Patience.deadline(seconds: 5))
      }
      #expect(error?.message.contains("does not have this communicator") == true, "\(error?.description ?? "")")
    }

    /// One rank cannot go on. All others hear of it long before the deadline, also those that have no edge to it and those
    /// that were done.
    @Test(arguments: [0, 1, 2, 5])
    func oneRanksFailureReachesAll(victim: Int) throws {
      let parent = try TestGroup(6)
      defer { parent.leave() }
      let descriptors = openDescriptorCount()
      let start = monotonicNanoseconds()
      let results = try split(parent, Array(0..<6), seconds: 60, absent: [victim]) { rank, places in
        Clock.pause(20 * Clock.millisecond)
        parent.members[rank].makeChild(ranks: Array(0..<6), places: places).giveUp(
          FailureReport(.resources, rank: rank, "nothing is left"))
      }
      for rank in 0..<6 where rank != victim {
        let error: FailureReport
        switch results[rank]! {
        case .failure(let failure):
          error = failure
        case .success(let member):
          _ = Clock.wait(until: Patience.deadline(seconds: 5)) { member.firstCause != nil }
          error = member.firstCause ?? .missing
          member.leave()
        }
        // Who dials the victim may find out before it hears.
        #expect([.resources, .peerLost].contains(error.code), "rank \(rank): \(error)")
      }
      #expect(monotonicNanoseconds() - start < 20 * UInt64(Patience.factor) * Clock.second)
      for member in parent.members { #expect(member.firstCause == nil) }
      expectDescriptors(descriptors)
    }

    @Test func aRankThatDoesNotComeIsNamed() throws {
      let parent = try TestGroup(4)
      defer { parent.leave() }
      let descriptors = openDescriptorCount()
      let results = try split(parent, [0, 1, 2, 3], seconds: 0.5, absent: [3])
      let error = try #require(Self.failure(results[1]))
      #expect(error.code == .timeout && error.peer == 3, "\(error)")
      // These have their own edges, and learn from rank 1 what became of it.
      for rank in [0, 2] { try results[rank]!.get().leave() }
      for member in parent.members { #expect(member.firstCause == nil) }
      expectDescriptors(descriptors)
    }

    /// When the communicator that is being split fails, nobody waits for the deadline.
    @Test func aFailureOfTheParentEndsIt() throws {
      let parent = try TestGroup(4)
      defer { parent.leave() }
      let start = monotonicNanoseconds()
      let results = try split(parent, [0, 1, 2, 3], seconds: 60, absent: [3]) { rank, _ in
        Clock.pause(50 * Clock.millisecond)
        parent.members[rank].report(FailureReport(.aborted, rank: rank, "no time for that"))
      }
      #expect(Self.failure(results[1])?.message == "no time for that")
      #expect(monotonicNanoseconds() - start < 10 * UInt64(Patience.factor) * Clock.second)
    }
  }
}
