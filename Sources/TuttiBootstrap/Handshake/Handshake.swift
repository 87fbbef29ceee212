import TuttiSystem
import TuttiTransport

// The first bytes of every connection. The dialer says hello, the listener proves the job's secret in its challenge, the
// dialer proves it back, the listener accepts:
//
//   hello      88 bytes   magic 8, version 2, role 1, encrypting 1, from 4, to 4, rank count 4, communicator 16,
//                         transport 16, nonce 32
//   challenge  76 bytes   reply header (magic 8, version 2, verdict 1, zero 1), nonce 32, proof 32
//   proof      36 bytes   verdict 1, zero 3, proof 32
//   accepted   12 bytes   reply header
//
// Invariant: both proofs are HMAC-SHA256 over a label of the side, the whole hello and the listener's nonce, so a recorded
// one fits no other connection, direction, role, pair of ranks or communicator. A refusal is a reply header alone. The first
// 12 bytes of hello and reply are the same in every version of the protocol.

/// The protocol of bootstrap and control plane. Ranks join only with the same one.
package let protocolVersion: UInt16 = 9

let handshakeMagic: [UInt8] = Array("TUTTI\r\n\0".utf8)

/// What a connection is for. Raw values travel.
package enum ConnectionRole: UInt8, Sendable, CaseIterable {
  case rendezvous = 1
  case control = 2
  /// A link of the transport that the hello names begins with it.
  case link = 3
  /// A rank on the same host asks for its host's departure board.
  case departureBoard = 5
}

/// How a side of a handshake judges the other. Raw values travel.
enum HandshakeVerdict: UInt8, Sendable, CaseIterable {
  case fine = 0
  case wrongVersion = 1
  case wrongSecret = 2
  case unknownCommunicator = 3
  case wrongRank = 4
  case malformed = 5
  /// One side speaks TLS over TCP, the other does not.
  case otherEncryption = 6
}

/// Who the dialer says it is. None of it is believed before the proof.
struct HandshakeHello: Hashable, Sendable {
  static let byteCount = 88
  /// Magic, version, role: readable in every version.
  static let prefixByteCount = 12

  var version = protocolVersion
  var role: ConnectionRole
  var from: Int
  var to: Int
  var rankCount: Int
  var communicator: CommunicatorID
  /// Whose link it is; nil for other roles.
  var transport: TransportKind?
  /// Whether the dialer speaks TLS over TCP. Covered by both proofs, so nobody on the way can talk the two out of it.
  var isEncrypting = false
  var nonce: [UInt8]

  var bytes: [UInt8] {
    var encoder = WireEncoder()
    encoder.put(raw: handshakeMagic)
    encoder.put(version)
    encoder.put(role.rawValue)
    encoder.put(UInt8(isEncrypting ? 1 : 0))
    encoder.put(UInt32(from))
    encoder.put(UInt32(to))
    encoder.put(UInt32(rankCount))
    communicator.encode(into: &encoder)
    let name = Array((transport?.name ?? "").utf8)
    encoder.put(raw: name + [UInt8](repeating: 0, count: TransportKind.nameBytesMax - name.count))
    encoder.put(raw: nonce)
    return encoder.bytes
  }
}

extension HandshakeHello {
  init(_ bytes: [UInt8]) throws(MalformedMessage) {
    var decoder = WireDecoder(bytes)
    guard try decoder.take(raw: 8, "magic") == handshakeMagic else { throw MalformedMessage("magic") }
    version = try decoder.take("version")
    guard let role = ConnectionRole(rawValue: try decoder.take("role")) else { throw MalformedMessage("role") }
    self.role = role
    let encryption = try decoder.take(UInt8.self, "encrypting")
    guard encryption <= 1 else { throw MalformedMessage("encrypting") }
    isEncrypting = encryption == 1
    from = Int(try decoder.take(UInt32.self, "from"))
    to = Int(try decoder.take(UInt32.self, "to"))
    rankCount = Int(try decoder.take(UInt32.self, "rank count"))
    communicator = try CommunicatorID(from: &decoder)
    let name = try decoder.take(raw: TransportKind.nameBytesMax, "transport").prefix { $0 != 0 }
    guard (role == .link) != name.isEmpty else { throw MalformedMessage("transport") }
    transport = name.isEmpty ? nil : TransportKind(validating: String(decoding: name, as: UTF8.self))
    if role == .link, transport == nil { throw MalformedMessage("transport") }
    nonce = try decoder.take(raw: Handshake.nonceByteCount, "nonce")
    try decoder.finish("hello")
  }
}

/// The computations of both sides.
enum Handshake {
  static let nonceByteCount = 32
  static let proofByteCount = 32
  static let replyHeaderByteCount = 12
  static let challengeByteCount = replyHeaderByteCount + nonceByteCount + proofByteCount
  static let proofMessageByteCount = 4 + proofByteCount

  enum Side: String {
    case listener = "tutti listener proof"
    case dialer = "tutti dialer proof"
  }

  static func freshNonce() -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    // Eight bytes at a time: each call of the generator is one of the system.
    return (0..<nonceByteCount / 8).flatMap { _ in withUnsafeBytes(of: generator.next()) { Array($0) } }
  }

  private static func proofInput(_ side: Side, hello: [UInt8], listenerNonce: [UInt8]) -> [UInt8] {
    Array(side.rawValue.utf8) + hello + listenerNonce
  }

  static func proof(_ side: Side, hello: [UInt8], listenerNonce: [UInt8], key: MessageKey) -> [UInt8] {
    key.authenticationCode(of: proofInput(side, hello: hello, listenerNonce: listenerNonce))
  }

  /// Compares in constant time.
  static func isProof(
    _ proof: [UInt8], of side: Side, hello: [UInt8], listenerNonce: [UInt8], key: MessageKey
  ) -> Bool {
    key.isAuthenticationCode(proof, of: proofInput(side, hello: hello, listenerNonce: listenerNonce))
  }

  /// The key of one connection's TLS session: of no use for another connection, direction, role, pair of ranks or
  /// communicator, like the proofs.
  ///
  /// - Parameter key: ``JobSecret/tlsKey(for:)``.
  static func tlsKey(hello: [UInt8], listenerNonce: [UInt8], key: MessageKey) -> [UInt8] {
    key.authenticationCode(of: Array("tutti tls connection".utf8) + hello + listenerNonce)
  }

  static func replyHeader(_ verdict: HandshakeVerdict, version: UInt16 = protocolVersion) -> [UInt8] {
    var encoder = WireEncoder()
    encoder.put(raw: handshakeMagic)
    encoder.put(version)
    encoder.put(verdict.rawValue)
    encoder.put(UInt8(0))
    return encoder.bytes
  }

  static func readReplyHeader(
    _ bytes: [UInt8]
  ) throws(MalformedMessage) -> (version: UInt16, verdict: HandshakeVerdict) {
    var decoder = WireDecoder(bytes)
    guard try decoder.take(raw: 8, "magic") == handshakeMagic else { throw MalformedMessage("magic") }
    let version = try decoder.take(UInt16.self, "version")
    guard let verdict = HandshakeVerdict(rawValue: try decoder.take("verdict")) else { throw MalformedMessage("verdict") }
    return (version, verdict)
  }
}
