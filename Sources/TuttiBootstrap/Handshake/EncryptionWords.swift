/// What errors say of TLS. The variable or the program may have asked for it, and neither rank knows which it was on the
/// other: so all texts name both.
package enum EncryptionWords {
  /// What turns it on.
  static let asked = "TUTTI_TLS=1, or the option tls"
  /// What to do where it cannot be had.
  package static let turnOff = "turn TLS off (TUTTI_TLS, or the option tls)"
  /// What to do where ranks differ.
  static let agree = "Set TUTTI_TLS to the same value on every rank, or the option tls"

  /// Says how a peer differs from `other`, after the words for the peer.
  static func difference(peerSpeaks: Bool, from other: String) -> String {
    peerSpeaks
      ? "speaks TLS (\(asked)), and \(other) does not" : "does not speak TLS, and \(other) does (\(asked))"
  }
}
