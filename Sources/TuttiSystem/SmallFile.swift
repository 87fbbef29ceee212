import CTuttiLinux
import Glibc

/// The first `bytesMax` bytes of a file.
///
/// - Throws: `.transport` with the system's error, from `open` or `read`.
package func readFile(_ path: String, bytesMax: Int) throws(FailureReport) -> [UInt8] {
  let descriptor = OwnedDescriptor(try systemCall("open") { open(path, O_RDONLY | O_CLOEXEC) })
  var bytes = [UInt8](repeating: 0, count: bytesMax)
  var filled = 0
  while filled < bytesMax {
    let count = try systemCall("read") {
      bytes.withUnsafeMutableBytes { read(descriptor.raw, $0.baseAddress! + filled, bytesMax - filled) }
    }
    if count == 0 { break }
    filled += count
  }
  bytes.removeLast(bytesMax - filled)
  return bytes
}

/// The first `bytesMax` bytes of a file of /proc or /sys; nil when it cannot be read.
package func readSmallFile(_ path: String, bytesMax: Int = 4096) -> String? {
  (try? readFile(path, bytesMax: bytesMax)).map { String(decoding: $0, as: UTF8.self) }
}

/// The names in a folder, in no order; none where it cannot be read.
package func listFolder(_ path: String) -> [String] {
  guard let folder = opendir(path) else { return [] }
  defer { closedir(folder) }
  var names: [String] = []
  while let entry = readdir(folder) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
    }
    if name != "." && name != ".." { names.append(name) }
  }
  return names
}
