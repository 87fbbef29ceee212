import Glibc
import TuttiTopology
import TuttiTopologyFiles

/// Why a file gives no topology: it cannot be read, or is wrong. For standard error, with the file's name first, so that
/// editors can jump there.
struct TopologyFailure: Error, CustomStringConvertible {
  let description: String
}

extension Topology {
  /// The topology of a file. Of a longer one than there can be, no more is read than tells that.
  static func read(_ path: String) throws(TopologyFailure) -> Topology {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw TopologyFailure(description: "\(path): \(systemErrorText()).") }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: fileBytesMax + 1)
    var count = 0
    while count < bytes.count {
      let got = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress! + count, $0.count - count) }
      if got < 0, errno == EINTR { continue }
      guard got >= 0 else { throw TopologyFailure(description: "\(path): \(systemErrorText()).") }
      if got == 0 { break }
      count += got
    }
    do throws(TopologyError) { return try Topology(file: path, bytes: bytes[..<count]) } catch {
      throw TopologyFailure(description: error.description)
    }
  }

  /// `1024 hosts, 8192 ranks`.
  var counts: String {
    (hostCount == 1 ? "1 host" : "\(hostCount) hosts") + ", " + (rankCount == 1 ? "1 rank" : "\(rankCount) ranks")
  }
}
