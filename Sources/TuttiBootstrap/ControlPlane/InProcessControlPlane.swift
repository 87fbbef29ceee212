import TuttiSystem
import TuttiTransport

/// The control plane of ranks that are threads of one process. They share an object instead of connections, and it behaves
/// the same.
///
/// Owned by the ranks' objects; lives as long as one of them does.
package final class InProcessControlPlane: ControlPlane {
  package let rank: Int
  private let group: Group
  private let clock: MonotonicClock

  package var rankCount: Int { group.rankCount }

  /// Makes the control planes of a group, by rank.
  package static func makeGroup(rankCount: Int, clock: MonotonicClock = .system) -> [InProcessControlPlane] {
    precondition(rankCount > 0)
    let group = Group(rankCount: rankCount)
    return (0..<rankCount).map { InProcessControlPlane(rank: $0, group: group, clock: clock) }
  }

  private init(rank: Int, group: Group, clock: MonotonicClock) {
    self.rank = rank
    self.group = group
    self.clock = clock
  }

  package func activate(_ handlers: ControlHandlers) {
    let failure = group.state.withLock { state in
      precondition(state.handlers[rank] == nil, "handlers are set once")
      state.handlers[rank] = handlers
      return state.departed.contains(rank) ? nil : state.firstCause
    }
    if let failure { handlers.onFailure(failure) }
  }

  package func report(_ cause: FailureReport) { group.report(cause, from: rank) }

  package var firstCause: FailureReport? {
    group.state.withLock { $0.departed.contains(rank) ? $0.causeAtDeparture[rank] : $0.firstCause }
  }

  package func causeOfLoss(of peer: Int, otherwise: FailureReport) -> FailureReport {
    _ = clock.wait(until: clock.now() + 200 * Clock.millisecond) {
      group.state.withLock { $0.firstCause != nil || $0.departed.contains(peer) }
    }
    if let cause = firstCause { return cause }
    guard group.state.withLock({ $0.departed.contains(peer) }) else { return otherwise }
    return causeOfDeparture(of: peer, named: "rank \(peer)", otherwise)
  }

  package func diagnoseTimeout(_ wait: ExpiredWait, until deadline: UInt64) -> FailureReport? {
    if firstCause != nil { return nil }
    let diagnosis = Diagnosis(
      rank: rank, rankCount: rankCount, wait: wait, deadline: deadline, clock: clock,
      describe: { "rank \($0)" }, ask: { [group] in group.ask($0, about: wait.operationNumber) })
    return diagnosis.findCause()
  }

  package func askCall(of peer: Int, operationNumber: UInt64) -> CallDescription? {
    guard case .status(let status) = group.ask(peer, about: operationNumber) else { return nil }
    return status.asked
  }

  package func leave() {
    group.state.withLock { state in
      guard state.departed.insert(rank).inserted else { return }
      state.causeAtDeparture[rank] = state.firstCause
      state.handlers[rank] = nil
    }
  }

  /// Makes this rank as good as dead: the others learn that it ended, as from a process that was killed.
  package func kill() {
    let cause = FailureReport(
      .peerLost, rank: rank, peer: rank, "rank \(rank) ended without leaving the communicator",
      advice: "Look at what its thread did last")
    group.report(cause, from: rank)
  }

  /// Makes this rank answer no more questions, as a stopped process would.
  package func freeze() { _ = group.state.withLock { $0.frozen.insert(rank) } }
}

/// What the ranks of an in-process group share.
private final class Group: Sendable {
  struct State {
    var handlers: [ControlHandlers?]
    var firstCause: FailureReport?
    var departed: Set<Int> = []
    var causeAtDeparture: [Int: FailureReport] = [:]
    var frozen: Set<Int> = []
  }

  let rankCount: Int
  let state: Lock<State>

  init(rankCount: Int) {
    self.rankCount = rankCount
    state = Lock(State(handlers: Array(repeating: nil, count: rankCount)))
  }

  func report(_ cause: FailureReport, from rank: Int) {
    let handlers = state.withLock { state -> [ControlHandlers] in
      guard state.firstCause == nil, !state.departed.contains(rank) else { return [] }
      state.firstCause = cause
      return state.handlers.compactMap { $0 }
    }
    for handler in handlers { handler.onFailure(cause) }
  }

  func ask(_ target: Int, about operationNumber: UInt64 = 0) -> Diagnosis.Reply {
    let (reply, handlers) = state.withLock { state -> (Diagnosis.Reply?, ControlHandlers?) in
      if state.firstCause != nil { return (.overtaken, nil) }
      if state.departed.contains(target) { return (.left(target), nil) }
      if state.frozen.contains(target) { return (.silent(target), nil) }
      return (nil, state.handlers[target])
    }
    if let reply { return reply }
    return .status(handlers?.status(operationNumber) ?? RankStatus())
  }
}
