import CTuttiLinux
import Glibc
import TuttiSystem

/// What a child process runs, and with what.
package struct ChildProgram: Sendable {
  /// A path, or a name to look up in `PATH`.
  package var program: String
  package var arguments: [String]
  package var environment: [String: String]
  /// Descriptors of the program by number, as those of this process; the standard input is the lifeline where none is given.
  package var descriptors: [Int32: Int32] = [:]
  /// Whether the program gets no disposition, no mask and no descriptor of this process, or else all that it has itself.
  package var isolates = true
  /// The signals blocked in a program that is not isolated.
  package var mask = sigset_t()
  var ignoresChildren = false

  package init(_ program: String, _ arguments: [String], environment: [String: String]) {
    (self.program, self.arguments, self.environment) = (program, arguments, environment)
  }
}

/// A child in a process group of its own, which ends with this process, however that ends: the kernel sees to it.
///
/// Invariant: it is reaped by this object alone, and signals go to it only before, so that they never meet another process
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

  // A child of a fork has a copy of this, and its parent's ranks are none of its business.
  deinit { if tutti_current_fork_generation() == forks { stop() } }

  /// How it ended; nil while it runs.
  ///
  /// - Parameter reaps: Whether its number may be given to others when it has ended. What is left of its group is then out
  ///   of reach.
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

  /// Sends a signal to it and to what else is in its group, unless it has been reaped.
  package func send(_ signal: Int32) {
    state.withLock { state in
      if state.isReaped { return }
      _ = kill(-pid, signal)
      // It may have gone to another group.
      _ = kill(pid, signal)
    }
  }

  /// Kills it with its group, and reaps it.
  package func stop() {
    send(SIGKILL)
    while end() == nil { Clock.pause(Clock.millisecond) }
  }
}
