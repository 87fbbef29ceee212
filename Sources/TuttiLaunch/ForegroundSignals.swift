import CTuttiLinux
import Glibc
import TuttiSystem

/// The signals by which a user ends or pauses a program in the foreground, taken one at a time by the launcher.
///
/// They are blocked rather than handled: the program's own handlers and dispositions stay as they are. A signal that is
/// ignored, as `nohup` and shells in the background have it, stays ignored: to be taken it would have to be blocked, and
/// would come all the same.
struct ForegroundSignals {
  let descriptor: Int32
  /// The mask of this thread before: the one that ranks get.
  let before: sigset_t

  init() throws(LaunchError) {
    var signals = sigset_t()
    sigemptyset(&signals)
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGTSTP] where tutti_is_ignored(signal) == 0 { sigaddset(&signals, signal) }
    descriptor = tutti_signalfd(&signals)
    guard descriptor >= 0 else { throw LaunchError(.resources, "signalfd: \(errorText(errno)).") }
    var before = sigset_t()
    pthread_sigmask(SIG_BLOCK, &signals, &before)
    self.before = before
  }

  /// The next signal that has come; nil when none has.
  func next() -> Int32? {
    let signal = tutti_signalfd_take(descriptor)
    return signal == 0 ? nil : signal
  }

  func restore() {
    var before = before
    pthread_sigmask(SIG_SETMASK, &before, nil)
    tutti_close(descriptor)
  }
}
