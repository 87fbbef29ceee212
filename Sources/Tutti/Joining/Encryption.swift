import TuttiBootstrap
import TuttiSystem

// Whether connections over TCP are encrypted: what the environment and the options say, and what must hold then.

extension CommunicatorOptions {
  /// Takes what `TUTTI_TLS` says, so that ``tls`` is set from here on.
  mutating func readEncryption(_ environment: [String: String]) throws(FailureReport) {
    let asked = try JobSecret.readEncryption(environment)
    if let own = tls, let asked, own != asked {
      throw FailureReport(
        .configuration, "TUTTI_TLS=\(asked ? 1 : 0) is not what the program's own options have (tls is \(own))",
        advice: "Unset the variable, or the option")
    }
    tls = tls ?? asked ?? false
  }

  /// Makes sure that what was asked for can be had, before any connection is opened.
  ///
  /// - Parameter secret: nil for one that rank 0 leaves in a store.
  /// - Returns: The secret, which says whether connections are encrypted.
  func encryption(of secret: JobSecret?, _ environment: [String: String]) throws(FailureReport) -> JobSecret? {
    guard tls == true else { return secret }
    guard let secret else {
      throw FailureReport(
        .configuration,
        "TLS was asked for, and this job's secret is left in a store, where others may read it or replace it",
        advice:
          "Set TUTTI_SECRET or TUTTI_SECRET_FILE on every rank (openssl rand -hex 32), or \(EncryptionWords.turnOff)")
    }
    let encrypting = try secret.encrypting()
    try TLSLibrary.load(environment)
    return encrypting
  }
}

extension Communicator {
  /// Whether what ranks send each other over TCP is encrypted: see ``CommunicatorOptions/tls``.
  public var isEncrypted: Bool { options.tls == true }
}

/// Whether this machine can encrypt connections, for tools that show it.
package struct EncryptionFacts {
  /// Whether `TUTTI_TLS` asks for it.
  package let isAskedFor: Bool
  /// What the library calls itself; nil where it cannot be used.
  package let library: String?
  /// Why not.
  package let obstacle: String?

  package static func current() -> EncryptionFacts {
    let environment = Communicator.processEnvironment()
    let isAskedFor = (try? JobSecret.readEncryption(environment)) == true
    do throws(FailureReport) {
      try TLSLibrary.load(environment)
      return EncryptionFacts(isAskedFor: isAskedFor, library: TLSLibrary.version, obstacle: nil)
    } catch { return EncryptionFacts(isAskedFor: isAskedFor, library: nil, obstacle: error.message) }
  }
}
