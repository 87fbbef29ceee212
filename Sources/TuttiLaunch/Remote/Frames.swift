import Glibc
import TuttiSystem

/// Takes frames out of a stream of bytes: four bytes of length, little-endian, and as many bytes of message.
struct FrameReader {
  static let bytesMax = 1 << 24

  private var bytes: [UInt8] = []
  private var start = 0

  mutating func add(_ new: some Collection<UInt8>) {
    if start > 1 << 16 {
      bytes.removeFirst(start)
      start = 0
    }
    bytes += new
  }

  /// The next message; nil when it has not all come yet.
  mutating func next() throws(MalformedMessage) -> [UInt8]? {
    guard bytes.count - start >= 4 else { return nil }
    let length = (0..<4).reduce(0) { $0 | Int(bytes[start + $1]) << (8 * $1) }
    guard length <= Self.bytesMax else { throw MalformedMessage("length") }
    guard bytes.count - start >= 4 + length else { return nil }
    defer { start += 4 + length }
    return Array(bytes[start + 4..<start + 4 + length])
  }
}

/// Frames on their way into a descriptor that does not block.
struct FrameQueue {
  private var bytes: [UInt8] = []
  private var start = 0

  var count: Int { bytes.count - start }
  var isEmpty: Bool { count == 0 }

  mutating func add(_ message: [UInt8]) {
    withUnsafeBytes(of: UInt32(message.count).littleEndian) { bytes.append(contentsOf: $0) }
    bytes += message
  }

  mutating func add(line: String) { bytes += Array((line + "\n").utf8) }

  /// Writes what the descriptor takes now. False when its other end is gone.
  mutating func write(to descriptor: Int32) -> Bool {
    while start < bytes.count {
      let count = bytes[start...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        return errno == EAGAIN
      }
      start += count
    }
    bytes.removeAll(keepingCapacity: true)
    start = 0
    return true
  }

  /// Writes what a socket takes now, without a signal when its other end is gone. False when it is.
  mutating func send(to socket: Int32) -> Bool {
    while start < bytes.count {
      switch Sockets.sendNow(socket, bytes[start...]) {
      case .success(0): return true
      case .success(let count): start += count
      case .failure: return false
      }
    }
    bytes.removeAll(keepingCapacity: true)
    start = 0
    return true
  }
}
