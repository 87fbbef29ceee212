import Glibc
import TuttiSystem

/// A job that runs beside its program, as ``JobDescription/start(report:)`` returns it. Its ranks are killed when this
/// object goes away.
public final class RunningJob: Sendable {
  /// The process number of each rank of this machine. Ranks that an agent starts have none here.
  public let processes: [Int: pid_t]
  private let supervisor: any Supervisor
  private let state = Lock(State())
  private let bell = WakeWord()

  private struct State {
    var outcome: JobOutcome?
    var waiting: [CheckedContinuation<JobOutcome, Never>] = []
  }

  init(_ supervisor: any Supervisor, _ report: @escaping @Sendable (String) -> Void) throws(LaunchError) {
    self.supervisor = supervisor
    processes = supervisor.processes
    let (state, bell) = (state, bell)
    do throws(FailureReport) {
      try startDetachedThread("tutti launcher", orElse: "cannot start the thread that watches ranks") {
        let outcome = supervisor.supervise(nil, report)
        let waiting = state.withLock { state -> [CheckedContinuation<JobOutcome, Never>] in
          state.outcome = outcome
          defer { state.waiting = [] }
          return state.waiting
        }
        for continuation in waiting { continuation.resume(returning: outcome) }
        bell.wake()
      }
    } catch { throw LaunchError(error) }
  }

  deinit { supervisor.stop() }

  /// Ends the job: kills its ranks, and reports nothing.
  public func stop() { supervisor.stop() }

  /// Waits until every rank has ended.
  public func outcome() async -> JobOutcome {
    await withCheckedContinuation { continuation in
      let outcome = state.withLock { state -> JobOutcome? in
        if state.outcome == nil { state.waiting.append(continuation) }
        return state.outcome
      }
      if let outcome { continuation.resume(returning: outcome) }
    }
  }

  /// Waits until every rank has ended, and blocks the thread: for code that is not asynchronous.
  @available(*, noasync, message: "await outcome() instead: this blocks the thread")
  public func wait() -> JobOutcome {
    while true {
      let seen = bell.value
      if let outcome = state.withLock({ $0.outcome }) { return outcome }
      bell.wait(while: seen, nanoseconds: Clock.second)
    }
  }
}
