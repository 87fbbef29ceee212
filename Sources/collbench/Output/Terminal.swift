import Glibc
import TuttiLaunch

/// Standard output and error. Results go to standard output; progress and errors to standard error.
enum Terminal {
  static let outputIsTerminal = isatty(STDOUT_FILENO) == 1
  static let errorIsTerminal = isatty(STDERR_FILENO) == 1
  private static let coloured = outputIsTerminal && getenv("NO_COLOR") == nil

  /// Writes results.
  ///
  /// - Throws: ``CommandFailure`` when they did not arrive: then the exit status must not be 0.
  static func write(_ text: String) throws(CommandFailure) {
    do throws(StandardStream.Failure) {
      try StandardStream.output.write(text)
      try StandardStream.output.flush()
    } catch { throw CommandFailure(resultsLost(error)) }
  }

  static func resultsLost(_ failure: StandardStream.Failure) -> String {
    "standard output: \(failure). Results are missing there."
  }

  /// Nobody can be told that nobody is told.
  static func error(_ text: String) { try? StandardStream.error.write(text + "\n") }

  /// Replaces the progress line; only where someone can see it replaced.
  static func progress(_ text: String) {
    guard errorIsTerminal else { return }
    try? StandardStream.error.write("\r\u{1B}[K" + text)
  }

  static func red(_ text: String) -> String { coloured ? "\u{1B}[31m\(text)\u{1B}[0m" : text }
}

/// What ends a command with exit status 1: a message for standard error, one screen at most.
struct CommandFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// The text of `errno`.
func systemErrorText(_ code: Int32 = errno) -> String { String(cString: strerror(code)) }
