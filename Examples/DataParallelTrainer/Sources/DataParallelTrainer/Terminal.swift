import Foundation

/// Standard output and error, past any buffering of the C library: results go to standard output, everything else to
/// standard error.
enum Terminal {
  static func write(_ text: String) { writeAll(STDOUT_FILENO, text + "\n") }

  static func error(_ text: String) { writeAll(STDERR_FILENO, text + "\n") }

  private static func writeAll(_ descriptor: Int32, _ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if written < 0 && errno == EINTR { continue }
      // A reader that is gone (`DataParallelTrainer | head`) is no failure of the training.
      guard written > 0 else { return }
      bytes = bytes.dropFirst(written)
    }
  }
}

/// What ends a command with exit status 1: a message for standard error, one screen at most.
struct CommandFailure: Error, CustomStringConvertible {
  let description: String
  /// Whether every rank fails with the same.
  let isShared: Bool

  init(_ description: String, isShared: Bool = false) { (self.description, self.isShared) = (description, isShared) }
}

/// The text of `errno`.
func systemErrorText(_ code: Int32 = errno) -> String { String(cString: strerror(code)) }

/// `value` with exactly `digits` digits after the point.
func decimal(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }

/// `text` with spaces in front of it, to at least `width` characters.
func padded(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) + text }
