import TuttiAlgorithms
import TuttiEngine
import TuttiSchedule
import TuttiSystem
import TuttiTransport

/// The check of `TUTTI_CHECK=strict`: before each operation all ranks tell each other what they are about to call, so that a
/// mismatch leaves every buffer untouched.
///
/// Without it a mismatch is found in the first segment that arrives, before any rank completes, but buffers are then
/// unspecified. The check is an all-reduce of three words a rank, by sum: every rank fills in its own words and leaves
/// the others' zero.
final class StrictCheck: Sendable {
  private let member: CommunicatorMember
  /// How many words each rank fills in.
  private static let wordCount = 3
  /// For each rank: the call but for the algorithm, its count, and the algorithm.
  private let words: Lock<TuttiBuffer<Int64>>

  init(_ member: CommunicatorMember) {
    self.member = member
    words = Lock(TuttiBuffer(count: StrictCheck.wordCount * member.rankCount, repeating: 0))
  }

  /// Returns once all ranks have said that they are about to make the same call.
  ///
  /// - Throws: `.mismatch`, the same on every rank, naming the first rank that differs from rank 0 and both calls; it is
  ///   reported then, so that no rank waits in the all-reduce of this check any more.
  func agree(on request: borrowing Request, of communicator: Communicator) throws(FailureReport) {
    let call = CallRecord(request.key, algorithm: 0, operation: request.operationNumber)
    let algorithm = member.planner.policy.catalog.identifier(request.key.collective, number: request.key.algorithm)
    // In an all-to-all with counts of its own for each rank, the ranks' counts rightly differ.
    let (count, limit) = (request.key.isExchange ? PlanKey.digest(ofBlocks: []) : request.key.count, request.limit)
    try words.withLock { words throws(FailureReport) in
      for index in 0..<words.count { words[index] = 0 }
      let own = StrictCheck.wordCount * member.rank
      words[own] = Int64(bitPattern: call.packed)
      words[own + 1] = Int64(bitPattern: count)
      words[own + 2] = Int64(bitPattern: algorithm.rawValue)
      var request = try communicator.request(
        CollectiveCall(collective: .allReduce, input: words.rawMemory, output: words.rawMemory))
      request.limit = limit
      try member.engine.run(request)
      for rank in 1..<member.rankCount {
        for word in 0..<StrictCheck.wordCount where words[StrictCheck.wordCount * rank + word] != words[word] {
          throw disagreement(words, rank)
        }
      }
    }
  }

  private func disagreement(_ words: TuttiBuffer<Int64>, _ other: Int) -> FailureReport {
    let calls = [0, other].map { rank -> String in
      let first = StrictCheck.wordCount * rank
      let call = CallRecord(packed: UInt64(bitPattern: words[first]), count: UInt64(bitPattern: words[first + 1]))
      let algorithm = AlgorithmIdentifier(rawValue: UInt64(bitPattern: words[first + 2]))
      return member.describe(
        call, algorithm: call.collective.map { member.planner.policy.catalog.name($0, algorithm) } ?? "")
    }
    return member.giveUp(
      FailureReport(
        .mismatch, rank: member.rank, peer: other,
        "ranks disagree about their next operation: rank 0 called \(calls[0]), rank \(other) called \(calls[1]); "
          + "no buffer was touched",
        advice: "Every rank must make the same calls in the same order, with equal count, type and operation"))
  }
}
