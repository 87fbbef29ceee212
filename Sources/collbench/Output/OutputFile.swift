import Glibc
import TuttiLaunch

/// The file of `--output`. A regular file appears complete or not at all: it is written beside its name, then renamed. Links
/// are followed, and a device, FIFO or other file that is not regular is written to and stays what it is.
struct OutputFile {
  let path: String
  /// The regular file that is replaced or made, with the permissions that it has; nil where the text is written to what
  /// exists.
  private let replaced: (path: String, mode: mode_t?)?

  /// - Throws: ``CommandFailure`` when the folder is missing or cannot be written, so that nobody measures for an hour
  ///   first.
  init(path: String) throws(CommandFailure) {
    self.path = path
    var status = stat()
    let exists = stat(path, &status) == 0
    if exists, status.st_mode & S_IFMT == S_IFDIR {
      throw CommandFailure("--output \(path): is a folder. Name a file in it.")
    }
    if exists, status.st_mode & S_IFMT != S_IFREG {
      replaced = nil
      guard access(path, W_OK) == 0 else { throw CommandFailure("--output \(path): \(systemErrorText()).") }
      return
    }
    let target = Self.target(of: path)
    var found = stat()
    // Links of /proc lead to files by other ways than their text: `/dev/stdout` may lead to a file that has no name any
    // more.
    if exists, stat(target, &found) != 0 || found.st_ino != status.st_ino || found.st_dev != status.st_dev {
      replaced = nil
      return
    }
    let folder = Self.folder(of: target)
    guard stat(folder, &found) == 0, found.st_mode & S_IFMT == S_IFDIR else {
      throw CommandFailure("--output \(path): the folder '\(folder)' does not exist. Create it first.")
    }
    guard access(folder, W_OK | X_OK) == 0 else {
      throw CommandFailure("--output \(path): cannot write in '\(folder)': \(systemErrorText()).")
    }
    replaced = (target, exists ? status.st_mode & 0o7777 : nil)
  }

  func write(_ text: String) throws(CommandFailure) {
    guard let replaced else { return try write(text, to: open(path, O_WRONLY | O_CLOEXEC), flushes: false) }
    let temporary = "\(replaced.path).\(getpid()).partial"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw failure() }
    var isComplete = false
    defer { if !isComplete { unlink(temporary) } }
    if let mode = replaced.mode { fchmod(descriptor, mode) }
    try write(text, to: descriptor, flushes: true)
    guard rename(temporary, replaced.path) == 0 else { throw failure() }
    isComplete = true
  }

  /// Writes and closes.
  private func write(_ text: String, to descriptor: Int32, flushes: Bool) throws(CommandFailure) {
    guard descriptor >= 0 else { throw failure() }
    do throws(StandardStream.Failure) {
      try writeAll(descriptor, text)
    } catch {
      close(descriptor)
      throw CommandFailure("--output \(path): \(error).")
    }
    let isFlushed = !flushes || fsync(descriptor) == 0
    guard close(descriptor) == 0, isFlushed else { throw failure() }
  }

  private func failure() -> CommandFailure { CommandFailure("--output \(path): \(systemErrorText()).") }

  /// The name at the end of a path's links, even where nothing has that name yet.
  private static func target(of path: String) -> String {
    var target = path
    // The kernel follows as many links.
    for _ in 0..<40 {
      var buffer = [CChar](repeating: 0, count: 4096)
      let length = readlink(target, &buffer, buffer.count - 1)
      guard length > 0 else { break }
      let next = String(decoding: buffer.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self)
      target = next.hasPrefix("/") ? next : folder(of: target) + "/" + next
    }
    return target
  }

  private static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
