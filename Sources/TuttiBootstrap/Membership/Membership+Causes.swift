import TuttiSystem
import TuttiTransport

// Finding the cause of what this rank notices itself: a link that failed, a wait that reached its deadline.

extension Membership {
  /// Whether `peer` is known to have left in good order. Does not wait.
  package func hasDeparted(_ peer: Int) -> Bool { state.withLock { $0.machines.hasDeparted(peer) } }

  package func causeOfLoss(of peer: Int, otherwise: FailureReport) -> FailureReport {
    guard !isForked, (0..<rankCount).contains(peer) else { return firstCause ?? otherwise }
    // A cause on its way is better than a departure that may be its consequence, but a departure is not waited out.
    var departed = false
    _ = clock.wait(until: clock.now() + 200 * Clock.millisecond) {
      state.withLock { state in
        departed = state.machines.hasDeparted(peer)
        return departed || state.machines.failures.isOver
      }
    }
    if let cause = firstCause { return cause }
    guard departed else { return causeOfSilence(about: peer) ?? otherwise }
    return causeOfDeparture(of: peer, named: members[peer].description, otherwise)
  }

  /// Looks for the rank that holds up the cause, where `peer` left because of a failure and the cause does not come: one
  /// between here and there that does not answer, and is likely to be at fault. Returns a report that names it.
  private func causeOfSilence(about peer: Int) -> FailureReport? {
    guard state.withLock({ $0.board?[peer] == .failed }) else { return nil }
    let reply = ask(peer, until: .max)
    if let cause = firstCause { return cause }
    guard case .silent(let silent) = reply, silent != peer else { return nil }
    return FailureReport(
      .timeout, rank: rank, peer: silent,
      "\(members[silent].description) does not answer, and passes on no word of why rank \(peer) gave up",
      advice: "It is stopped, swapping, or cut off from the others: look at its process and host")
  }

  package func diagnoseTimeout(_ wait: ExpiredWait, until deadline: UInt64) -> FailureReport? {
    if firstCause != nil { return nil }
    let diagnosis = Diagnosis(
      rank: rank, rankCount: rankCount, wait: wait, deadline: deadline, clock: clock,
      describe: { [members] in members[$0].description },
      ask: { [self] in ask($0, about: wait.operationNumber, until: deadline) })
    return diagnosis.findCause()
  }

  package func askCall(of peer: Int, operationNumber: UInt64) -> CallDescription? {
    let deadline = clock.now() + 200 * Clock.millisecond
    guard !isForked, (0..<rankCount).contains(peer), peer != rank, firstCause == nil,
      case .status(let status) = ask(peer, about: operationNumber, until: deadline)
    else { return nil }
    return status.asked
  }

  /// Asks `target`, another rank, and every rank on the way to it; waits 200 ms for all, or until the deadline.
  private func ask(_ target: Int, about operationNumber: UInt64 = 0, until deadline: UInt64) -> Diagnosis.Reply {
    let start = clock.now()
    let id = change { machines, after in
      machines.ask(target, about: operationNumber, now: start, deadline: deadline, &after)
    }
    while true {
      let now = clock.now()
      if let reply = state.withLock({ $0.machines.look(id, now: now) }) { return reply }
      clock.pause(Clock.millisecond)
    }
  }
}
