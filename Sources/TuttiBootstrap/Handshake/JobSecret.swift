import CTuttiLinux
import Glibc
import TuttiSystem

/// The secret that every connection of a job must prove to know. Its bytes leave this type only through a key derivation, or
/// for a store that is meant to tell them. Its description is its origin, so that no message, log or dump can show it.
package struct JobSecret: Sendable {
  private let bytes: [UInt8]
  /// Where it came from: a variable's name, never its value.
  package let origin: String
  /// False when the job runs without a secret because it was told to.
  package let isAuthenticated: Bool

  /// A secret handed over by a launcher that made it itself.
  package init(bytes: [UInt8], origin: String) {
    precondition(!bytes.isEmpty)
    self.init(bytes: bytes, origin: origin, isAuthenticated: true)
  }

  private init(bytes: [UInt8], origin: String, isAuthenticated: Bool) {
    self.bytes = bytes
    self.origin = origin
    self.isAuthenticated = isAuthenticated
  }

  /// No secret: anyone who can reach a port can join. The well-known bytes keep one handshake for both cases.
  package static let unauthenticated = JobSecret(
    bytes: Array("tutti without a secret".utf8), origin: "TUTTI_ALLOW_UNAUTHENTICATED", isAuthenticated: false)

  /// A secret for one communicator, drawn by its rank 0.
  package static func random() -> JobSecret {
    var generator = SystemRandomNumberGenerator()
    let bytes = (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }
    return JobSecret(bytes: bytes, origin: "the rendezvous", isAuthenticated: true)
  }

  /// The bytes for a store that tells the secret to all who can read it. Nothing else may ask for them.
  var publishedBytes: [UInt8] { bytes }

  /// Reads `TUTTI_SECRET`, else the file `TUTTI_SECRET_FILE` names, else accepts none if `TUTTI_ALLOW_UNAUTHENTICATED=1`.
  ///
  /// - Throws: `.authentication` when there is no secret; `.configuration` when what is set cannot be used.
  package static func read(_ environment: [String: String]) throws(FailureReport) -> JobSecret {
    let variables = EnvironmentReader(environment)
    switch (variables["TUTTI_SECRET"], variables["TUTTI_SECRET_FILE"]) {
    case (.some, .some):
      throw FailureReport(
        .configuration, "TUTTI_SECRET and TUTTI_SECRET_FILE are both set", advice: "Unset one of them, on every rank")
    case (let text?, nil):
      return JobSecret(bytes: Array(text.utf8), origin: "TUTTI_SECRET")
    case (nil, let path?):
      return JobSecret(bytes: try readFile(path), origin: "TUTTI_SECRET_FILE")
    case (nil, nil):
      break
    }
    switch variables["TUTTI_ALLOW_UNAUTHENTICATED"] {
    case "1":
      return .unauthenticated
    case nil, "0":
      throw FailureReport(
        .authentication, "this job has no secret, so its ranks could not tell each other from strangers",
        advice:
          "Set TUTTI_SECRET to the same random text on every rank (openssl rand -hex 32), or TUTTI_SECRET_FILE to a file "
          + "with it; on a network you trust, TUTTI_ALLOW_UNAUTHENTICATED=1 goes without")
    case let value?:
      throw FailureReport(
        .configuration, "TUTTI_ALLOW_UNAUTHENTICATED=\"\(value)\" is neither 0 nor 1", advice: "Set it to 0 or 1")
    }
  }

  private static let fileBytesMax = 4096

  private static func readFile(_ path: String) throws(FailureReport) -> [UInt8] {
    func refuse(_ why: String, _ advice: String, _ code: Int32 = 0) -> FailureReport {
      FailureReport(.configuration, "TUTTI_SECRET_FILE=\"\(path)\" \(why)", advice: advice, systemError: code)
    }
    // Non-blocking, because opening a FIFO would otherwise wait for its writer.
    let file = OwnedDescriptor(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK))
    guard file.raw >= 0 else {
      throw refuse("cannot be read", "Check that the file exists on this host and belongs to this user", errno)
    }
    var status = stat()
    guard fstat(file.raw, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw refuse("is not a regular file", "Name a file that holds the secret")
    }
    guard status.st_mode & 0o077 == 0 else {
      let mode = String(status.st_mode & 0o777, radix: 8)
      throw refuse("can be read or written by other users (mode \(mode))", "Run chmod 600 on it, and choose a new secret")
    }
    var bytes = [UInt8](repeating: 0, count: fileBytesMax + 1)
    let count = Glibc.read(file.raw, &bytes, bytes.count)
    guard count >= 0 else { throw refuse("cannot be read", "Check the file", errno) }
    guard count <= fileBytesMax else { throw refuse("is longer than \(fileBytesMax) bytes", "Use 32 random bytes as hex") }
    bytes.removeLast(bytes.count - count)
    while let last = bytes.last, last == 0x0A || last == 0x0D { bytes.removeLast() }
    guard !bytes.isEmpty else { throw refuse("is empty", "Write a secret into it: openssl rand -hex 32") }
    return bytes
  }

  /// The key that connections of one communicator are proven with (HKDF-SHA256, RFC 5869).
  func handshakeKey(for communicator: CommunicatorID) -> MessageKey {
    var information = WireEncoder()
    information.put(raw: "tutti handshake 1".utf8)
    communicator.encode(into: &information)
    return MessageKey(derivedFrom: bytes, salt: Array("tutti".utf8), information: information.bytes)
  }
}

extension JobSecret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { isAuthenticated ? "secret from \(origin)" : "no secret (\(origin)=1)" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: ["origin": origin]) }
}

/// A communicator's own number, drawn by its rank 0: tells connections of several communicators of one job apart. All zero
/// while a job is still meeting.
package struct CommunicatorID: Hashable, Sendable {
  package let high: UInt64
  package let low: UInt64

  static let meeting = CommunicatorID(high: 0, low: 0)
  package static func random() -> CommunicatorID {
    CommunicatorID(high: .random(in: 1 ... .max), low: .random(in: 0 ... .max))
  }

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  func encode(into encoder: inout WireEncoder) {
    encoder.put(high)
    encoder.put(low)
  }

  init(from decoder: inout WireDecoder) throws(MalformedMessage) {
    high = try decoder.take("communicator")
    low = try decoder.take("communicator")
  }
}
