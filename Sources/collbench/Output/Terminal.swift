import Glibc
import TuttiLaunch

/// Standard output and error. Results go to standard output; progress and errors to standard error.
enum Terminal {
  static let outputIsTerminal = isatty(STDOUT_FILENO) == 1
  static let errorIsTerminal = isatty(STDERR_FILENO) == 1
  private static let coloured = outputIsTerminal && getenv("NO_COLOR") == nil

  /// Writes results.
  ///
  /// - Throws: ``CommandFailure`` when they did not arrive, so that the exit status is not 0.
  static func write(_ text: String) throws(CommandFailure) {
    do throws(StandardStream.Failure) {
      try StandardStream.output.write(text)
      try StandardStream.output.flush()
    } catch { throw CommandFailure(resultsLost(error)) }
  }

  static func resultsLost(_ failure: StandardStream.Failure) -> String {
    "standard output: \(failure). Results are missing there."
  }

  /// Writes an error. If that fails, there is nobody left to tell.
  static func error(_ text: String) { try? StandardStream.error.write(inFlags(text) + "\n") }

  /// Replaces the progress line; only where someone can see it replaced.
  static func progress(_ text: String) {
    guard errorIsTerminal else { return }
    try? StandardStream.error.write("\r\u{1B}[K" + text)
  }

  static func red(_ text: String) -> String { coloured ? "\u{1B}[31m\(text)\u{1B}[0m" : text }
}

/// Ends a command with exit status 1, and a message for standard error of one screen at most.
struct CommandFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Puts a library's error into this tool's words: "choose the transport tcp" becomes "choose --transport tcp".
func inFlags(_ text: String) -> String {
  text.replacing(/\bthe transport (\w+)\b/) { Catalog.transports.contains(String($0.1)) ? "--transport \($0.1)" : "\($0.0)" }
}

/// A count with its noun: `1 rank`, `4 ranks`.
func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

/// The text of `errno`.
func systemErrorText(_ code: Int32 = errno) -> String { String(cString: strerror(code)) }
