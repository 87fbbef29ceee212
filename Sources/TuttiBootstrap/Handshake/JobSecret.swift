import TuttiSystem

/// The secret that every connection of a job must prove to know. Its bytes leave this type only through a key derivation, or
/// for a store that is meant to tell them. Its description is its origin, so that no message, log or dump can show it.
package struct JobSecret: Sendable {
  private let bytes: [UInt8]
  /// Where it came from: a variable's name, never its value.
  package let origin: String
  /// False when the job runs without a secret because it was told to.
  package let isAuthenticated: Bool
  /// The job's name: part of every key, so that jobs with one secret never mix. nil when the job has none.
  package let job: String?
  /// Whether connections over TCP speak TLS, with keys derived from this.
  package let isEncrypting: Bool

  /// A secret handed over by a launcher that made it itself.
  package init(bytes: [UInt8], origin: String) {
    precondition(!bytes.isEmpty)
    self.init(bytes: bytes, origin: origin, isAuthenticated: true)
  }

  private init(bytes: [UInt8], origin: String, isAuthenticated: Bool, job: String? = nil, isEncrypting: Bool = false) {
    self.bytes = bytes
    self.origin = origin
    self.isAuthenticated = isAuthenticated
    self.job = job
    self.isEncrypting = isEncrypting
  }

  /// The same secret, good for the job of that name alone.
  package func bound(to job: String?) -> JobSecret {
    JobSecret(bytes: bytes, origin: origin, isAuthenticated: isAuthenticated, job: job, isEncrypting: isEncrypting)
  }

  /// The same secret, with which connections over TCP are encrypted, too.
  ///
  /// - Throws: `.configuration` where TLS would keep nobody out: everyone knows the key of a job without a secret.
  package func encrypting() throws(FailureReport) -> JobSecret {
    guard isAuthenticated else {
      throw FailureReport(
        .configuration, "TLS was asked for (\(EncryptionWords.asked)), and this job has no secret that keys could come from",
        advice:
          "Set TUTTI_SECRET or TUTTI_SECRET_FILE on every rank (openssl rand -hex 32), or \(EncryptionWords.turnOff)")
    }
    return JobSecret(bytes: bytes, origin: origin, isAuthenticated: true, job: job, isEncrypting: true)
  }

  /// Reads `TUTTI_TLS`; nil where it is not set.
  package static func readEncryption(_ environment: [String: String]) throws(FailureReport) -> Bool? {
    let variables = EnvironmentReader(environment)
    return variables["TUTTI_TLS"] == nil ? nil : try variables.flag("TUTTI_TLS")
  }

  /// The most bytes of a job's name.
  static let jobBytesMax = 255

  /// Reads the job's name: `TUTTI_JOB`, else what the launcher calls it.
  ///
  /// - Throws: `.configuration` when `TUTTI_JOB` is too long.
  package static func readJob(
    _ environment: [String: String], launcher: String? = nil
  ) throws(FailureReport) -> String? {
    guard let name = EnvironmentReader(environment)["TUTTI_JOB"] else { return launcher }
    guard name.utf8.count <= jobBytesMax else {
      throw FailureReport(
        .configuration, "TUTTI_JOB has \(name.utf8.count) bytes", advice: "Use a name of at most \(jobBytesMax) bytes")
    }
    return name
  }

  /// Whether the environment has a secret, or something that is meant to be one.
  static func isSet(in environment: [String: String]) -> Bool {
    EnvironmentReader(environment).hasAny(["TUTTI_SECRET", "TUTTI_SECRET_FILE"])
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
  /// Binds it to the job that `TUTTI_JOB` names.
  ///
  /// - Parameter job: What the launcher calls the job, for when `TUTTI_JOB` is not set.
  /// - Throws: `.authentication` when there is no secret; `.configuration` when what is set cannot be used.
  package static func read(_ environment: [String: String], job: String? = nil) throws(FailureReport) -> JobSecret {
    try readSecret(environment).bound(to: readJob(environment, launcher: job))
  }

  private static func readSecret(_ environment: [String: String]) throws(FailureReport) -> JobSecret {
    let variables = EnvironmentReader(environment)
    switch (variables["TUTTI_SECRET"], variables["TUTTI_SECRET_FILE"]) {
    case (.some, .some):
      throw FailureReport(
        .configuration, "TUTTI_SECRET and TUTTI_SECRET_FILE are both set", advice: "Unset one of them, on every rank")
    case (let text?, nil):
      return JobSecret(bytes: Array(text.utf8), origin: "TUTTI_SECRET")
    case (nil, let path?):
      return JobSecret(bytes: try SecretFile.read(path, variables), origin: "TUTTI_SECRET_FILE")
    case (nil, nil):
      break
    }
    if try variables.flag("TUTTI_ALLOW_UNAUTHENTICATED") { return .unauthenticated }
    throw FailureReport(
      .authentication, "this job has no secret, so its ranks could not tell each other from strangers",
      advice:
        "Set TUTTI_SECRET to the same random text on every rank (openssl rand -hex 32), or TUTTI_SECRET_FILE to a file "
        + "with it; on a network you trust, TUTTI_ALLOW_UNAUTHENTICATED=1 goes without")
  }

  /// The key that connections of one communicator are proven with (HKDF-SHA256, RFC 5869).
  func handshakeKey(for communicator: CommunicatorID) -> MessageKey { key("tutti handshake 1", communicator) }

  /// The key that the TLS keys of a communicator's connections are derived from; nil where they are in the clear.
  func tlsKey(for communicator: CommunicatorID) -> MessageKey? { isEncrypting ? key("tutti tls 1", communicator) : nil }

  private func key(_ label: String, _ communicator: CommunicatorID) -> MessageKey {
    var information = WireEncoder()
    information.put(raw: label.utf8)
    communicator.encode(into: &information)
    // Last, because its length is not written: nothing else can look like it.
    information.put(raw: (job ?? "").utf8)
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
