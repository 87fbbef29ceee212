import Glibc

/// Standard output and error, written whole or not at all, past any buffering of the C library.
///
/// Results go to standard output; progress and errors to standard error.
enum Terminal {
  static let outputIsTerminal = isatty(STDOUT_FILENO) == 1
  static let errorIsTerminal = isatty(STDERR_FILENO) == 1
  private static let coloured = outputIsTerminal && getenv("NO_COLOR") == nil

  static func write(_ text: String) { writeAll(STDOUT_FILENO, text) }

  static func error(_ text: String) { writeAll(STDERR_FILENO, text + "\n") }

  /// Replaces the progress line; only where someone can see it replaced.
  static func progress(_ text: String) {
    guard errorIsTerminal else { return }
    writeAll(STDERR_FILENO, "\r\u{1B}[K" + text)
  }

  static func red(_ text: String) -> String { coloured ? "\u{1B}[31m\(text)\u{1B}[0m" : text }

  private static func writeAll(_ descriptor: Int32, _ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if written < 0 && errno == EINTR { continue }
      // A reader that is gone (`collbench | head`) is no failure of the measurement.
      guard written > 0 else { return }
      bytes = bytes.dropFirst(written)
    }
  }
}

/// What ends a command with exit status 1: a message for standard error, one screen at most.
struct CommandFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// The text of `errno`.
func systemErrorText(_ code: Int32 = errno) -> String { String(cString: strerror(code)) }
