import Glibc
import TuttiSystem

/// Decides when a job is over: when all ranks have ended, or when the others have had the time that the first end gives
/// them.
struct JobJudge {
  private(set) var outcome = JobOutcome()
  /// When the ranks that still run have had their time; nil while they may go on.
  private(set) var deadline: UInt64?
  private let ranks: [Int]
  /// The ranks that may take their time when all others have succeeded.
  private let mayLinger: Set<Int>
  private let failureGrace: UInt64
  private let finishLimit: UInt64?

  init(_ job: JobDescription) {
    ranks = job.ranks.map(\.rank)
    mayLinger = Set(job.ranks.filter { $0.output == .inherited }.map(\.rank))
    failureGrace = Self.nanoseconds(job.failureGrace)
    finishLimit = job.finishLimit.map(Self.nanoseconds)
  }

  /// The ranks that have not ended.
  var running: [Int] { ranks.filter { outcome.ends[$0] == nil } }

  func isRunning(_ rank: Int) -> Bool { outcome.ends[rank] == nil }

  /// Notes how a rank has ended, and reports it where it could not report its own error. A rank whose reader has left, as
  /// `head` does, is no error.
  ///
  /// - Parameter process: nil where the user has been told already why nothing is known of the rank's end.
  mutating func note(_ end: RankEnd, of rank: Int, process: pid_t?, on host: String = "", _ report: (String) -> Void) {
    outcome.ends[rank] = end
    if !end.isSuccess && outcome.firstFailure == nil { outcome.firstFailure = rank }
    if let patience = outcome.firstFailure == nil ? finishLimit : failureGrace {
      deadline = min(deadline ?? .max, monotonicNanoseconds() + patience)
    }
    guard let process else { return }
    switch end {
    case .signalled(SIGPIPE): break
    case .signalled(let signal):
      let name = String(cString: strsignal(signal))
      report("rank \(rank): process \(process)\(host) was ended by signal \(signal) (\(name))")
    case .unknown:
      report(
        "rank \(rank): how process \(process)\(host) ended is unknown: something else in this program waits for all its "
          + "children")
    case .exited, .stopped: break
    }
  }

  /// Whether nothing is left to wait for. Ranks that are late then are reported, once.
  mutating func isOver(_ report: (String) -> Void) -> Bool {
    let late = running
    if late.isEmpty || outcome.readerHasLeft { return true }
    let mayNotLinger = outcome.firstFailure != nil || late.contains { !mayLinger.contains($0) }
    guard let deadline, mayNotLinger, monotonicNanoseconds() >= deadline else { return false }
    outcome.lateRanks = late
    report("\(rankListText(late)) did not end after the others: killed")
    return true
  }

  /// Ends the job because of a signal to this process, or, with nil, because the program asked for it.
  mutating func stop(_ signal: Int32?) {
    if let signal { outcome.stopSignal = signal } else { outcome.wasStopped = true }
  }

  /// Ends the job because a host cannot be used.
  mutating func lose(_ host: String) { outcome.failedHosts.append(host) }

  mutating func loseOutput(_ failure: StandardStream.Failure) {
    if outcome.lostOutput == nil { outcome.lostOutput = failure }
  }

  /// What has come of the job whose other ranks the launcher has ended.
  mutating func finish() -> JobOutcome {
    for rank in running { outcome.ends[rank] = .stopped }
    return outcome
  }

  static func nanoseconds(_ duration: Duration) -> UInt64 {
    let seconds = duration / .seconds(1)
    return UInt64(min(max(seconds, 0), 1e9) * 1e9)
  }
}
