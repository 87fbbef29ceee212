import TuttiSystem

/// Finds the rank at fault for a wait that reached its deadline, by following who waits for whom.
///
/// Pure but for `ask`. Invariant: asks each rank at most once, so it ends after `rankCount` questions, or when `deadline`
/// passes.
struct Diagnosis {
  /// What became of a question.
  enum Reply: Equatable {
    case status(RankStatus)
    /// This rank has left: the one asked, or one on the way to it.
    case left(Int)
    /// This rank did not answer: the one asked, or the nearest one on the way to it that did not.
    case silent(Int)
    /// There was no time to wait for an answer.
    case unasked
    /// The communicator has failed meanwhile.
    case overtaken
  }

  let rank: Int
  let rankCount: Int
  let wait: ExpiredWait
  let deadline: UInt64
  let clock: MonotonicClock
  /// `rank 2 (pid 123 on host-a)`.
  let describe: (Int) -> String
  /// Asks a rank what it is doing, and what it called as the operation that is waited in.
  let ask: (Int) -> Reply

  /// - Returns: The cause; nil when the communicator has failed meanwhile.
  func findCause() -> FailureReport? {
    guard (0..<rankCount).contains(wait.waitingFor), wait.waitingFor != rank else {
      switch askOthers(besides: [rank], awaited: wait.operationNumber) {
      case .found(let report): return report
      case .overtaken: return nil
      case .nothing:
        return report(peer: -1, "no rank to wait for is known", "Raise the timeout if the operation is just slow")
      }
    }
    var asked: Set<Int> = [rank]
    var waiter = rank
    var suspect = wait.waitingFor
    // The operation that `suspect` is awaited in; the chain may lead back to earlier ones. 0: in a send or receive.
    var awaited = wait.operationNumber
    while true {
      asked.insert(suspect)
      switch ask(suspect) {
      case .overtaken:
        return nil
      case .silent(let peer):
        return report(
          peer: peer, "\(describe(peer)) does not answer" + (waiter == rank ? "" : via(waiter, suspect)),
          "It is stopped, swapping, or cut off from the others: look at its process and host")
      case .unasked:
        return report(
          peer: suspect, "\(describe(suspect)) could not be asked in time" + (waiter == rank ? "" : via(waiter, suspect)),
          "Raise the timeout, or look at what that rank does")
      case .left(let peer):
        return report(
          peer: peer, "\(describe(peer)) has closed the communicator" + (peer == suspect ? "" : via(waiter, suspect)),
          "All ranks must make the same calls before any of them closes")
      case .status(let status):
        if let report = blackHole(suspect, status) { return report }
        if let verdict = judge(suspect, status, waiter: waiter, awaited: awaited, asked: asked) {
          if verdict.isCertain { return verdict.report }
          switch askOthers(besides: asked, awaited: earlier(awaited, status.entered)) {
          case .found(let report): return report
          case .overtaken: return nil
          case .nothing: return verdict.report
          }
        }
        awaited = status.isInside ? earlier(awaited, status.entered) : 0
        waiter = suspect
        suspect = status.waitingFor
      }
    }
  }

  /// The suspect answers over a small message, and larger packets, of this rank or of its own, do not get through.
  private func blackHole(_ suspect: Int, _ status: RankStatus) -> FailureReport? {
    let (sender, trouble) = wait.trouble.isEmpty ? (suspect, status.trouble) : (rank, wait.trouble)
    if trouble.isEmpty { return nil }
    return report(
      peer: suspect, "\(describe(sender)) \(trouble), while smaller packets get through",
      "Compare the MTU of hosts and switches (ip link; ping -M do -s SIZE), or set net.ipv4.tcp_mtu_probing=1")
  }

  private func earlier(_ awaited: UInt64, _ entered: UInt64) -> UInt64 { awaited == 0 ? entered : min(awaited, entered) }

  private enum Search {
    case found(FailureReport)
    case nothing
    case overtaken
  }

  /// Asks all ranks that were not asked before, where the chain leads to nobody at fault: a rank tells of one rank that it
  /// waits for, and may wait for several. One that has left may have done its part before, so it is named only when nobody
  /// else is found.
  private func askOthers(besides asked: Set<Int>, awaited: UInt64) -> Search {
    var departure = Search.nothing
    for other in 0..<rankCount where !asked.contains(other) && clock.now() < deadline {
      switch ask(other) {
      case .overtaken: return .overtaken
      case .unasked: return departure
      case .silent(let peer):
        return .found(
          report(
            peer: peer, "\(describe(peer)) does not answer",
            "It is stopped, swapping, or cut off from the others: look at its process and host"))
      case .left(let peer):
        departure = .found(
          report(
            peer: peer, "\(describe(peer)) has closed the communicator",
            "All ranks must make the same calls before any of them closes"))
      case .status(let status):
        if let verdict = judge(other, status, waiter: rank, awaited: awaited, asked: asked), verdict.isCertain {
          return .found(verdict.report)
        }
      }
    }
    return departure
  }

  /// Judges a rank by what it says it is doing.
  ///
  /// - Returns: nil where the rank itself waits for one that has not been asked, so that the search goes on there. The
  ///   report is not certain where the chain ends at this rank, and nothing is wrong with it.
  private func judge(
    _ suspect: Int, _ status: RankStatus, waiter: Int, awaited: UInt64, asked: Set<Int>
  ) -> (report: FailureReport, isCertain: Bool)? {
    let chain = waiter == rank ? "" : via(waiter, suspect)
    if let call = status.asked, wait.identity != 0, call.identity != wait.identity {
      return (
        report(
          peer: suspect,
          "\(describe(suspect)) made a different call: its operation \(wait.operationNumber) is \(call.words), here it is "
            + wait.operation + chain,
          "All ranks must make the same calls in the same order", code: .mismatch), true
      )
    }
    guard status.isInside else { return judgeIdle(suspect, status, waiter: waiter, awaited: awaited, asked: asked) }
    let inside = "is in operation \(status.entered) (\(status.operation))"
    guard (0..<rankCount).contains(status.waitingFor), status.waitingFor != suspect else {
      return (
        report(
          peer: suspect, "\(describe(suspect)) \(inside) and waits for no other rank" + chain,
          "It is slow: look at its load, or raise the timeout"), false
      )
    }
    guard !asked.contains(status.waitingFor), clock.now() < deadline else {
      return (
        report(
          peer: suspect, "\(describe(suspect)) \(inside) and waits for \(describe(status.waitingFor))" + chain,
          "All ranks asked are alive and in the operation: raise the timeout, or look for a slow link"), false
      )
    }
    return nil
  }

  /// Judges a rank that is in no operation.
  private func judgeIdle(
    _ suspect: Int, _ status: RankStatus, waiter: Int, awaited: UInt64, asked: Set<Int>
  ) -> (report: FailureReport, isCertain: Bool)? {
    let chain = waiter == rank ? "" : via(waiter, suspect)
    if (0..<rankCount).contains(status.waitingFor), status.waitingFor != suspect {
      guard asked.contains(status.waitingFor) || clock.now() >= deadline else { return nil }
      return (
        report(
          peer: suspect, "\(describe(suspect)) waits for \(describe(status.waitingFor)) in a \(status.operation)" + chain,
          "It has not made the matching call; ranks that wait for each other must start sends and receives before waiting"),
        true
      )
    }
    if awaited == 0 {
      return (
        report(
          peer: suspect, "\(describe(suspect)) answers, and waits for nothing" + chain,
          "It has not made the matching call: look at what it does instead"), true
      )
    }
    if status.entered < awaited {
      return (
        report(
          peer: suspect,
          "\(describe(suspect)) has not called operation \(awaited)\(what(awaited)); \(last(status))" + chain,
          "It is busy elsewhere, or left its loop early: look at what it does instead"), true
      )
    }
    return (
      report(
        peer: suspect, "\(describe(suspect)) has completed operation \(status.completed) and waits for nothing" + chain,
        "Data between \(describe(waiter)) and it is late or lost: look at the link between them"), false
    )
  }

  private func what(_ number: UInt64) -> String {
    number == wait.operationNumber && !wait.operation.isEmpty ? " (\(wait.operation))" : ""
  }

  private func last(_ status: RankStatus) -> String {
    status.completed == 0 ? "it has completed none" : "it last completed operation \(status.completed)"
  }

  private func via(_ waiter: Int, _ suspect: Int) -> String { "; rank \(waiter) waits for rank \(suspect)" }

  private func report(
    peer: Int, _ finding: String, _ advice: String, code: FailureCode = .timeout
  ) -> FailureReport {
    let awaited = (0..<rankCount).contains(wait.waitingFor) ? " waiting for rank \(wait.waitingFor)" : ""
    return FailureReport(
      code, rank: rank, peer: peer,
      "timed out after \(secondsText(wait.timeoutSeconds)) s\(awaited): \(finding)", advice: advice,
      operation: wait.operation, operationNumber: wait.operationNumber, step: wait.step, transport: wait.transport)
  }
}
