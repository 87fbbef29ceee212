import TuttiEngine
import TuttiSchedule
import TuttiSystem
import TuttiTransport

/// `TUTTI_CHECK=strict`: before each operation all ranks tell each other which one they mean, so that a mismatch
/// leaves every buffer untouched.
///
/// Without it a mismatch is found in the first segment that arrives, before any rank completes, but buffers are then
/// unspecified. The check is an all-reduce of two words a rank, by sum: every rank fills in its own words and leaves
/// the others' zero.
final class StrictCheck: Sendable {
  private let member: CommunicatorMember
  /// `rankCount` pairs: the call, and its count.
  private let words: Lock<TuttiBuffer<Int64>>

  init(_ member: CommunicatorMember) {
    self.member = member
    words = Lock(TuttiBuffer(count: 2 * member.rankCount, repeating: 0))
  }

  /// Returns once all ranks have said that they are about to make the same call.
  ///
  /// - Throws: `.mismatch`, the same on every rank, naming the first rank that differs from rank 0 and both calls;
  ///   the communicator is then aborted.
  func agree(on request: borrowing Request, of communicator: Communicator) throws(FailureReport) {
    let call = CallSignature(
      collective: request.key.collectiveNumber, dataType: request.key.dataType, operation: request.operationNumber,
      algorithm: request.key.algorithm, root: Int(request.key.root), operationNumber: 0)
    // In an all-to-all with counts of its own for each rank, every rank rightly says others.
    let (count, limit) = (request.key.isExchange ? PlanKey.digest(ofBlocks: []) : request.key.count, request.limit)
    try words.withLock { words throws(FailureReport) in
      for index in 0..<words.count { words[index] = 0 }
      words[2 * member.rank] = Int64(bitPattern: call.rawValue)
      words[2 * member.rank + 1] = Int64(bitPattern: count)
      var request = try communicator.request(
        CollectiveCall(
          collective: .allReduce, input: words.memory, output: words.mutableMemory, sizes: .each(words.count), type: .int64))
      request.limit = limit
      try member.engine.run(request)
      for rank in 1..<member.rankCount where words[2 * rank] != words[0] || words[2 * rank + 1] != words[1] {
        throw disagreement(words, rank)
      }
    }
  }

  private func disagreement(_ words: TuttiBuffer<Int64>, _ other: Int) -> FailureReport {
    let calls = [0, other].map { rank in
      member.describe(
        CallSignature(rawValue: UInt64(bitPattern: words[2 * rank])), count: UInt64(bitPattern: words[2 * rank + 1]))
    }
    let report = FailureReport(
      .mismatch, rank: member.rank, peer: other,
      "ranks disagree about their next operation: rank 0 called \(calls[0]), rank \(other) called \(calls[1]); no buffer was touched",
      advice: "Every rank must make the same calls in the same order, with equal count, type and operation")
    member.engine.abort(report)
    return report
  }
}
