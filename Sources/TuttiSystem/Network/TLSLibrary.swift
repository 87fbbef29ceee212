import CTuttiTLS

/// The system's libssl, which is opened when a process first asks for TLS and stays open.
package enum TLSLibrary {
  /// Names another library than the system's.
  package static let variable = "TUTTI_TLS_LIBRARY"
  private static let library = SystemLibrary("libssl.so.3", variable: variable, load: tutti_tls_load)

  /// Opens the library unless it is open already.
  ///
  /// - Parameter environment: Where `TUTTI_TLS_LIBRARY` is looked up.
  /// - Throws: `.configuration`: it is missing, too old, or does not offer what is needed.
  package static func load(_ environment: [String: String]) throws(FailureReport) {
    guard let failure = library.open(environment) else { return }
    throw FailureReport(
      .configuration, "TLS needs the library \(failure.name) of OpenSSL 3, which cannot be used: \(failure.reason)",
      advice: failure.isGiven
        ? "Set \(variable) to the file of libssl.so.3, or unset it for the system's"
        : "Install it on every host (Debian and Ubuntu: apt-get install libssl3; Fedora and RHEL: dnf install openssl-libs), "
          + "or name the file in \(variable)")
  }

  /// What the open library calls itself; empty while none is open.
  package static var version: String { String(cString: tutti_tls_version()) }
}
