import Glibc

/// How a rank has ended.
public enum RankEnd: Sendable, Hashable {
  /// It ended by itself, with this exit status.
  case exited(Int32)
  /// A signal ended it that did not come from its launcher.
  case signalled(Int32)
  /// Its launcher ended it, because it was late or because the job was stopped.
  case stopped
  /// It is not known how it ended: something else in this process has reaped it (waitpid(2) for any child), or its host
  /// could not be reached any more.
  case unknown

  /// Whether it has ended by itself with status 0.
  public var isSuccess: Bool { self == .exited(0) }
}

/// How a job has ended. All its ranks have ended, and no process of it is left, except those that have left their rank's
/// process group.
public struct JobOutcome: Sendable, Hashable {
  /// How each rank that was started has ended.
  public internal(set) var ends: [Int: RankEnd] = [:]
  /// The rank that failed before all others; nil when none has failed. Ranks that the launcher stopped have not failed.
  public internal(set) var firstFailure: Int?
  /// The ranks that were still running when others had failed, or had finished, for too long.
  public internal(set) var lateRanks: [Int] = []
  /// The signal to this process that stopped the job.
  public internal(set) var stopSignal: Int32?
  /// Whether ``RunningJob/stop()`` ended the job.
  public internal(set) var wasStopped = false

  /// The hosts that could not be used: not reached, not the same version, or lost.
  public internal(set) var failedHosts: [String] = []
  /// Why output of ranks on other hosts did not arrive where this process's own text goes.
  public internal(set) var lostOutput: StandardStream.Failure?

  /// The exit status for a launcher: 0; 1 when a rank or host failed or was late; 128 plus the signal that stopped this
  /// process; or 141, as shells have it, when the reader of the output has left.
  public var status: Int32 {
    if let stopSignal { return 128 + stopSignal }
    if readerHasLeft { return 128 + SIGPIPE }
    let isWhole = firstFailure == nil && lateRanks.isEmpty && failedHosts.isEmpty && lostOutput == nil
    return isWhole && !wasStopped ? 0 : 1
  }

  /// Whether a rank was ended by a signal that did not come from the launcher.
  public var wasKilled: Bool {
    ends.values.contains { if case .signalled = $0 { true } else { false } }
  }

  /// Whether the first rank that failed was ended by SIGPIPE, because the reader of its output had left, as `| head` does,
  /// or nothing failed but the output had no reader any more. Nobody has made a mistake then.
  public var readerHasLeft: Bool {
    if let lostOutput, !lostOutput.readerHasLeft { return false }
    if let firstFailure { return ends[firstFailure] == .signalled(SIGPIPE) }
    return lostOutput != nil && failedHosts.isEmpty && lateRanks.isEmpty
  }
}
