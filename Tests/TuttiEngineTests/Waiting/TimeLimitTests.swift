import CTuttiKernels
import Synchronization
import Testing
import TuttiSchedule
import TuttiSystem
import TuttiTransport

@testable import TuttiEngine

/// The limits of calls, under a clock that the test moves: an engine of two ranks whose other rank never comes.
struct TimeLimitTests {
  /// Time that passes by 10 ms at each look.
  final class FakeTime: Sendable {
    let nanoseconds = Atomic<UInt64>(1)
    /// A stop of the process that is to come: when, and how long.
    let stop: (at: UInt64, length: UInt64)?

    /// What ends a wait that no limit ends, so that the test fails instead of hanging.
    let giveUp = Lock<(@Sendable () -> Void)?>(nil)
    private static let giveUpAt: UInt64 = 1_000_000_000_000

    init(stop: (at: UInt64, length: UInt64)? = nil) { self.stop = stop }

    func read() -> UInt64 {
      let now = nanoseconds.wrappingAdd(10_000_000, ordering: .relaxed).newValue
      if now > Self.giveUpAt { giveUp.withLock { $0 }?() }
      guard let stop, now >= stop.at else { return now }
      return now + stop.length
    }
  }

  final class LonelyDelegate: EngineDelegate, LinkSource {
    let time: FakeTime
    /// When the other rank was asked; and what failed.
    let asked = Lock<[UInt64]>([])
    let linkDelay: UInt64
    private let arrivals = LinkArrivals()

    /// - Parameters:
    ///   - linkDelay: How long opening a link takes.
    ///   - link: The link to the other rank, where there is one.
    init(_ time: FakeTime, linkDelay: UInt64 = 0, link: Link? = nil) {
      self.time = time
      self.linkDelay = linkDelay
      if let link { arrivals.add(link) }
    }

    func openLink(to peer: Int, deadline: UInt64, giveUp: () -> FailureReport?) throws(FailureReport) {
      time.nanoseconds.wrappingAdd(linkDelay, ordering: .relaxed)
    }
    func takeLinks() throws(FailureReport) -> [Link] { arrivals.take() }
    func absence(of peer: Int) -> FailureReport? { nil }
    func cause(of loss: FailureReport) -> FailureReport { loss }
    func diagnose(_ call: AwaitedCall, until deadline: UInt64) -> FailureReport? {
      asked.withLock { $0.append(time.nanoseconds.load(ordering: .relaxed)) }
      return FailureReport(.timeout, rank: 1, peer: call.peer, "asked in time")
    }
    func report(_ cause: FailureReport) -> FailureReport { cause }
    func revokeMemory() {}
    func describe(_ call: CallRecord) -> String { "a call" }
    func askCall(of peer: Int, operationNumber: UInt64) -> String? { nil }
    func describeElements(dataType: UInt8, count: UInt64) -> String { "elements" }
  }

  /// Runs an all-reduce with a limit of 60 s that cannot end. Returns the failure, when it was thrown and when the
  /// other rank was asked.
  private func wait(
    _ time: FakeTime, linkDelay: UInt64 = 0
  ) throws -> (failure: FailureReport, end: UInt64, asked: [UInt64]) {
    let delegate = LonelyDelegate(time, linkDelay: linkDelay)
    let engine = Engine(
      rank: 1, rankCount: 2, doorbell: try Doorbell(), isOversubscribed: true, processors: nil,
      clock: MonotonicClock({ time.read() }, pause: { _ in Clock.pause(100_000) }), links: delegate,
      planner: RankPlanner(rank: 1, rankCount: 2),
      delegate: delegate)
    time.giveUp.withLock { $0 = { [unowned engine] in engine.abort(FailureReport(.aborted, "no limit has ended it")) } }
    defer { engine.close() }
    var memory: UInt32 = 1
    let failure = withUnsafeMutablePointer(to: &memory) { memory -> FailureReport? in
      let reduction = ReductionTable.shared.find(UInt8(TUTTI_SUM), dataType: SimulatedPlans.dataType)!
      do throws(FailureReport) {
        try engine.run(
          Request(
            key: PlanKey(
              collective: .allReduce, algorithm: SimulatedPlans.algorithms(.allReduce, rankCount: 2)[0],
              dataType: SimulatedPlans.dataType, inPlace: true, count: 1),
            reduction: reduction, elementBytes: 4, input: memory, output: memory,
            limit: TimeLimit(nanoseconds: 60_000_000_000)))
        return nil
      } catch { return error }
    }
    return (try #require(failure), time.nanoseconds.load(ordering: .relaxed), delegate.asked.withLock { $0 })
  }

  /// The other ranks are asked before the time is over, once, and the answer is what is thrown.
  @Test func peersAreAskedBeforeTheEnd() throws {
    let (failure, end, asked) = try wait(FakeTime())
    #expect(failure.code == .timeout && failure.message == "asked in time" && failure.peer == 0)
    #expect(asked.count == 1)
    #expect((58_000_000_000...60_000_000_000).contains(asked.first ?? 0), "asked at \(asked)")
    #expect((60_000_000_000..<61_000_000_000).contains(end), "thrown at \(end)")
  }

  /// Opening links is a part of the call.
  @Test func openingLinksCounts() throws {
    let (_, end, _) = try wait(FakeTime(), linkDelay: 40_000_000_000)
    #expect((60_000_000_000..<61_000_000_000).contains(end), "thrown at \(end)")
  }

  /// Time in which the process was stopped does not count.
  @Test func stoppedTimeDoesNotCount() throws {
    let time = FakeTime(stop: (at: 30_000_000_000, length: 3_600_000_000_000))
    let (failure, end, _) = try wait(time)
    #expect(failure.code == .timeout)
    #expect((60_000_000_000..<61_000_000_000).contains(end), "thrown at \(end), without the hour")
  }
}
