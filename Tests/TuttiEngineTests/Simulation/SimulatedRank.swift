import CTuttiKernels
import Synchronization
import TuttiSchedule
import TuttiSystem
import TuttiTransport

@testable import TuttiEngine

/// One rank of a simulated world: its engine, the program that makes calls, and what the engine knows of the others.
final class SimulatedRank: EngineDelegate, LinkSource, @unchecked Sendable {
  // @unchecked: the world's one thread uses it.

  let number: Int
  private unowned let world: SimulatedWorld
  private var engineStorage: Engine?
  var engine: Engine { engineStorage! }
  private let planner: SimulatedPlanner
  /// Links that have been opened, with when they are there.
  private var arriving: [(time: UInt64, link: SimulatedLink)] = []
  private var opened: [SimulatedLink] = []

  /// A call that has been started.
  private struct Started {
    var call: SimulatedCall
    var numbers: [UInt64]
    var input: UnsafeMutableRawPointer
    var output: UnsafeMutableRawPointer
    var startedAt: UInt64
    var isTraffic: Bool
  }

  private var next = 0
  private var traffic = 0
  private var started: [Started] = []
  /// Memory of calls that have ended: nobody may write there any more.
  private var ended: [(memory: UnsafeMutableRawPointer, bytes: Int)] = []
  private(set) var isOver = false
  private var error: FailureReport?
  private var idle = IdleTime()
  private var isClosed = false
  /// Whether this rank has opened a link, or is in a handler, and has not looked at the clock since: a stop at that time
  /// counts as a part of it.
  var isAway = false
  /// Whether this rank makes every call, and comes to its end.
  private let isFaithful: Bool
  private var handlersCalled = 0
  private var handlersExpected = 0
  /// Threads that have not asked yet about a call whose time is nearly over.
  private(set) var inquiriesPending = 0
  /// When a call began to wait that was not to end.
  private var stuckSince: UInt64 = 0

  init(_ number: Int, in world: SimulatedWorld) throws(FailureReport) {
    self.number = number
    self.world = world
    let scenario = world.scenario
    planner = SimulatedPlanner(number, scenario)
    if case .silence(number, _) = scenario.fault { isFaithful = false } else { isFaithful = true }
    engineStorage = Engine(
      rank: number, rankCount: scenario.rankCount, doorbell: try Doorbell(), isOversubscribed: world.chance(8) > 0,
      processors: nil, clock: world.clock(of: number),
      threads: ThreadStarter { [unowned self] name, body throws(FailureReport) in
        // The progress thread takes its turns by the world's steps.
        if name != "tutti-progress" { try ask(body, atLimit: name == "tutti-inquiry") }
      }, stallNanoseconds: scenario.stallNanoseconds, links: self, planner: planner, delegate: self)
    engine.core.pointee.cache = PlanCache(bytesMax: scenario.cacheBytes)
  }

  /// Starts a thread that asks other ranks: it runs at some time, or cannot be had.
  private func ask(_ body: @escaping @Sendable () -> Void, atLimit: Bool) throws(FailureReport) {
    if world.chance(4) == 0 { throw FailureReport(.resources, "no thread") }
    if atLimit { inquiriesPending += 1 }
    world.later(200_000) { [self] in
      if atLimit { inquiriesPending -= 1 }
      body()
    }
  }

  var state: String { "rank \(number): call \(next), \(started.count) in flight\(isOver ? ", over" : "")" }

  // MARK: The program

  func driveInBackground() {
    if isClosed { return }
    engine.driveInBackgroundOnce(&idle)
  }

  /// One turn of the program: it starts a call, waits for one, or looks which have ended.
  func takeTurn() throws {
    if isOver { return }
    try takeResults()
    if let failure = engine.failure { return try fail(failure) }
    let scenario = world.scenario
    let isSilent = if case .silence(number, let call) = scenario.fault { next >= call } else { false }
    let isAtEnd = next == scenario.calls.count || isSilent
    let own = started.filter { !$0.isTraffic }.count
    if isAtEnd {
      if own > 0 { return try makeTraffic() }
      if isSilent && !world.ranks.allSatisfy({ $0.isOver || !$0.isFaithful }) { return }
      if let partner = trafficPartner, partner.traffic > traffic { return try startTraffic() }
      if started.isEmpty { finish() }
      return
    }
    if own >= scenario.inFlightMax {
      if world.blocking == nil && world.chance(3) == 0 { try waitForSome() } else { try makeTraffic() }
      return
    }
    // A start may wait for room.
    let isFull = engine.core.pointee.lastStarted - engine.core.pointee.lastAdmitted >= EngineCore.pendingCapacity
    if isFull && world.blocking != nil { return }
    var call = scenario.calls[next]
    if case .mistake(number, next) = scenario.fault { call = call.mistaken }
    if case .detour(number, next) = scenario.fault { call = call.diverted(rankCount: scenario.rankCount) }
    next += 1
    guard call.involves(number) else { return }
    try start(call, blocks: world.blocking == nil && world.chance(3) == 0, isFull: isFull)
  }

  private func start(_ call: SimulatedCall, blocks: Bool, isFull: Bool, isTraffic: Bool = false) throws {
    let rankCount = world.scenario.rankCount
    let values = call.input(of: number, rankCount: rankCount)
    let outputBytes = 4 * max(call.output(of: number, rankCount: rankCount).count, values.count)
    var isInPlace = false
    if case .collective(let key, _) = call.kind { isInPlace = key.inPlace }
    let output = UnsafeMutableRawPointer.allocate(byteCount: max(4, outputBytes), alignment: 64)
    world.scribble(output, outputBytes)
    let input = isInPlace ? output : .allocate(byteCount: max(4, 4 * values.count), alignment: 64)
    values.withUnsafeBytes { if let base = $0.baseAddress { input.copyMemory(from: base, byteCount: $0.count) } }
    var new = Started(
      call: call, numbers: [], input: input, output: output, startedAt: world.now, isTraffic: isTraffic)
    do {
      switch call.kind {
      case .collective(let key, let operation):
        if blocks {
          try world.block(number) { try engine.run(request(key, operation, new)) }
        } else if isFull {
          new.numbers = [try world.block(number) { try engine.begin(request(key, operation, new), owner: nil).number }]
        } else {
          new.numbers = [try engine.begin(request(key, operation, new), owner: nil).number]
        }
      case .transfer(let from, let to):
        let requests = [(true, from, to), (false, to, from)].filter { $0.1 == number }.map { isSend, _, peer in
          TransferRequest(
            isSend: isSend, peer: peer, memory: isSend ? new.input : new.output, count: UInt64(call.count),
            elementBytes: 4, dataType: SimulatedPlans.dataType, limit: TimeLimit(nanoseconds: world.scenario.limit))
        }
        if blocks && requests.count == 1 {
          try world.block(number) { try engine.run(requests[0]) }
        } else if blocks {
          try world.block(number) { try engine.run(requests[0], with: requests[1]) }
        } else {
          for request in requests { new.numbers.append(try engine.begin(request, owner: nil)) }
        }
      }
    } catch let failure as FailureReport {
      started.append(new)
      return try fail(failure)
    }
    if new.numbers.isEmpty { return try takeResult(of: new) }
    for number in new.numbers where world.chance(3) == 0 {
      handlersExpected += 1
      engine.notify(number) { [unowned self] in
        handlersCalled += 1
        isAway = true
      }
    }
    started.append(new)
  }

  private func request(_ key: PlanKey, _ operation: UInt8, _ new: Started) -> Request {
    Request(
      key: key, reduction: ReductionTable.shared.find(operation, dataType: SimulatedPlans.dataType)!, elementBytes: 4,
      input: UnsafeRawPointer(new.input), output: new.output, limit: TimeLimit(nanoseconds: world.scenario.limit))
  }

  /// Waits for one of the calls in flight, to its end or for a while.
  private func waitForSome() throws {
    guard let number = world.draw(started).numbers.last else { return }
    do {
      try world.block(self.number) {
        if world.chance(2) == 0 {
          try engine.wait(for: number)
        } else {
          _ = try engine.wait(for: number, atMost: 1 + world.delay(1_000_000))
        }
      }
    } catch let failure as FailureReport { try fail(failure) }
  }

  /// The rank that this one exchanges messages with while both wait for a silent one.
  private var trafficPartner: SimulatedRank? {
    guard world.scenario.hasTraffic, case .silence(let silent, _) = world.scenario.fault else { return nil }
    let ends = (0..<world.scenario.rankCount).filter { $0 != silent }.prefix(2)
    return ends.contains(number) ? ends.first { $0 != number }.map { world.ranks[$0] } : nil
  }

  private var isStuck: Bool { started.contains { !$0.isTraffic } }

  private func makeTraffic() throws {
    guard let partner = trafficPartner, isStuck, partner.isStuck, started.filter(\.isTraffic).count < 4 else { return }
    try startTraffic()
  }

  /// Starts the next message to or from the partner.
  private func startTraffic() throws {
    guard let partner = trafficPartner else { return }
    traffic += 1
    let call = SimulatedCall(
      trafficFrom: min(number, partner.number), to: max(number, partner.number), number: traffic)
    try start(call, blocks: false, isFull: false, isTraffic: true)
  }

  // MARK: Results

  private func takeResults() throws {
    while let index = started.firstIndex(where: { !$0.numbers.isEmpty && $0.numbers.allSatisfy(engine.isDone) }) {
      try takeResult(of: started.remove(at: index))
    }
  }

  private func takeResult(of done: Started) throws {
    let wanted = done.call.output(of: number, rankCount: world.scenario.rankCount)
    let found = Array(UnsafeBufferPointer(start: done.output.assumingMemoryBound(to: UInt32.self), count: wanted.count))
    if found != wanted {
      let call = "\(done.call.kind) x \(done.call.count)"
      throw SimulationError(description: "rank \(number): wrong elements of \(call): \(found) instead of \(wanted)")
    }
    giveBack(done)
  }

  /// The memory of a call is the program's again: it writes there, and nobody else may.
  private func giveBack(_ call: Started) {
    let rankCount = world.scenario.rankCount
    let inputBytes = 4 * call.call.input(of: number, rankCount: rankCount).count
    let outputBytes = max(inputBytes, 4 * call.call.output(of: number, rankCount: rankCount).count)
    world.scribble(call.output, outputBytes)
    ended.append((call.output, outputBytes))
    if call.input == call.output { return }
    world.scribble(call.input, inputBytes)
    ended.append((call.input, inputBytes))
  }

  /// Everything that is in flight throws the first cause.
  private func fail(_ failure: FailureReport) throws {
    try takeResults()
    for call in started {
      for number in call.numbers where !engine.isDone(number) {
        do {
          try engine.wait(for: number)
          throw SimulationError(description: "rank \(self.number): a call ends well after the communicator has failed")
        } catch let later as FailureReport { world.require(later === engine.failure, "two failures are thrown") }
      }
    }
    error = failure
    world.require(failure === world.firstCause?.report, "rank \(number) throws \(failure.message)")
    stuckSince = started.map(\.startedAt).min() ?? world.now
    for call in started { giveBack(call) }
    started = []
    isOver = true
  }

  /// The program has made all its calls; it may leave while others still make theirs, unless it has to say to them what its
  /// calls were.
  private func finish() {
    isOver = true
    if case .detour = world.scenario.fault { return }
    if isFaithful && world.chance(2) == 0 { close() }
  }

  private func close() {
    if isClosed { return }
    isClosed = true
    // There is no thread to be waited for.
    engine.background.isRunning.store(false, ordering: .relaxed)
    engine.abort(FailureReport(.closed, rank: number, "the communicator was closed on rank \(number)"))
    engine.close()
  }

  /// The simulation is over before its end.
  func abandon(_ cause: FailureReport) { engineStorage?.abort(cause) }

  func end() {
    close()
    for (memory, _) in ended { memory.deallocate() }
    for call in started {
      if call.input != call.output { call.input.deallocate() }
      call.output.deallocate()
    }
    ended = []
    started = []
    engineStorage = nil
  }

  /// What must hold at the end of the world.
  func check() throws {
    close()
    for (memory, bytes) in ended {
      let isUntouched = UnsafeRawBufferPointer(start: memory, count: bytes).allSatisfy { $0 == 0xDB }
      if !isUntouched { throw SimulationError(description: "rank \(number): memory was written after its call had ended") }
    }
    if handlersCalled != handlersExpected {
      throw SimulationError(description: "rank \(number): \(handlersCalled) handlers were called of \(handlersExpected)")
    }
    try planner.check(dropsPlans: world.scenario.cacheBytes < 1 << 20)
  }

  /// A call that could not end was given up when its time was over: not before, and not long after, whatever else moved.
  ///
  /// - Parameter isAsking: The other ranks were still being asked, for which the engine waits a little longer.
  func checkLimit(at time: UInt64, isAsking: Bool) throws {
    let waited = time - stuckSince
    let limit = world.scenario.limit
    // Looks are taken at least once in 64 turns that move something; a turn comes once in twice as many steps as there
    // are ranks, on average. Beside them others sleep, one after the other.
    let looks = 64 * 2 * 4 * UInt64(world.scenario.rankCount) * (world.scenario.stepNanoseconds + 20_000)
    let slack = looks + 6_000_000 + (isAsking ? 151_000_000 : 0)
    if waited < limit || waited > limit + slack {
      throw SimulationError(
        description: "rank \(number): a call with a limit of \(limit) ns was given up after \(waited) ns")
    }
  }

  // MARK: LinkSource

  func arrive(_ link: SimulatedLink, at time: UInt64) { arriving.append((time, link)) }

  func openLink(to peer: Int, deadline: UInt64, giveUp: () -> FailureReport?) throws(FailureReport) {
    if let report = giveUp() { throw report }
    isAway = true
    // Of two ranks the higher one dials.
    if number > peer { try world.openLink(number, peer) }
  }

  func absence(of peer: Int) -> FailureReport? { nil }

  func takeLinks() throws(FailureReport) -> [Link] {
    let now = arriving.filter { $0.time <= world.now }.map(\.link)
    arriving.removeAll { $0.time <= world.now }
    opened += now
    return now
  }

  // MARK: EngineDelegate

  func cause(of loss: FailureReport) -> FailureReport { loss }

  func diagnose(_ call: AwaitedCall, until deadline: UInt64) -> FailureReport? {
    FailureReport(.timeout, rank: number, peer: call.peer, "\(call.description) waits for rank \(call.peer)")
  }

  func report(_ cause: FailureReport) -> FailureReport { world.report(cause, by: number) }

  func revokeMemory() { opened.forEach { $0.revoke() } }

  func describe(_ call: CallRecord) -> CallDescription {
    CallDescription(
      "\(call.collective?.name ?? "?") x \(call.count)", identity: call.identity(algorithm: UInt64(call.algorithm)))
  }

  /// A rank does not always answer in time.
  func askCall(of peer: Int, operationNumber: UInt64) -> CallDescription? {
    world.chance(4) == 0 ? nil : world.ranks[peer].engine.call(numbered: operationNumber).map(describe)
  }

  func describeElements(dataType: UInt8, count: UInt64) -> String { "uint32 x \(count)" }
}
