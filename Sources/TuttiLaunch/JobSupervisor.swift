import CTuttiLinux
import Glibc
import TuttiSystem

/// Watches over the ranks of a job. The first failure ends all of them, and when the supervisor is done, each has ended and
/// was reaped.
///
/// Invariant: a rank that has ended stays a zombie until the end of the job, so that its process group keeps its number, and
/// what is left in it can be ended too.
final class JobSupervisor: Sendable {
  struct Rank: Sendable {
    let number: Int
    let process: ChildProcess
    /// Whether the rank may take its time when all others have succeeded.
    let mayLinger: Bool
  }

  let ranks: [Rank]
  private let failureGrace: UInt64
  private let finishLimit: UInt64?
  private let isStopped = Lock(false)
  /// Rung to stop the job.
  private let stopBell: OwnedDescriptor

  /// - Parameter ranks: Running ranks. They end with the supervisor.
  init(_ job: JobDescription, _ ranks: [Rank]) throws(LaunchError) {
    let bell = tutti_eventfd()
    guard bell >= 0 else { throw LaunchError(.resources, "eventfd: \(errorText(errno)).") }
    stopBell = OwnedDescriptor(bell)
    self.ranks = ranks
    failureGrace = Self.nanoseconds(job.failureGrace)
    finishLimit = job.finishLimit.map(Self.nanoseconds)
  }

  /// Ends the job from another thread.
  func stop() {
    isStopped.withLock { $0 = true }
    tutti_eventfd_ring(stopBell.raw)
  }

  func supervise(_ signals: ForegroundSignals?, _ report: (String) -> Void) -> JobOutcome {
    var outcome = JobOutcome()
    var deadline: UInt64?
    let watches = ranks.map { tutti_pidfd_open($0.process.pid) }
    defer { for watch in watches { tutti_close(watch) } }
    while true {
      for rank in ranks where outcome.ends[rank.number] == nil {
        guard let end = rank.process.end(reaps: false) else { continue }
        note(end, of: rank, in: &outcome, report)
        let patience = outcome.firstFailure == nil ? finishLimit : failureGrace
        if let patience { deadline = min(deadline ?? .max, monotonicNanoseconds() + patience) }
      }
      let late = ranks.indices.filter { outcome.ends[ranks[$0].number] == nil }
      if late.isEmpty || outcome.readerHasLeft { break }
      let isOver = outcome.firstFailure != nil || late.contains { !ranks[$0].mayLinger }
      if let deadline, isOver, monotonicNanoseconds() >= deadline {
        outcome.lateRanks = late.map { ranks[$0].number }
        report("\(rankListText(outcome.lateRanks)) did not end after the others: killed")
        break
      }
      wait(for: late.map { watches[$0] }, signals, until: deadline)
      if isStopped.withLock({ $0 }) {
        outcome.wasStopped = true
        break
      }
      if let signal = signals?.next() {
        if signal == SIGTSTP {
          pause()
        } else {
          outcome.stopSignal = signal
          break
        }
      }
    }
    end(&outcome)
    return outcome
  }

  /// Reports a rank that could not report its own error. A rank whose reader has left, as `head` does, is no error.
  private func note(_ end: RankEnd, of rank: Rank, in outcome: inout JobOutcome, _ report: (String) -> Void) {
    outcome.ends[rank.number] = end
    if !end.isSuccess && outcome.firstFailure == nil { outcome.firstFailure = rank.number }
    switch end {
    case .signalled(SIGPIPE): break
    case .signalled(let signal):
      let name = String(cString: strsignal(signal))
      report("rank \(rank.number): process \(rank.process.pid) was ended by signal \(signal) (\(name))")
    case .unknown:
      report(
        "rank \(rank.number): how process \(rank.process.pid) ended is unknown: something else in this program waits for "
          + "all its children")
    case .exited, .stopped: break
    }
  }

  /// Waits for the end of a rank, a signal or a stop, but not for long, because the kernel may forbid watching processes.
  private func wait(for watches: [Int32], _ signals: ForegroundSignals?, until deadline: UInt64?) {
    var descriptors = (watches + [stopBell.raw, signals?.descriptor ?? -1]).map {
      pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
    }
    let limit: Int32 = watches.contains { $0 < 0 } ? 10 : 100
    let left = deadline.map(Clock.pollTimeout(until:)) ?? limit
    poll(&descriptors, nfds_t(descriptors.count), left > 0 ? min(left, limit) : limit)
  }

  /// Stops this process with all ranks, as Ctrl-Z asks for, and goes on with them.
  private func pause() {
    for rank in ranks { rank.process.send(SIGSTOP) }
    // It is not SIGSTOP, because the kernel ignores this signal where nobody could make the program go on.
    var stop = sigset_t()
    sigemptyset(&stop)
    sigaddset(&stop, SIGTSTP)
    pthread_sigmask(SIG_UNBLOCK, &stop, nil)
    raise(SIGTSTP)
    pthread_sigmask(SIG_BLOCK, &stop, nil)
    for rank in ranks { rank.process.send(SIGCONT) }
  }

  /// Kills the ranks that still run, and reaps all.
  private func end(_ outcome: inout JobOutcome) {
    // They are stopped first, so that none lives to complain about the end of another.
    for rank in ranks { rank.process.send(SIGSTOP) }
    for rank in ranks {
      rank.process.stop()
      if outcome.ends[rank.number] == nil { outcome.ends[rank.number] = .stopped }
    }
  }

  private static func nanoseconds(_ duration: Duration) -> UInt64 {
    let seconds = duration / .seconds(1)
    return UInt64(min(max(seconds, 0), 1e9) * 1e9)
  }
}
