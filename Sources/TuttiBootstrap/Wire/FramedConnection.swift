import Glibc
import TuttiSystem

/// How much a rank has said to others, and heard of them, but for proving the secret.
package struct ControlTraffic: Sendable {
  package var bytesSent = 0
  package var bytesReceived = 0

  static func + (one: ControlTraffic, other: ControlTraffic) -> ControlTraffic {
    ControlTraffic(bytesSent: one.bytesSent + other.bytesSent, bytesReceived: one.bytesReceived + other.bytesReceived)
  }
}

/// An authenticated, non-blocking connection that carries frames: a 32-bit length, then that many bytes.
///
/// Owns its connection. Not thread-safe: its owner's lock or thread protects it.
/// Invariant: it holds at most one frame of `frameBytesMax` and one read more of input, and after a read nothing is left
/// where polling the socket does not show it; what is queued for output is bounded by the owner, who asks ``queuedBytes``.
final class FramedConnection {
  enum State: Equatable {
    case open
    /// The other side closed (0), or the connection broke (`errno`).
    case ended(Int32)
    /// The other side sent something that is no frame.
    case malformed
  }

  let peer: Int
  /// The number of the socket, also once that is closed: to ask the kernel about while it is open.
  let descriptor: Int32
  private(set) var state = State.open
  /// Whether its owner watches it for room to send, too.
  var isWatchedForRoom = false
  private(set) var traffic = ControlTraffic()
  /// The largest frame that the other side may send from here on.
  var frameBytesMax: Int
  private let sentFrameBytesMax: Int
  private var input: [UInt8] = []
  /// Frames and their lengths. A frame that goes to many connections is one array, however many it waits for.
  private var output: [ArraySlice<UInt8>] = []
  private var connection: Connection?
  private let clock: MonotonicClock

  /// - Parameters:
  ///   - frameBytesMax: The largest frame that the other side may send.
  ///   - sentFrameBytesMax: The largest that the other side takes; nil for the same.
  ///   - clock: What ``flush(until:)`` and ``awaitFrame(until:)`` wait by.
  init(
    peer: Int, _ connection: consuming Connection, frameBytesMax: Int, sentFrameBytesMax: Int? = nil, clock: MonotonicClock
  ) {
    self.peer = peer
    descriptor = connection.raw
    self.connection = consume connection
    self.clock = clock
    self.frameBytesMax = frameBytesMax
    self.sentFrameBytesMax = sentFrameBytesMax ?? frameBytesMax
  }

  func close() {
    connection = nil
    if state == .open { state = .ended(0) }
  }

  private var isClosed: Bool { connection == nil }

  var queuedBytes: Int { output.reduce(0) { $0 + $1.count } }

  func queue(_ frame: [UInt8]) {
    precondition(frame.count <= sentFrameBytesMax)
    var encoder = WireEncoder()
    encoder.put(UInt32(frame.count))
    // Small ones go in one piece, so that they cost one system call.
    if frame.count <= 4096 {
      output.append((encoder.bytes + frame)[...])
    } else {
      output.append(encoder.bytes[...])
      output.append(frame[...])
    }
  }

  /// Hands to the kernel what it takes now. A broken connection shows when it is read.
  func flush() {
    while let piece = output.first {
      guard let sent = connection?.sendNow(piece) else { return }
      guard case .success(let count) = sent else { return output.removeAll() }
      if count == 0, !piece.isEmpty { return }
      traffic.bytesSent += count
      output[0] = piece.dropFirst(count)
      if output[0].isEmpty { output.removeFirst() }
    }
  }

  /// Waits for room and flushes, until all is sent, the connection breaks, or the deadline. True when nothing is left.
  func flush(until deadline: UInt64) -> Bool {
    flush()
    while !output.isEmpty, Sockets.wait(descriptor, for: POLLOUT, until: deadline, clock: clock) { flush() }
    return output.isEmpty
  }

  /// Reads a bounded amount of what is there. Returns whether more may be waiting.
  @discardableResult
  func fill() -> Bool {
    guard state == .open, !isClosed, input.count < frameBytesMax + 4 else { return false }
    switch connection?.receiveNow(max: 65536) ?? .nothing {
    case .bytes(let bytes):
      input += bytes
      traffic.bytesReceived += bytes.count
      return true
    case .nothing:
      return false
    case .end(let code):
      state = .ended(code)
      return false
    }
  }

  /// Takes the next frame that is complete.
  func nextFrame() -> [UInt8]? {
    guard state != .malformed, input.count >= 4 else { return nil }
    let length = input[0..<4].reversed().reduce(0) { $0 << 8 | Int($1) }
    guard length <= frameBytesMax else {
      state = .malformed
      return nil
    }
    guard input.count >= 4 + length else { return nil }
    let frame = Array(input[4..<4 + length])
    input.removeFirst(4 + length)
    // The room that a large frame took is not kept for small ones.
    if input.isEmpty, length > 4096 { input = [] }
    return frame
  }

  /// Waits for the next frame, the connection's end or the deadline.
  func awaitFrame(until deadline: UInt64) -> [UInt8]? {
    while true {
      if let frame = nextFrame() { return frame }
      if fill() { continue }
      guard state == .open, Sockets.wait(descriptor, for: POLLIN, until: deadline, clock: clock) else { return nil }
    }
  }
}
