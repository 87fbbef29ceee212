import CTuttiLinux
import Glibc

/// The first `bytesMax` bytes of a file of /proc or /sys; nil when it cannot be read.
package func readSmallFile(_ path: String, bytesMax: Int = 4096) -> String? {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { return nil }
  defer { close(descriptor) }
  var bytes = [UInt8](repeating: 0, count: bytesMax)
  var filled = 0
  while filled < bytesMax {
    let count = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress! + filled, bytesMax - filled) }
    if count < 0 && errno == EINTR { continue }
    if count < 0 { return nil }
    if count == 0 { break }
    filled += count
  }
  return String(decoding: bytes[0..<filled], as: UTF8.self)
}
