import CTuttiLinux
import Glibc
import TuttiSystem

/// Watches over the ranks of a job until all of them have ended.
protocol Supervisor: Sendable {
  /// The processes of this machine that are ranks.
  var processes: [Int: pid_t] { get }
  /// Ends the job from another thread.
  func stop()
  /// Returns when no rank is left.
  ///
  /// - Parameters:
  ///   - signals: The signals by which the user ends or pauses the job.
  ///   - report: Receives what ranks could not say themselves.
  func supervise(_ signals: ForegroundSignals?, _ report: (String) -> Void) -> JobOutcome
}

/// Watches over ranks of this machine. The first failure ends all of them, and when the supervisor is done, each has ended
/// and was reaped.
///
/// Invariant: a rank that has ended stays a zombie until the end of the job, so that its process group keeps its number, and
/// what is left in it can be ended too.
final class JobSupervisor: Supervisor {
  struct Rank: Sendable {
    let number: Int
    let process: ChildProcess
  }

  private let job: JobDescription
  private let ranks: [Rank]
  private let stopBell: StopBell

  /// - Parameter ranks: Running ranks. They end with the supervisor.
  init(_ job: JobDescription, _ ranks: [Rank]) throws(LaunchError) {
    (self.job, self.ranks, stopBell) = (job, ranks, try StopBell())
  }

  var processes: [Int: pid_t] { Dictionary(uniqueKeysWithValues: ranks.map { ($0.number, $0.process.pid) }) }

  func stop() { stopBell.ring() }

  func supervise(_ signals: ForegroundSignals?, _ report: (String) -> Void) -> JobOutcome {
    var judge = JobJudge(job)
    let watches = ranks.map { tutti_pidfd_open($0.process.pid) }
    defer { for watch in watches { tutti_close(watch) } }
    while true {
      for rank in ranks where judge.isRunning(rank.number) {
        guard let end = rank.process.end(reaps: false) else { continue }
        judge.note(end, of: rank.number, process: rank.process.pid, report)
      }
      if judge.isOver(report) { break }
      let waiting = ranks.indices.filter { judge.isRunning(ranks[$0].number) }
      wait(for: waiting.map { watches[$0] }, signals, until: judge.deadline)
      if stopBell.hasRung {
        judge.stop(nil)
        break
      }
      if let signal = signals?.next() {
        if signal == SIGTSTP {
          pause()
        } else {
          judge.stop(signal)
          break
        }
      }
    }
    end()
    return judge.finish()
  }

  /// Waits for the end of a rank, a signal or a stop, but not for long, because the kernel may forbid watching processes.
  private func wait(for watches: [Int32], _ signals: ForegroundSignals?, until deadline: UInt64?) {
    var descriptors = (watches + [stopBell.descriptor, signals?.descriptor ?? -1]).map {
      pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
    }
    let limit: Int32 = watches.contains { $0 < 0 } ? 10 : 100
    let left = deadline.map(Clock.pollTimeout(until:)) ?? limit
    poll(&descriptors, nfds_t(descriptors.count), left > 0 ? min(left, limit) : limit)
  }

  /// Stops this process with all ranks, as Ctrl-Z asks for, and goes on with them.
  private func pause() {
    for rank in ranks { rank.process.send(SIGSTOP) }
    ForegroundSignals.stopThisProcess()
    for rank in ranks { rank.process.send(SIGCONT) }
  }

  /// Kills the ranks that still run, and reaps all.
  private func end() {
    // They are stopped first, so that none lives to complain about the end of another.
    for rank in ranks { rank.process.send(SIGSTOP) }
    for rank in ranks { rank.process.stop() }
  }
}

/// Tells a supervisor to stop, from any thread.
final class StopBell: Sendable {
  private let isRung = Lock(false)
  private let bell: OwnedDescriptor

  init() throws(LaunchError) {
    let bell = tutti_eventfd()
    guard bell >= 0 else { throw LaunchError(.resources, "eventfd: \(errorText(errno)).") }
    self.bell = OwnedDescriptor(bell)
  }

  /// Readable from the moment it has rung.
  var descriptor: Int32 { bell.raw }

  var hasRung: Bool { isRung.withLock { $0 } }

  func ring() {
    isRung.withLock { $0 = true }
    tutti_eventfd_ring(bell.raw)
  }
}
