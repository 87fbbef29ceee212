import TuttiSystem

/// What a listener accepts.
struct ListenerPolicy: Sendable {
  let rank: Int
  /// Connections that honest ranks may open at the same time.
  let expected: Int
  let communicator: CommunicatorID
  let key: MessageKey
  /// What connections over TCP derive their TLS keys from; nil where they stay in the clear.
  var tls: MessageKey? = nil
  /// Judges a hello's ranks and role, before any proof; only reads the hello.
  let judge: @Sendable (HandshakeHello) -> HandshakeVerdict
  var version = protocolVersion
}

/// How far a dialer has come. Ordered.
enum HandshakeProgress: Int, CaseIterable {
  /// Nothing has come.
  case silent
  /// The beginning of a hello has come, which every stranger can send.
  case speaking
  /// A whole hello has come that asks for what is here, and is yet to be proven.
  case claiming
  /// The secret is proven, and TLS is being set up.
  case proven
}

/// The listener's side of one handshake: bytes in, bytes out, no input or output of its own.
///
/// Invariant: it asks for exactly the bytes of the next message, so nothing that follows the handshake is swallowed, and
/// holds at most one message. After `.accepted` or `.refused` it is finished.
struct ListenerHandshake {
  enum Event {
    case more
    case reply([UInt8])
    /// `tlsKey` is for what follows the reply, where that is encrypted.
    case accepted(HandshakeHello, tlsKey: [UInt8]?, reply: [UInt8])
    /// `claimed` is what the dialer said it was, if it said so.
    case refused(HandshakeVerdict, claimed: HandshakeHello?, dialerVersion: UInt16, reply: [UInt8])
  }

  private enum State { case prefix, hello, proof }

  private let policy: ListenerPolicy
  private let nonce: [UInt8]
  private var state = State.prefix
  private var received: [UInt8] = []
  private var helloBytes: [UInt8] = []
  private var hello: HandshakeHello?

  init(policy: ListenerPolicy, nonce: [UInt8] = Handshake.freshNonce()) {
    self.policy = policy
    self.nonce = nonce
  }

  /// Bytes to read before the next call; at least 1.
  var bytesWanted: Int {
    switch state {
    case .prefix: HandshakeHello.prefixByteCount - received.count
    case .hello: HandshakeHello.byteCount - received.count
    case .proof: Handshake.proofMessageByteCount - received.count
    }
  }

  /// What the dialer says it is, once it has said so.
  var claimed: HandshakeHello? { hello }

  var progress: HandshakeProgress {
    switch state {
    case .prefix: received.isEmpty ? .silent : .speaking
    case .hello: .speaking
    case .proof: .claiming
    }
  }

  /// Takes at most ``bytesWanted`` bytes.
  mutating func receive(_ bytes: some Collection<UInt8>) -> Event {
    precondition(bytes.count <= bytesWanted)
    received.append(contentsOf: bytes)
    switch state {
    case .prefix: return receivePrefix()
    case .hello: return bytesWanted == 0 ? receiveHello() : .more
    case .proof: return bytesWanted == 0 ? receiveProof() : .more
    }
  }

  private func refuse(_ verdict: HandshakeVerdict, version: UInt16 = protocolVersion) -> Event {
    .refused(
      verdict, claimed: hello, dialerVersion: version, reply: Handshake.replyHeader(verdict, version: policy.version))
  }

  /// A stranger is known by its first wrong byte, and another version before its hello, which may have another size.
  private mutating func receivePrefix() -> Event {
    guard zip(received, handshakeMagic).allSatisfy(==) else { return refuse(.malformed) }
    guard bytesWanted == 0 else { return .more }
    let version = UInt16(received[8]) | UInt16(received[9]) << 8
    guard version == policy.version else { return refuse(.wrongVersion, version: version) }
    state = .hello
    return .more
  }

  private mutating func receiveHello() -> Event {
    guard let said = try? HandshakeHello(received) else { return refuse(.malformed) }
    hello = said
    helloBytes = received
    guard said.communicator == policy.communicator else { return refuse(.unknownCommunicator) }
    guard said.to == policy.rank else { return refuse(.wrongRank) }
    let verdict = policy.judge(said)
    guard verdict == .fine else { return refuse(verdict) }
    received = []
    state = .proof
    let proof = Handshake.proof(.listener, hello: helloBytes, listenerNonce: nonce, key: policy.key)
    return .reply(Handshake.replyHeader(.fine, version: policy.version) + nonce + proof)
  }

  private mutating func receiveProof() -> Event {
    // A dialer that did not believe this side's proof says so instead of proving itself.
    let proof = Array(received[4...])
    guard let hello, received[0] == HandshakeVerdict.fine.rawValue,
      Handshake.isProof(proof, of: .dialer, hello: helloBytes, listenerNonce: nonce, key: policy.key)
    else { return refuse(.wrongSecret) }
    // Said only to a dialer that has proven the secret, so that no stranger can end a join with it.
    guard hello.isEncrypting == (policy.tls != nil) else { return refuse(.otherEncryption) }
    let tlsKey = policy.tls.map { Handshake.tlsKey(hello: helloBytes, listenerNonce: nonce, key: $0) }
    return .accepted(hello, tlsKey: tlsKey, reply: Handshake.replyHeader(.fine, version: policy.version))
  }
}
