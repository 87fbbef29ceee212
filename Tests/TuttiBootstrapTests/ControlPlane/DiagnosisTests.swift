import Patience
import TuttiSystem
import TuttiTransport
import Testing

@testable import TuttiBootstrap

/// Who is blamed, by what the ranks answer.
@Suite struct DiagnosisTests {
  func find(
    waitingFor: Int = 1, number: UInt64 = 17, others: Diagnosis.Reply? = nil, trouble: String = "",
    _ replies: [Int: Diagnosis.Reply]
  ) -> FailureReport? {
    Diagnosis(
      rank: 0, rankCount: 8,
      wait: ExpiredWait(
        operationNumber: number, operation: "all-reduce sum", identity: 1, waitingFor: waitingFor, timeoutSeconds: 30,
        step: 2, transport: "tcp", trouble: trouble),
      deadline: Patience.deadline(seconds: 5), clock: .system, describe: { "rank \($0)" },
      ask: { replies[$0] ?? others ?? .silent($0) }
    ).findCause()
  }

  func inside(_ number: UInt64, waitingFor: Int, _ operation: String = "all-reduce sum") -> Diagnosis.Reply {
    .status(RankStatus(entered: number, completed: number - 1, waitingFor: waitingFor, operation: operation))
  }

  func idle(_ completed: UInt64) -> Diagnosis.Reply {
    .status(RankStatus(entered: completed, completed: completed, operation: "all-reduce sum"))
  }

  @Test func aSilentRankIsNamed() {
    let report = find([:])
    #expect(report?.code == .timeout && report?.peer == 1)
    #expect(report?.message == "timed out after 30 s waiting for rank 1: rank 1 does not answer")
    #expect(report?.operationNumber == 17 && report?.step == 2 && report?.transport == "tcp")
  }

  /// Whoever sends what does not arrive is named; a rank that does not even answer has other troubles.
  @Test func packetsThatDoNotGetThroughAreNamed() {
    let trouble = "has sent a packet of 8948 bytes to rank 1 5 times unacknowledged"
    let own = find(trouble: trouble, [1: inside(17, waitingFor: 0)])
    #expect(
      own?.message.contains("rank 0 \(trouble), while smaller packets get through") == true, "\(String(describing: own))")
    #expect(own?.code == .timeout && own?.peer == 1 && own?.advice.contains("MTU") == true)
    let told = RankStatus(entered: 17, completed: 17, operation: "all-reduce sum", trouble: trouble)
    #expect(find([1: .status(told)])?.message.contains("rank 1 \(trouble)") == true)
    #expect(find(trouble: trouble, [:])?.message.contains("rank 1 does not answer") == true)
  }

  @Test func theChainIsFollowedToTheSilentOne() {
    let report = find([1: inside(17, waitingFor: 2), 2: inside(17, waitingFor: 3), 3: .silent(5)])
    #expect(report?.peer == 5)
    #expect(report?.message.contains("rank 5 does not answer; rank 2 waits for rank 3") == true)
  }

  @Test func theRankThatHasNotCalledIsNamed() {
    let report = find([1: inside(17, waitingFor: 3), 3: idle(16)])
    #expect(report?.peer == 3)
    #expect(
      report?.message.contains("rank 3 has not called operation 17 (all-reduce sum); it last completed operation 16") == true
    )
    #expect(find([1: idle(0)])?.message.contains("it has completed none") == true)
  }

  @Test func anEarlierOperationIsFollowed() {
    let report = find([1: inside(16, waitingFor: 4), 4: idle(15)])
    #expect(report?.peer == 4)
    #expect(report?.message.contains("has not called operation 16; it last completed operation 15") == true)
  }

  /// Whether the other is still in that call, or has gone on.
  @Test(arguments: [17, 18, 19] as [UInt64])
  func bothCallsAreNamedWhenTheyDiffer(entered: UInt64) {
    var status = RankStatus(entered: entered, completed: entered == 18 ? 18 : 16, waitingFor: 0, operation: "barrier")
    status.asked = CallDescription("barrier", identity: 2)
    let report = find([1: .status(status)])
    #expect(report?.code == .mismatch && report?.peer == 1)
    #expect(report?.message.contains("operation 17 is barrier, here it is all-reduce sum") == true)
  }

  /// Ranks may describe one call in different words.
  @Test func wordsMakeNoDifference() {
    var status = RankStatus(entered: 17, completed: 16, waitingFor: 0, operation: "all-reduce su")
    status.asked = CallDescription("all-reduce su", identity: 1)
    #expect(find(others: inside(17, waitingFor: 0), [1: .status(status)])?.code == .timeout)
  }

  @Test func theEndOfTheChainIsNamed() {
    let others = inside(17, waitingFor: 0)
    #expect(find(others: others, [1: inside(17, waitingFor: 2), 2: inside(17, waitingFor: -1)])?.peer == 2)
    #expect(find(others: others, [1: inside(17, waitingFor: 2), 2: inside(17, waitingFor: 1)])?.peer == 2)
    #expect(find(others: others, [1: inside(17, waitingFor: 0)])?.peer == 1)
    #expect(find(others: others, [1: inside(17, waitingFor: 99)])?.peer == 1)
  }

  @Test func whereTheChainBlamesNobodyTheOthersAreAsked() {
    let others = inside(17, waitingFor: 0)
    let chain = [1: inside(17, waitingFor: 2), 2: inside(17, waitingFor: 1)]
    #expect(find(others: others, chain.merging([6: idle(16)]) { $1 })?.peer == 6)
    #expect(find(others: others, chain.merging([6: .silent(4)]) { $1 })?.peer == 4)
    #expect(find(others: others, chain.merging([6: .overtaken]) { $1 }) == nil)
    // One that has left is named only when there is nobody else.
    #expect(find(others: others, chain.merging([5: .left(5), 6: idle(16)]) { $1 })?.peer == 6)
    #expect(find(others: others, chain.merging([5: .left(5)]) { $1 })?.peer == 5)
    #expect(find(waitingFor: -1, others: others, [6: idle(16)])?.peer == 6)
  }

  @Test func ranksThatLeftOrAreDoneAreNamed() {
    #expect(find([1: .left(1)])?.message.contains("has closed the communicator") == true)
    #expect(find(others: idle(17), [:])?.message.contains("has completed operation 17") == true)
    #expect(find([1: .overtaken]) == nil)
    #expect(find(waitingFor: -1, others: inside(17, waitingFor: 0), [:])?.peer == -1)
  }

  @Test func inProcessRanksFailTogether() {
    let planes = InProcessControlPlane.makeGroup(rankCount: 4)
    let recorders = planes.map { _ in Recorder() }
    for (plane, recorder) in zip(planes, recorders) { plane.activate(recorder.handlers) }
    planes[3].leave()
    planes[2].kill()
    planes[0].report(FailureReport(.aborted, "later"))
    for rank in 0..<3 {
      #expect(planes[rank].firstCause?.peer == 2 && planes[rank].firstCause?.code == .peerLost)
      #expect(recorders[rank].failures.withLock { $0.count } == 1)
    }
    #expect(planes[3].firstCause == nil && recorders[3].failures.withLock { $0.isEmpty })
    #expect(planes[1].causeOfLoss(of: 2, otherwise: .missing).peer == 2)
  }

  @Test func inProcessTimeoutsAreDiagnosed() {
    let wait = ExpiredWait(operationNumber: 5, operation: "barrier", waitingFor: 1, timeoutSeconds: 1)
    let planes = InProcessControlPlane.makeGroup(rankCount: 3)
    let recorders = planes.map { _ in Recorder() }
    for (plane, recorder) in zip(planes, recorders) { plane.activate(recorder.handlers) }
    recorders[1].status.withLock { $0 = RankStatus(entered: 5, completed: 4, waitingFor: 2, operation: "barrier") }
    planes[2].freeze()
    #expect(planes[0].failAtTimeout(wait).peer == 2)
    #expect(recorders[1].awaitFailure()?.message.contains("rank 2 does not answer") == true)
  }

  @Test func inProcessDeparturesExplainLosses() {
    let planes = InProcessControlPlane.makeGroup(rankCount: 2)
    let otherwise = FailureReport(.transport, rank: 0, peer: 1, "reset")
    #expect(planes[0].causeOfLoss(of: 1, otherwise: otherwise) === otherwise)
    planes[1].leave()
    #expect(planes[0].causeOfLoss(of: 1, otherwise: otherwise).message.contains("closed its communicator"))
  }
}
