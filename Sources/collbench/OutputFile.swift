import Glibc

/// A result file that appears complete or not at all: written beside its name, then renamed.
struct OutputFile {
  let path: String

  /// - Throws: ``CommandFailure`` when the folder is missing or cannot be written, so that nobody measures for an hour first.
  init(path: String) throws {
    self.path = path
    let folder = Self.folder(of: path)
    var status = stat()
    guard stat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
      throw CommandFailure("--output \(path): the folder '\(folder)' does not exist. Create it first.")
    }
    guard access(folder, W_OK | X_OK) == 0 else {
      throw CommandFailure("--output \(path): cannot write in '\(folder)': \(systemErrorText()).")
    }
    if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
      throw CommandFailure("--output \(path): is a folder. Name a file in it.")
    }
  }

  func write(_ text: String) throws {
    let temporary = "\(path).\(getpid()).partial"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw failure() }
    var complete = false
    defer { if !complete { unlink(temporary) } }
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if written < 0 && errno == EINTR { continue }
      guard written > 0 else {
        let error = failure()
        close(descriptor)
        throw error
      }
      bytes = bytes.dropFirst(written)
    }
    let flushed = fsync(descriptor) == 0
    guard close(descriptor) == 0, flushed, rename(temporary, path) == 0 else { throw failure() }
    complete = true
  }

  private func failure() -> CommandFailure { CommandFailure("--output \(path): \(systemErrorText()).") }

  private static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
