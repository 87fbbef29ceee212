import Foundation
import TuttiLaunch

/// Standard output and error: results go to standard output, everything else to standard error.
enum Terminal {
  /// - Throws: ``CommandFailure`` when the text has not arrived. A reader that is gone (`DataParallelTrainer | head`) is no
  ///   failure of the training.
  static func write(_ text: String) throws {
    do throws(StandardStream.Failure) {
      try StandardStream.output.write(text + "\n")
      try StandardStream.output.flush()
    } catch {
      if !error.readerHasLeft { throw CommandFailure("standard output: \(error). Results are missing there.") }
    }
  }

  /// Writes an error. If that fails, there is nobody left to tell.
  static func error(_ text: String) { try? StandardStream.error.write(inFlags(text) + "\n") }
}

/// Ends a command with exit status 1, and a message for standard error of one screen at most.
struct CommandFailure: Error, CustomStringConvertible {
  let description: String
  /// Whether every rank fails with the same error.
  let isShared: Bool

  init(_ description: String, isShared: Bool = false) { (self.description, self.isShared) = (description, isShared) }
}

/// Puts a library's error into this program's words: "choose the transport tcp" becomes "choose --transport tcp".
func inFlags(_ text: String) -> String {
  text.replacing(/\bthe transport (auto|shm|tcp)\b/) { "--transport \($0.1)" }
}

/// The text of `errno`.
func systemErrorText(_ code: Int32 = errno) -> String { String(cString: strerror(code)) }

/// `value` with exactly `digits` digits after the point.
func decimal(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }

/// `text` with spaces in front of it, to at least `width` characters.
func padded(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) + text }
