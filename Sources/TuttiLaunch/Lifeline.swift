import CTuttiLinux
import Glibc
import TuttiSystem

/// Tells ranks when their launcher is gone: their standard input is a pipe into which nobody writes, and which the kernel
/// then closes.
///
/// Ranks on this machine are killed with their launcher in any case. A lifeline reaches further: a rank inside another
/// program, such as `unshare --fork`, and one that has changed its user.
public enum Lifeline {
  /// The variable that says which pipe it is, so that a program with another standard input does not take that for the
  /// lifeline.
  static let variable = "TUTTI_LIFELINE"

  /// Makes this process end with its launcher from now on, by `_exit` with status 1, whatever it is waiting for.
  ///
  /// Does nothing in a process whose standard input is no lifeline. A program that is a rank should call it first.
  public static func hold() {
    guard let text = getenv(variable), let identity = UInt64(String(cString: text)),
      pipeIdentity(STDIN_FILENO) == identity
    else { return }
    try? startDetachedThread("tutti lifeline") {
      var byte: UInt8 = 0
      while true {
        let count = read(STDIN_FILENO, &byte, 1)
        if count == 0 || (count < 0 && errno != EINTR) { _exit(1) }
      }
    }
  }

  /// The number of a pipe; nil for a descriptor that is something else.
  static func pipeIdentity(_ descriptor: Int32) -> UInt64? {
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFIFO else { return nil }
    return UInt64(status.st_ino)
  }
}
