import Testing
import TuttiSystem

@testable import TuttiBootstrap

/// Where TLS keys come from: the test vectors of `docs/SECURITY.md`, which were computed by other code, and what separates
/// one key from another.
struct TLSKeyTests {
  private let secret: JobSecret = {
    let secret = JobSecret(bytes: Array("correct horse battery staple".utf8), origin: "the test").bound(to: "job 7")
    do throws(FailureReport) { return try secret.encrypting() } catch { preconditionFailure(error.message) }
  }()
  private let communicator = CommunicatorID(high: 1, low: 2)
  private let hello = (0..<88).map { UInt8($0) }
  private let nonce = (100..<132).map { UInt8($0) }

  private func hex(_ bytes: [UInt8]) -> String {
    bytes.map { (($0 < 16) ? "0" : "") + String($0, radix: 16) }.joined()
  }

  @Test("the key of a connection is that of the documented test vectors")
  func vectors() throws {
    let key = try #require(secret.tlsKey(for: communicator))
    // The derived key shows itself only through what it authenticates.
    let documented = MessageKey(bytes: bytes("72f23ba892c37f5bcf374da34c7e797f64da76495368e02a680f0449a506ee55"))
    #expect(key.authenticationCode(of: [1, 2, 3]) == documented.authenticationCode(of: [1, 2, 3]))
    #expect(
      hex(Handshake.tlsKey(hello: hello, listenerNonce: nonce, key: key))
        == "ce177da088bc0cb5c7eebbebe33aa0a0f84c9ba6ed710698154396aeee9799a9")
  }

  @Test("no two connections, communicators or jobs have one key, and none has that of the proofs")
  func separation() throws {
    let key = try #require(secret.tlsKey(for: communicator))
    var keys = [Handshake.tlsKey(hello: hello, listenerNonce: nonce, key: key)]
    keys.append(Handshake.tlsKey(hello: hello.reversed(), listenerNonce: nonce, key: key))
    keys.append(Handshake.tlsKey(hello: hello, listenerNonce: nonce.reversed(), key: key))
    keys.append(Handshake.tlsKey(hello: hello, listenerNonce: nonce, key: secret.handshakeKey(for: communicator)))
    let others = [
      secret.tlsKey(for: CommunicatorID(high: 2, low: 1)), secret.bound(to: "job 8").tlsKey(for: communicator),
      secret.bound(to: nil).tlsKey(for: communicator),
    ]
    for other in others {
      keys.append(Handshake.tlsKey(hello: hello, listenerNonce: nonce, key: try #require(other)))
    }
    #expect(Set(keys).count == 7)
    #expect(keys.allSatisfy { $0.count == 32 })
  }

  @Test("a secret that everyone knows encrypts nothing, and one that was not told to has no key")
  func refused() throws {
    #expect(testSecret.tlsKey(for: communicator) == nil)
    let failure = #expect(throws: FailureReport.self) { try JobSecret.unauthenticated.encrypting() }
    #expect(failure?.code == .configuration)
    #expect(failure?.advice.contains("TUTTI_SECRET") == true)
  }

  private func bytes(_ hex: String) -> [UInt8] {
    let digits = Array(hex.utf8).map { $0 < 58 ? $0 - 48 : $0 - 87 }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }
}
