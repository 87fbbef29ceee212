import Digests
import Glibc

/// A file being written whose bytes are on the disk when ``finish()`` returns.
///
/// Owns the descriptor. A file that is not finished is left as it is: its folder is a temporary one.
struct DurableFile: ~Copyable {
  private let path: String
  private let descriptor: Int32
  private var hash = SHA256()
  private(set) var bytes = 0

  /// - Throws: ``CheckpointError``; also when the file is there already.
  init(creating path: String) throws(CheckpointError) {
    self.path = path
    descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw .writing(path) }
  }

  deinit { close(descriptor) }

  mutating func write(_ buffer: UnsafeRawBufferPointer) throws(CheckpointError) {
    hash.update(buffer)
    bytes += buffer.count
    var rest = buffer[...]
    while !rest.isEmpty {
      let written = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
      if written < 0 && errno == EINTR { continue }
      guard written > 0 else { throw .writing(path, written == 0 ? ENOSPC : errno) }
      rest = rest.dropFirst(written)
    }
  }

  /// - Returns: The SHA-256 of everything written, in hexadecimal.
  consuming func finish() throws(CheckpointError) -> String {
    guard fsync(descriptor) == 0 else { throw .writing(path) }
    return hash.finish()
  }
}

/// Makes the names in a folder durable: files made, renamed and removed.
func synchronizeFolder(_ path: String) throws(CheckpointError) {
  let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  guard descriptor >= 0 else { throw .writing(path) }
  defer { close(descriptor) }
  guard fsync(descriptor) == 0 else { throw .writing(path) }
}
