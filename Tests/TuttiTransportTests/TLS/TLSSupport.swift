import CTuttiTLS
import Glibc
import Patience
import TuttiSystem

/// Sessions for tests, and somebody on the way between two ends who sees and changes what passes.

/// A key that tests have.
let testTLSKey = (0..<32).map { UInt8($0) }

/// Closes the descriptor with the last reference.
func owning(_ descriptor: Int32) -> PassedDescriptor { PassedDescriptor(OwnedDescriptor(descriptor)) }

/// Drives both sides of a handshake until both have come to an end.
func handshake(
  _ first: TLSSession, _ second: TLSSession, between: () -> Void = {}
) throws -> (TLSSession.Progress, TLSSession.Progress) {
  let deadline = Patience.deadline(seconds: 10)
  while monotonicNanoseconds() < deadline {
    let progress = (first.handshake(), second.handshake())
    between()
    if progress.0.isFinal, progress.1.isFinal { return progress }
    usleep(200)
  }
  throw FailureReport(.timeout, "the handshake did not end")
}

extension TLSSession.Progress {
  var isFinal: Bool { self != .wantsRead && self != .wantsWrite }
  var hasFailed: Bool { if case .failed = self { true } else { false } }
}

/// Sessions over two connected sockets, whose handshake is done.
func tlsSessions(
  _ dialer: Int32, _ listener: Int32, recordsPerKey: UInt64 = TLSSession.recordsPerKey
) throws -> (dialer: TLSSession?, listener: TLSSession?) {
  try TLSLibrary.load([:])
  for socket in [dialer, listener] { _ = fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK) }
  let first = try TLSSession(.dialer, socket: dialer, key: testTLSKey, recordsPerKey: recordsPerKey)
  let second = try TLSSession(.listener, socket: listener, key: testTLSKey, recordsPerKey: recordsPerKey)
  let progress = try handshake(first, second)
  guard progress == (.done, .done) else { throw FailureReport(.transport, "the handshake failed: \(progress)") }
  return (first, second)
}

/// Two ends of a connection, and somebody on the way between them, who passes on what each end sends.
final class WireTap {
  private let ends: (near: PassedDescriptor, far: PassedDescriptor)
  private let inside: (near: PassedDescriptor, far: PassedDescriptor)
  /// Everything that the near end has sent.
  private(set) var sentByNear: [UInt8] = []
  /// What becomes of bytes that the near end sends.
  var change: ([UInt8]) -> [UInt8] = { $0 }

  init() throws {
    let (near, nearInside) = try unixSockets()
    let (far, farInside) = try unixSockets()
    ends = (owning(near), owning(far))
    inside = (owning(nearInside), owning(farInside))
  }

  var near: Int32 { ends.near.raw }
  var far: Int32 { ends.far.raw }

  /// Passes on what is there now.
  func pass() {
    while case .bytes(let bytes) = Sockets.receiveNow(inside.near.raw, max: 1 << 16) {
      sentByNear += bytes
      _ = Sockets.sendNow(inside.far.raw, change(bytes)[...])
    }
    while case .bytes(let bytes) = Sockets.receiveNow(inside.far.raw, max: 1 << 16) {
      _ = Sockets.sendNow(inside.near.raw, bytes[...])
    }
  }

  /// Sends to the far end as if the near one had.
  func inject(_ bytes: [UInt8]) { _ = Sockets.sendNow(inside.far.raw, bytes[...]) }
}

/// Two ends that have agreed on a key over a wire tap, and the bytes that the near one, which dials, sent for it.
struct TappedPair {
  let tap: WireTap
  let near: TLSSession
  let far: TLSSession
  let flight: [UInt8]

  init() throws {
    try TLSLibrary.load([:])
    tap = try WireTap()
    near = try TLSSession(.dialer, socket: tap.near, key: testTLSKey)
    far = try TLSSession(.listener, socket: tap.far, key: testTLSKey)
    let progress = try handshake(near, far, between: tap.pass)
    guard progress == (.done, .done) else { throw FailureReport(.transport, "the handshake failed: \(progress)") }
    flight = tap.sentByNear
  }
}

extension TLSSession {
  /// Sends all of it, which must fit.
  func send(_ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { tutti_tls_send(raw, $0.baseAddress, $0.count, nil, 0) } == bytes.count
  }

  /// What is there now, or the negative `errno`; empty at the end of the stream.
  func receive(max: Int = 1 << 20) -> Result<[UInt8], SystemError> {
    var moved = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: max) { buffer, count in
      moved = tutti_tls_receive(raw, buffer.baseAddress, max, nil, 0)
      count = Swift.max(moved, 0)
    }
    return moved < 0 ? .failure(SystemError(code: Int32(-moved))) : .success(bytes)
  }
}
