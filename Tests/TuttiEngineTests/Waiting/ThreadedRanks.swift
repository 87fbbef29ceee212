import CTuttiKernels
import TuttiSchedule
import TuttiSystem
import TuttiTransport

@testable import TuttiEngine

/// Two ranks whose links and threads are real: for what the simulation's one thread cannot show.
final class ThreadedRank: EngineDelegate, LinkSource, @unchecked Sendable {
  // @unchecked: `engineStorage` and `other` are set before any thread is started.

  let rank: Int
  private var engineStorage: Engine?
  private weak var other: ThreadedRank?
  private let arrivals = LinkArrivals()

  var engine: Engine { engineStorage! }

  private init(rank: Int) { self.rank = rank }

  /// Makes both, with the link between them.
  static func makePair(seed: UInt64) throws -> [ThreadedRank] {
    let doorbells = (try Doorbell(), try Doorbell())
    let links = try InProcessLink.makePair(
      rankA: 0, rankB: 1, doorbells: doorbells, segmentBytesMax: 256, faults: InProcessFaults(seed: seed))
    let ranks = [ThreadedRank(rank: 0), ThreadedRank(rank: 1)]
    for (rank, doorbell) in zip(ranks, [doorbells.0, doorbells.1]) {
      rank.other = ranks[1 - rank.rank]
      rank.arrivals.add(rank.rank == 0 ? links.0 : links.1)
      rank.engineStorage = Engine(
        rank: rank.rank, rankCount: 2, doorbell: doorbell, isOversubscribed: true, processors: nil, links: rank,
        planner: RankPlanner(rank: rank.rank, rankCount: 2), delegate: rank)
    }
    return ranks
  }

  func close() {
    engine.abort(FailureReport(.closed, rank: rank, "closed"))
    engine.close()
    engineStorage = nil
  }

  /// Starts a sum over both ranks, in place.
  func start(_ memory: UnsafeMutablePointer<UInt32>, count: Int) throws(FailureReport) -> UInt64 {
    try engine.begin(
      Request(
        key: PlanKey(
          collective: .allReduce, algorithm: SimulatedPlans.algorithms(.allReduce, rankCount: 2)[0],
          dataType: SimulatedPlans.dataType, inPlace: true, count: UInt64(count)),
        reduction: ReductionTable.shared.find(UInt8(TUTTI_SUM), dataType: SimulatedPlans.dataType)!, elementBytes: 4,
        input: UnsafeRawPointer(memory), output: UnsafeMutableRawPointer(memory),
        limit: TimeLimit(nanoseconds: 600_000_000_000)), owner: nil
    ).number
  }

  func openLink(to peer: Int, deadline: UInt64, giveUp: () -> FailureReport?) throws(FailureReport) {}
  func takeLinks() -> [Link] { arrivals.take() }
  func absence(of peer: Int) -> FailureReport? { nil }
  func cause(of loss: FailureReport) -> FailureReport { loss }
  func diagnose(_ call: AwaitedCall, until deadline: UInt64) -> FailureReport? { nil }
  func report(_ cause: FailureReport) -> FailureReport {
    other?.engineStorage?.abort(cause)
    return cause
  }
  func revokeMemory() { other?.engineStorage?.awaitAbort() }
  func describe(_ call: CallRecord) -> CallDescription { CallDescription("a call", identity: 1) }
  func askCall(of peer: Int, operationNumber: UInt64) -> CallDescription? { nil }
  func describeElements(dataType: UInt8, count: UInt64) -> String { "elements" }
}
