import CTuttiLinux
import Glibc
import TuttiSystem

/// What a child process runs, and with what.
package struct ChildProgram: Sendable {
  /// A path, or a name to look up in `PATH`.
  package var program: String
  package var arguments: [String]
  package var environment: [String: String]
  /// The descriptors that the program gets: by its number for each, the number in this process. Without an entry for it,
  /// its standard input is the lifeline.
  package var descriptors: [Int32: Int32] = [:]
  /// Whether the program gets none of this process's signal dispositions, signal mask and descriptors. Otherwise it gets all
  /// of them.
  package var isolates = true
  /// The signals blocked in a program that is not isolated.
  package var mask = sigset_t()
  var ignoresChildren = false

  package init(_ program: String, _ arguments: [String], environment: [String: String]) {
    (self.program, self.arguments, self.environment) = (program, arguments, environment)
  }
}

/// A child in a process group of its own. The kernel ends it with this process, however this process ends.
///
/// Invariant: only this object reaps it, and signals are only sent before that, so that they never reach another process
/// with its number. When this object goes away, the child is killed, with what is in its group.
package final class ChildProcess: Sendable {
  package let pid: pid_t
  private let state = Lock(State())

  private struct State {
    var end: RankEnd?
    var isReaped = false
  }

  private let forks = tutti_current_fork_generation()

  /// - Throws: `.program` when there is none, `.resources` when the system refuses.
  package init(_ program: ChildProgram) throws(LaunchError) { pid = try ChildStarter.shared.start(program) }

  // A forked child has a copy of this object, and must leave its parent's ranks alone.
  deinit { if tutti_current_fork_generation() == forks { stop() } }

  /// How it ended; nil while it runs.
  ///
  /// - Parameter reaps: Whether to reap it when it has ended. Its number may then be given to others, and what is left of
  ///   its group is out of reach.
  package func end(reaps: Bool = true) -> RankEnd? {
    let (end, isNew) = state.withLock { state -> (RankEnd?, Bool) in
      if state.isReaped || (state.end != nil && !reaps) { return (state.end, false) }
      var (signal, status): (Int32, Int32) = (0, 0)
      let code = tutti_child_end(pid, reaps ? 1 : 0, &signal, &status)
      if code == 0 { return (nil, false) }
      state.isReaped = reaps || code < 0
      if state.end == nil { state.end = code < 0 ? .unknown : signal == 0 ? .exited(status) : .signalled(signal) }
      return (state.end, state.isReaped)
    }
    if isNew { ChildStarter.shared.childWasReaped() }
    return end
  }

  /// Sends a signal to it and to the rest of its group, unless it has been reaped.
  package func send(_ signal: Int32) {
    state.withLock { state in
      if state.isReaped { return }
      _ = kill(-pid, signal)
      // It may have moved to another group.
      _ = kill(pid, signal)
    }
  }

  /// Kills it with its group, and reaps it.
  package func stop() {
    send(SIGKILL)
    while end() == nil { Clock.pause(Clock.millisecond) }
  }
}
