import CTuttiLinux
import TuttiSystem

// Explaining failures that this rank notices itself: a link that broke, a wait that reached its deadline.

extension Membership {
  package func explainLoss(of peer: Int, otherwise: FailureReport) -> FailureReport {
    guard !isForked, (0..<rankCount).contains(peer) else { return firstCause ?? otherwise }
    // A cause on its way is better than a departure that may be its consequence, but a departure is not waited out.
    var departed = false
    _ = Clock.wait(until: monotonicNanoseconds() + 200 * Clock.millisecond) {
      state.withLock { state in
        departed = state.departed.contains(peer) || state.board?[peer] == .left
        return state.firstCause != nil || departed || state.hasLeft
      }
    }
    if let cause = firstCause { return cause }
    guard departed else { return explainSilence(about: peer) ?? otherwise }
    return FailureReport(
      .peerLost, rank: rank, peer: peer,
      "\(members[peer].description) closed its communicator while this rank still waited for it",
      advice: "All ranks must make the same calls before any of them closes", operation: otherwise.operation,
      operationNumber: otherwise.operationNumber, step: otherwise.step, transport: otherwise.transport)
  }

  /// A peer left because of a failure whose cause does not come. Returns who holds it up: a rank between here and there that does not
  /// answer, and is likely to be the cause.
  private func explainSilence(about peer: Int) -> FailureReport? {
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
      rank: rank, rankCount: rankCount, wait: wait, deadline: deadline,
      describe: { [members] in members[$0].description }, ask: { [self] in ask($0, until: deadline) })
    return diagnosis.findCause()
  }

  package func askCall(of peer: Int, operationNumber: UInt64) -> String? {
    let deadline = monotonicNanoseconds() + 200 * Clock.millisecond
    guard !isForked, (0..<rankCount).contains(peer), peer != rank, firstCause == nil,
      case .status(let status) = ask(peer, about: operationNumber, until: deadline)
    else { return nil }
    return status.asked.isEmpty ? nil : status.asked
  }

  /// Looks, a millisecond or more apart, after which a rank that has not answered is silent. Fewer are too few to tell: the deadline was near,
  /// or this process was stopped.
  private static let looksMin = 10

  /// Asks `target` and every rank on the way to it; waits 200 ms for all, or until the deadline.
  private func ask(_ target: Int, about operationNumber: UInt64 = 0, until deadline: UInt64) -> Diagnosis.Reply {
    let path = tree.path(from: rank, to: target)
    let id = state.withLock { state in
      let id = state.nextQuestion
      state.nextQuestion += 1
      var question = Question()
      if state.departed.contains(path[0]) { question.answers[path[0]] = .left }
      state.questions[id] = question
      for rank in path {
        let question = ControlMessage.question(
          id: id, asker: self.rank, target: rank, operationNumber: rank == target ? operationNumber : 0)
        route(question, to: rank, &state)
      }
      return id
    }
    var looks = 0
    _ = Clock.wait(until: min(deadline, monotonicNanoseconds() + 200 * Clock.millisecond)) {
      looks += 1
      return state.withLock { state in
        state.firstCause != nil || state.hasLeft || settled(path, state.questions[id]?.answers ?? [:]) != nil
      }
    }
    return state.withLock { state in
      let answers = state.questions.removeValue(forKey: id)?.answers ?? [:]
      if state.firstCause != nil || state.hasLeft { return .overtaken }
      if let reply = settled(path, answers) { return reply }
      return looks < Self.looksMin ? .unasked : .silent(path.first { answers[$0] == nil } ?? target)
    }
  }

  /// What the answers of the ranks on a path say about its end; nil while a nearer one may still answer.
  private func settled(_ path: [Int], _ answers: [Int: RankAnswer]) -> Diagnosis.Reply? {
    for rank in path {
      switch answers[rank] {
      case nil: return nil
      case .left: return .left(rank)
      case .status(let status): if rank == path.last { return .status(status) }
      }
    }
    return nil
  }
}
