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
    /// When the other rank was asked what it has called, and what it answers at that time.
    let polled = Lock<[UInt64]>([])
    private let theirCall: @Sendable (UInt64) -> CallDescription?
    private let arrivals = LinkArrivals()

    /// - Parameters:
    ///   - linkDelay: How long opening a link takes.
    ///   - link: The link to the other rank, where there is one.
    ///   - theirCall: What the other rank answers when it is asked for its call, by the time.
    init(
      _ time: FakeTime, linkDelay: UInt64 = 0, link: Link? = nil,
      theirCall: @escaping @Sendable (UInt64) -> CallDescription? = { _ in nil }
    ) {
      self.theirCall = theirCall
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
    func describe(_ call: CallRecord) -> CallDescription { CallDescription("a call", identity: 1) }
    func askCall(of peer: Int, operationNumber: UInt64) -> CallDescription? {
      let now = time.nanoseconds.load(ordering: .relaxed)
      polled.withLock { $0.append(now) }
      return theirCall(now)
    }
    func describeElements(dataType: UInt8, count: UInt64) -> String { "elements" }
  }

  /// Runs an all-reduce with a limit of 60 s that cannot end. Returns the failure, when it was thrown, when the other rank
  /// was asked what it does, and when for its call.
  private func wait(
    _ time: FakeTime, linkDelay: UInt64 = 0, theirCall: @escaping @Sendable (UInt64) -> CallDescription? = { _ in nil }
  ) throws -> (failure: FailureReport, end: UInt64, asked: [UInt64], polled: [UInt64]) {
    let delegate = LonelyDelegate(time, linkDelay: linkDelay, theirCall: theirCall)
    let engine = Engine(
      rank: 1, rankCount: 2, doorbell: try Doorbell(), isOversubscribed: true, processors: nil,
      clock: MonotonicClock({ time.read() }, pause: { _ in Clock.pause(100_000) }),
      // Who asks has the answer at once.
      threads: ThreadStarter { _, body throws(FailureReport) in body() }, links: delegate,
      planner: RankPlanner(rank: 1, rankCount: 2), delegate: delegate)
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
    let end = time.nanoseconds.load(ordering: .relaxed)
    return (try #require(failure), end, delegate.asked.withLock { $0 }, delegate.polled.withLock { $0 })
  }

  @Test("ranks that take turns on a processor are asked later", arguments: [(1, 1), (16, 1), (31, 1), (32, 2), (1024, 64)])
  func crowdedStall(ranksPerProcessor: Int, times: UInt64) {
    #expect(Engine.stallNanoseconds(ranksPerProcessor: ranksPerProcessor) == times * Engine.usualStallNanoseconds)
  }

  /// The other ranks are asked before the time is over, once, and the answer is what is thrown.
  @Test func peersAreAskedBeforeTheEnd() throws {
    let (failure, end, asked, _) = try wait(FakeTime())
    #expect(failure.code == .timeout && failure.message == "asked in time" && failure.peer == 0)
    #expect(asked.count == 1)
    #expect((58_000_000_000...60_000_000_000).contains(asked.first ?? 0), "asked at \(asked)")
    #expect((60_000_000_000..<61_000_000_000).contains(end), "thrown at \(end)")
  }

  /// A rank that waits for a link which nobody opens hears long before its limit that the other is in another call.
  @Test func aRankInAnotherCallIsFoundSoon() throws {
    let (failure, end, _, polled) = try wait(FakeTime()) { _ in CallDescription("another call", identity: 2) }
    #expect(failure.code == .mismatch && failure.peer == 0 && failure.operationNumber == 1)
    #expect(failure.message == "ranks disagree about operation 1: rank 1 called a call, rank 0 called another call")
    #expect(polled.count == 1 && (500_000_000..<1_000_000_000).contains(polled[0]), "asked at \(polled)")
    #expect(end < 1_000_000_000, "thrown at \(end)")
  }

  /// A rank that comes late, to another call, is found then; while it is awaited it is asked ever more rarely.
  @Test func aRankThatIsLateIsAskedRarely() throws {
    let come: UInt64 = 40_000_000_000
    let (failure, end, asked, polled) = try wait(FakeTime()) { now in
      now < come ? nil : CallDescription("another call", identity: 2)
    }
    #expect(failure.code == .mismatch && asked.isEmpty && end > come)
    #expect((5...10).contains(polled.count), "asked at \(polled)")
    #expect(end < come + 9_000_000_000, "thrown at \(end)")
  }

  /// One that is in the same call, and slow, is no reason to give up before the limit.
  @Test func aRankInTheSameCallIsWaitedFor() throws {
    let (failure, end, asked, polled) = try wait(FakeTime()) { _ in CallDescription("in other words", identity: 1) }
    #expect(failure.code == .timeout && asked.count == 1 && (5...12).contains(polled.count), "asked at \(polled)")
    #expect((60_000_000_000..<61_000_000_000).contains(end), "thrown at \(end)")
  }

  /// Opening links is a part of the call.
  @Test func openingLinksCounts() throws {
    let (_, end, _, _) = try wait(FakeTime(), linkDelay: 40_000_000_000)
    #expect((60_000_000_000..<61_000_000_000).contains(end), "thrown at \(end)")
  }

  /// Time in which the process was stopped does not count.
  @Test func stoppedTimeDoesNotCount() throws {
    let time = FakeTime(stop: (at: 30_000_000_000, length: 3_600_000_000_000))
    let (failure, end, _, _) = try wait(time)
    #expect(failure.code == .timeout)
    #expect((60_000_000_000..<61_000_000_000).contains(end), "thrown at \(end), without the hour")
  }
}
