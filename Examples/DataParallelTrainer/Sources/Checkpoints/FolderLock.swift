import Glibc

/// Keeps other runs out of a folder of checkpoints, which two runs would prune and tidy away from each other.
///
/// Owns the descriptor of `.lock` in that folder, and with it an exclusive `flock(2)`: from the first ``take(in:)`` until
/// this is deallocated, or the process ends, however it does. The file itself stays: it means nothing without a lock on it,
/// and removing it would let two runs lock two files of one name.
final class FolderLock {
  static let fileName = ".lock"
  private var descriptor: Int32 = -1

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Locks the folder, without waiting. A lock that is held already is kept.
  ///
  /// - Throws: ``CheckpointError`` with `.occupied` where another run has it; `.unwritable`, also where the file system
  ///   cannot lock files; `.diskFull`.
  func take(in folder: String) throws(CheckpointError) {
    if descriptor >= 0 { return }
    let path = "\(folder)/\(Self.fileName)"
    let opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard opened >= 0 else { throw .writing(path) }
    var result = flock(opened, LOCK_EX | LOCK_NB)
    while result != 0 && errno == EINTR { result = flock(opened, LOCK_EX | LOCK_NB) }
    guard result == 0 else {
      let code = errno
      close(opened)
      throw Self.failure(folder, code)
    }
    descriptor = opened
  }

  /// Why `flock` refused.
  static func failure(_ folder: String, _ code: Int32) -> CheckpointError {
    switch code {
    case EWOULDBLOCK:
      CheckpointError(
        .occupied, folder,
        "another run writes checkpoints to it now. Wait until that one has ended, or name another folder.")
    case ENOLCK, EOPNOTSUPP, ENOSYS:
      CheckpointError(
        .unwritable, folder,
        "its file system cannot lock files (\(String(cString: strerror(code)))), so a second run could not be kept "
          + "from removing what this one writes. Name a folder on a file system that has flock.")
    default: .writing("\(folder)/\(fileName)", code)
    }
  }
}
