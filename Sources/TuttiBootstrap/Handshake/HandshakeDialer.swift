import CTuttiLinux
import Glibc
import TuttiSystem

/// The dialer's side of a handshake, on a connected non-blocking socket. Blocks until the deadline at most.
struct HandshakeDialer {
  /// Why a handshake came to nothing.
  enum Failure: Error, Equatable {
    /// The other side closed, or the connection broke, before it had said anything.
    case closedBeforeAnswer(Int32)
    /// The connection broke in the middle.
    case broken(Int32)
    /// Silence until the deadline.
    case silent
    /// The caller gave up.
    case cancelled
    /// Whoever listens there does not speak this protocol.
    case stranger
    /// Another version of the protocol.
    case version(UInt16)
    /// The listener does not know the secret.
    case unproven
    /// The listener refused.
    case refused(HandshakeVerdict)
    /// Both sides know the secret, and TLS with it has failed: why, in words.
    case insecure(String)
  }

  /// The socket. Its owner closes it.
  let socket: Int32
  let deadline: UInt64
  let clock: MonotonicClock
  let giveUp: () -> Bool
  /// What the TLS key of a TCP connection is derived from; nil to stay in the clear.
  var tls: MessageKey?

  /// - Returns: The session that the connection speaks from here on; nil where it stays in the clear.
  @discardableResult
  func run(hello: HandshakeHello, key: MessageKey) throws(Failure) -> TLSSession? {
    try send(hello.bytes)
    return try answer(hello: hello, key: key)
  }

  /// Does what follows the hello.
  @discardableResult
  func answer(hello: HandshakeHello, key: MessageKey) throws(Failure) -> TLSSession? {
    precondition(hello.isEncrypting == (tls != nil), "a hello says what the dialer does")
    let helloBytes = hello.bytes
    let answer = try readReply(of: hello.version, isFirst: true)
    guard answer == .fine else { throw .refused(answer) }
    let nonce = try read(Handshake.nonceByteCount)
    let proof = try read(Handshake.proofByteCount)
    guard Handshake.isProof(proof, of: .listener, hello: helloBytes, listenerNonce: nonce, key: key) else {
      // Tells an honest listener why; proves nothing to a false one.
      try? send([HandshakeVerdict.wrongSecret.rawValue, 0, 0, 0] + [UInt8](repeating: 0, count: Handshake.proofByteCount))
      throw .unproven
    }
    let own = Handshake.proof(.dialer, hello: helloBytes, listenerNonce: nonce, key: key)
    try send([HandshakeVerdict.fine.rawValue, 0, 0, 0] + own)
    let verdict = try readReply(of: hello.version, isFirst: false)
    guard verdict == .fine else { throw .refused(verdict) }
    // What stays in this host is not encrypted.
    guard let tls, Sockets.localAddress(socket) != nil else { return nil }
    return try secure(Handshake.tlsKey(hello: helloBytes, listenerNonce: nonce, key: tls))
  }

  private func secure(_ key: [UInt8]) throws(Failure) -> TLSSession {
    let session: TLSSession
    do throws(FailureReport) { session = try TLSSession(.dialer, socket: socket, key: key) } catch {
      throw .insecure(error.message)
    }
    while true {
      switch session.handshake() {
      case .done: return session
      case .wantsRead: try wait(POLLIN)
      case .wantsWrite: try wait(POLLOUT)
      case .failed(let why): throw .insecure(why)
      }
    }
  }

  private func readReply(of version: UInt16, isFirst: Bool) throws(Failure) -> HandshakeVerdict {
    let bytes = try read(Handshake.replyHeaderByteCount, isFirst: isFirst)
    guard let reply = try? Handshake.readReplyHeader(bytes) else { throw .stranger }
    guard reply.version == version else { throw .version(reply.version) }
    return reply.verdict
  }

  private func send(_ bytes: [UInt8]) throws(Failure) {
    var rest = bytes[...]
    while !rest.isEmpty {
      switch Sockets.sendNow(socket, rest) {
      case .success(let count):
        rest = rest.dropFirst(count)
        if count == 0 { try wait(POLLOUT) }
      case .failure(let error):
        // The answer to what was sent before may say why; it is read next.
        if error.code == EPIPE || error.code == ECONNRESET { return }
        throw .broken(error.code)
      }
    }
  }

  private func read(_ count: Int, isFirst: Bool = false) throws(Failure) -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
      switch Sockets.receiveNow(socket, max: count - bytes.count) {
      case .bytes(let more):
        bytes += more
        // A stranger is known by its first wrong byte; it may never send as many as wanted.
        if isFirst, !zip(bytes, handshakeMagic).allSatisfy(==) { throw .stranger }
      case .nothing:
        try wait(POLLIN)
      case .end(let code):
        throw isFirst && bytes.isEmpty ? .closedBeforeAnswer(code) : .broken(code)
      }
    }
    return bytes
  }

  private func wait(_ events: Int32) throws(Failure) {
    while true {
      if giveUp() { throw .cancelled }
      let limit = min(deadline, clock.now() + 50 * Clock.millisecond)
      if Sockets.wait(socket, for: events, until: limit, clock: clock) { return }
      if clock.now() >= deadline { throw .silent }
    }
  }
}
