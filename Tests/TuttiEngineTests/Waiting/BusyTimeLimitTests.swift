import Synchronization
import Testing
import TuttiSystem
import TuttiTransport

@testable import TuttiEngine

/// The limit of a call that is stuck while others go on without a pause: nothing ever makes the driver rest, so only the
/// looks that it takes while things move can see that the time is over.
struct BusyTimeLimitTests {
  /// A link whose peer takes everything at once and never says anything.
  private final class TakingLink: Link {
    private(set) var taken: UInt64 = 0

    init() { super.init(peer: 0, transport: TransportKind("taking"), segmentBytesMax: 256, needsProgress: false) }

    override func canSend(_ lane: Int) -> Bool { true }

    override func send(
      _ lane: Int, _ call: CallSignature, _ count: UInt64, _ source: UnsafeRawPointer, _ bytes: Int, copied: Bool
    ) -> UInt64 {
      taken += 1
      return taken
    }

    override func released(_ lane: Int) -> UInt64 { taken }
  }

  /// Looks that a limit of a second lasts, at 10 ms each.
  private static let limit = TimeLimit(nanoseconds: 1_000_000_000)
  private static let looks = 100

  /// An engine without a progress thread, in which a receive is stuck.
  private func withStuckReceive(
    _ body: (Engine, TakingLink, UnsafeMutableRawPointer, _ stuck: UInt64) throws -> Void
  ) throws {
    let link = TakingLink()
    let delegate = TimeLimitTests.LonelyDelegate(TimeLimitTests.FakeTime(), link: link)
    let engine = Engine(
      rank: 1, rankCount: 2, doorbell: try Doorbell(), isOversubscribed: true, processors: nil,
      clock: MonotonicClock({ delegate.time.read() }, pause: { _ in Clock.pause(100_000) }),
      threads: ThreadStarter { _, _ throws(FailureReport) in }, links: delegate,
      planner: RankPlanner(rank: 1, rankCount: 2), delegate: delegate)
    delegate.time.giveUp.withLock {
      $0 = { [unowned engine] in engine.abort(FailureReport(.aborted, "no limit has ended it")) }
    }
    defer {
      engine.background.isRunning.store(false, ordering: .relaxed)
      engine.close()
    }
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 4, alignment: 4)
    defer { memory.deallocate() }
    let stuck = try engine.begin(request(isSend: false, memory, count: 1, Self.limit), owner: nil)
    try body(engine, link, memory, stuck)
  }

  private func request(
    isSend: Bool, _ memory: UnsafeMutableRawPointer, count: UInt64, _ limit: TimeLimit
  ) -> TransferRequest {
    TransferRequest(
      isSend: isSend, peer: 0, memory: memory, count: count, elementBytes: 4, dataType: SimulatedPlans.dataType,
      limit: limit)
  }

  /// Calls that end at once come one after the other.
  @Test func aStreamOfShortCalls() throws {
    try withStuckReceive { engine, _, memory, _ in
      let request = request(isSend: true, memory, count: 1, TimeLimit(nanoseconds: 600_000_000_000))
      // One call in 64 looks.
      let callsMax = 2 * 64 * Self.looks
      var calls = 0
      let failure = #expect(throws: FailureReport.self) {
        while calls < callsMax {
          try engine.run(request)
          calls += 1
        }
      }
      #expect(failure?.code == .timeout && calls > 64, "\(calls) calls: \(failure?.message ?? "no failure")")
    }
  }

  /// One long call moves at every pass.
  @Test(arguments: [false, true]) func aLongCall(waitsForIt: Bool) throws {
    try withStuckReceive { engine, link, _, stuck in
      // Far more segments than one look in 64 passes takes, after those for which the first driver does not look.
      let segments = 16_384 + 40 * 64 * Self.looks
      let message = UnsafeMutableRawPointer.allocate(byteCount: 256 * segments, alignment: 64)
      defer { message.deallocate() }
      let long = try engine.begin(
        request(isSend: true, message, count: UInt64(64 * segments), TimeLimit(nanoseconds: 600_000_000_000)), owner: nil)
      let failure = #expect(throws: FailureReport.self) { try engine.wait(for: waitsForIt ? long : stuck) }
      #expect(failure?.code == .timeout)
      #expect(link.taken < UInt64(segments), "the long call had ended before the limit was looked at")
    }
  }

  /// The progress thread drives such a call.
  @Test func aLongCallInTheBackground() throws {
    try withStuckReceive { engine, link, _, _ in
      let segments = 40 * 64 * Self.looks
      let message = UnsafeMutableRawPointer.allocate(byteCount: 256 * segments, alignment: 64)
      defer { message.deallocate() }
      _ = try engine.begin(
        request(isSend: true, message, count: UInt64(64 * segments), TimeLimit(nanoseconds: 600_000_000_000)), owner: nil)
      var idle = IdleTime()
      var turns = 0
      while engine.failure == nil && turns < 2 * segments {
        engine.driveInBackgroundOnce(&idle)
        turns += 1
      }
      #expect(engine.failure?.code == .timeout)
      #expect(link.taken < UInt64(segments), "the long call had ended before the limit was looked at")
    }
  }
}
