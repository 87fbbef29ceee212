import CTuttiLinux
import Glibc
import TuttiSystem

/// Takes the signals by which a user ends or pauses a program in the foreground, one at a time, for the launcher.
///
/// They are blocked rather than handled: the program's own handlers and dispositions stay as they are. A signal that is
/// ignored, as under `nohup` and for background jobs of a shell, stays ignored: to be taken it would have to be blocked, and
/// would then arrive all the same.
final class ForegroundSignals {
  private let owner: OwnedDescriptor
  /// The previous mask of this thread, which ranks get.
  let before: sigset_t

  init() throws(LaunchError) {
    var signals = sigset_t()
    sigemptyset(&signals)
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGTSTP] where tutti_is_ignored(signal) == 0 { sigaddset(&signals, signal) }
    let descriptor = tutti_signalfd(&signals)
    guard descriptor >= 0 else { throw LaunchError(.resources, "signalfd: \(errorText(errno)).") }
    owner = OwnedDescriptor(descriptor)
    var before = sigset_t()
    pthread_sigmask(SIG_BLOCK, &signals, &before)
    self.before = before
  }

  /// The signalfd, which becomes readable when a signal has come.
  var descriptor: Int32 { owner.raw }

  /// The next signal that has come; nil when none has.
  func next() -> Int32? {
    let signal = tutti_signalfd_take(descriptor)
    return signal == 0 ? nil : signal
  }

  /// Gives the thread its previous mask back.
  func restore() {
    var before = before
    pthread_sigmask(SIG_SETMASK, &before, nil)
  }

  /// Stops this process as Ctrl-Z does, and returns when it goes on.
  static func stopThisProcess() {
    // It is not SIGSTOP, because the kernel ignores this signal where nobody could make the program go on.
    var stop = sigset_t()
    sigemptyset(&stop)
    sigaddset(&stop, SIGTSTP)
    pthread_sigmask(SIG_UNBLOCK, &stop, nil)
    raise(SIGTSTP)
    pthread_sigmask(SIG_BLOCK, &stop, nil)
  }
}
