import TuttiEngine
import TuttiSystem
import TuttiTransport

/// What a simulation found wrong.
struct SimulationError: Error, CustomStringConvertible {
  var description: String
}

/// Ranks in one thread and a time of their own: a seed decides what happens, and in which order.
///
/// Each step is one turn of a rank's program or of its progress thread. One rank at a time may be in a call that blocks:
/// whenever such a call reads the clock, or would sleep, the others take steps. So the engine that is tested is the whole
/// of it, and nothing depends on the machine.
final class SimulatedWorld: @unchecked Sendable {
  // @unchecked: one thread makes it and runs it.

  let scenario: Scenario
  private var generator: SeededGenerator
  private(set) var now: UInt64 = 1_000_000
  private(set) var ranks: [SimulatedRank] = []
  /// Ends of links live as long as the world, as the memory of a real one does as long as either end.
  private var links: [SimulatedLink] = []
  private var channels: [Set<Int>: (channel: SimulatedChannel, sent: Int)] = [:]
  /// What happens later, by when.
  private var events: [(time: UInt64, action: () throws -> Void)] = []
  /// The rank whose program is in a call that blocks.
  private(set) var blocking: Int?
  private var isNested = false
  private var steps = 0
  private var hasStopped = false
  /// What was found wrong first.
  private(set) var complaint: String?
  /// A number that two runs of the same seed share.
  private(set) var fingerprint: UInt64 = 0
  /// Why the communicator failed, which rank found it, and when.
  private(set) var firstCause: (report: FailureReport, rank: Int, time: UInt64, isAsking: Bool)?
  /// The most steps that any seed takes, several times over: more means that it hangs.
  private static let stepsMax = 400_000

  init(seed: UInt64) throws(FailureReport) {
    var generator = SeededGenerator(seed: seed)
    scenario = Scenario(seed: seed, using: &generator)
    self.generator = generator
    for rank in 0..<scenario.rankCount { ranks.append(try SimulatedRank(rank, in: self)) }
  }

  /// Lets the seed run to its end and checks what came of it.
  func run() throws {
    defer { ranks.forEach { $0.end() } }
    while !ranks.allSatisfy(\.isOver) {
      try step(except: nil)
      if let complaint { throw SimulationError(description: complaint) }
    }
    for rank in ranks { try rank.check() }
    try checkFault()
    if let complaint { throw SimulationError(description: complaint) }
  }

  // MARK: Time and chance

  /// A short time passes.
  func tick() { now += 20 }

  func chance(_ bound: Int) -> Int { bound <= 1 ? 0 : Int(generator.next() % UInt64(bound)) }

  func delay(_ bound: UInt64) -> UInt64 { bound == 0 ? 0 : generator.next() % (bound + 1) }

  func draw<Element>(_ elements: [Element]) -> Element { elements[chance(elements.count)] }

  /// The clock of a rank: reading it lets the others go on, where this rank is in a call that blocks.
  func clock(of rank: Int) -> MonotonicClock {
    MonotonicClock { [unowned self] in
      pass(100, rank)
      return now
    } pause: { [unowned self] nanoseconds in
      pass(min(nanoseconds, 1 + delay(50_000)), rank)
    }
  }

  private func pass(_ nanoseconds: UInt64, _ rank: Int) {
    now += nanoseconds
    defer { ranks[rank].isAway = false }
    guard blocking == rank, !isNested, complaint == nil else { return }
    isNested = true
    for _ in 0..<2 {
      do { try step(except: rank) } catch { complain("\(error)") }
    }
    isNested = false
  }

  /// Runs a call that blocks. Not while another rank is in one.
  func block<Result>(_ rank: Int, _ body: () throws -> Result) rethrows -> Result {
    require(blocking == nil, "two calls block at a time")
    blocking = rank
    defer { blocking = nil }
    return try body()
  }

  func later(_ bound: UInt64, _ action: @escaping () throws -> Void) { events.append((now + delay(bound), action)) }

  // MARK: Steps

  private func step(except busy: Int?) throws {
    steps += 1
    now += scenario.stepNanoseconds
    fingerprint = SeededGenerator.mixed(fingerprint &+ now)
    if steps > Self.stepsMax {
      return complain("nothing ends after \(steps) steps: \(ranks.map(\.state))")
    }
    try startFault()
    while let next = events.firstIndex(where: { $0.time <= now }) { try events.remove(at: next).action() }
    let rank = draw(ranks)
    if rank.number == busy { return }
    if chance(2) == 0 { rank.driveInBackground() } else { try rank.takeTurn() }
  }

  private func startFault() throws {
    switch scenario.fault {
    case .stop(let step) where steps >= step && !hasStopped && !ranks.contains(where: \.isAway):
      hasStopped = true
      now += Scenario.hour
    case .abort(let rank, let step) where steps >= step && !hasStopped:
      hasStopped = true
      let cause = FailureReport(.aborted, rank: rank, "rank \(rank) gave up")
      ranks[rank].engine.abort(report(cause, by: rank))
    default: break
    }
  }

  // MARK: Links

  /// Makes the link between two ranks, unless it is there.
  func openLink(_ rank: Int, _ peer: Int) throws(FailureReport) {
    if case .refusal(rank) = scenario.fault {
      throw FailureReport(.peerLost, rank: rank, peer: peer, "no address of rank \(peer) answers")
    }
    let pair: Set = [rank, peer]
    if channels[pair] != nil { return }
    let channel = SimulatedChannel()
    channels[pair] = (channel, 0)
    let (low, high) = (min(rank, peer), max(rank, peer))
    let weather = SimulatedWeather(using: &generator)
    for (side, ends) in [(low, high), (high, low)].enumerated() {
      let link = SimulatedLink(self, channel, side: side, rank: ends.0, peer: ends.1, weather)
      links.append(link)
      ranks[ends.0].arrive(link, at: now + delay(20_000))
    }
  }

  /// Cuts the link if the fault says so.
  func segmentWasSent(by rank: Int, to peer: Int, _ channel: SimulatedChannel) {
    guard case .cut(rank, let segment) = scenario.fault else { return }
    let pair: Set = [rank, peer]
    channels[pair]?.sent += 1
    if channels[pair]?.sent == segment && channel.cutAt == nil { channel.cutAt = now + delay(30_000) }
  }

  // MARK: Failure

  /// The control plane: the first cause spreads. Returns it.
  func report(_ cause: FailureReport, by rank: Int) -> FailureReport {
    if let firstCause { return firstCause.report }
    firstCause = (cause, rank, now, ranks[rank].inquiriesPending > 0)
    for other in ranks where other.number != rank {
      later(50_000) { other.engine.abort(cause) }
    }
    return cause
  }

  /// Notes what is wrong, and ends every call, so that whoever is in one comes back.
  func complain(_ words: String) {
    if complaint != nil { return }
    complaint = words
    for rank in ranks { rank.abandon(FailureReport(.closed, "the simulation has found a defect")) }
  }

  func require(_ condition: Bool, _ words: @autoclosure () -> String) { if !condition { complain(words()) } }

  /// Makes memory unusable that may be given back.
  func scribble(_ memory: UnsafeMutableRawPointer, _ bytes: Int) {
    memory.initializeMemory(as: UInt8.self, repeating: 0xDB, count: bytes)
  }

  /// Whether what failed, and whether anything did, is what the fault leads to.
  private func checkFault() throws {
    let found = firstCause.map { "\($0.report.code) on rank \($0.rank): \($0.report.message)" } ?? "no failure"
    let isExpected: Bool
    switch scenario.fault {
    case .none, .stop: isExpected = firstCause == nil
    case .cut, .refusal: isExpected = firstCause == nil || firstCause?.report.code == .peerLost
    case .silence: isExpected = firstCause.map { $0.report.code == .timeout } ?? true
    case .mistake: isExpected = firstCause?.report.code == .mismatch
    // Ranks that only send may all have sent before anybody looks.
    case .detour: isExpected = firstCause.map { $0.report.code == .mismatch } ?? true
    case .abort: isExpected = firstCause?.report.code == (hasStopped ? .aborted : nil)
    }
    if !isExpected { throw SimulationError(description: found) }
    if case .silence = scenario.fault, let firstCause {
      try ranks[firstCause.rank].checkLimit(at: firstCause.time, isAsking: firstCause.isAsking)
    }
  }
}
