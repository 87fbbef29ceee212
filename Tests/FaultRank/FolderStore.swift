import Glibc
import Tutti

/// A store of files in a folder that all ranks see: what a program would write that has nothing else.
struct FolderStore: Rendezvous {
  let folder: String

  struct FileError: Error {
    let path: String
    let code: Int32
  }

  private func path(_ key: String) -> String {
    "\(folder)/" + String(key.map { $0 == "/" ? "+" : $0 })
  }

  func put(_ value: [UInt8], for key: String, timeout: Duration) throws {
    // Renamed when it is whole.
    let draft = path(key) + ".\(getpid())"
    let file = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw FileError(path: draft, code: errno) }
    let written = write(file, value, value.count)
    close(file)
    guard written == value.count, rename(draft, path(key)) == 0 else { throw FileError(path: draft, code: errno) }
  }

  func get(_ key: String, timeout: Duration) throws -> [UInt8]? {
    let file = open(path(key), O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var value = [UInt8](repeating: 0, count: RendezvousLimits.valueBytesMax)
    let count = read(file, &value, value.count)
    guard count >= 0 else { throw FileError(path: path(key), code: errno) }
    return Array(value.prefix(count))
  }
}
