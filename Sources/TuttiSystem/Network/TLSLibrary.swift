import CTuttiTLS

/// The system's libssl, which is opened when a process first asks for TLS and stays open.
package enum TLSLibrary {
  /// Names another library than the system's.
  package static let variable = "TUTTI_TLS_LIBRARY"
  private static let standardName = "libssl.so.3"
  private static let isLoaded = Lock(false)

  /// Opens the library unless it is open already.
  ///
  /// - Parameter environment: Where `TUTTI_TLS_LIBRARY` is looked up.
  /// - Throws: `.configuration`: it is missing, too old, or does not offer what is needed.
  package static func load(_ environment: [String: String]) throws(FailureReport) {
    let given = environment[variable].flatMap { $0.isEmpty ? nil : $0 }
    let name = given ?? standardName
    let why: String? = isLoaded.withLock { isLoaded in
      if isLoaded { return nil }
      var text = [CChar](repeating: 0, count: 256)
      isLoaded = tutti_tls_load(name, &text, text.count) == 0
      return isLoaded ? nil : String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    guard let why else { return }
    throw FailureReport(
      .configuration, "TLS needs the library \(name) of OpenSSL 3, which cannot be used: \(why)",
      advice: given == nil
        ? "Install it on every host (Debian and Ubuntu: apt-get install libssl3; Fedora and RHEL: dnf install openssl-libs), "
          + "or name the file in \(variable)"
        : "Set \(variable) to the file of libssl.so.3, or unset it for the system's")
  }

  /// What the open library calls itself; empty while none is open.
  package static var version: String { String(cString: tutti_tls_version()) }
}
