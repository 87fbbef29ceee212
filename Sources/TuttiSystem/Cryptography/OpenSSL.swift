import COpenSSL

/// Initialises OpenSSL for this process.
enum OpenSSL {
  /// Keeps OpenSSL from being torn down when the program exits: the service thread may still be in the middle of a handshake
  /// then.
  static let isReady: Bool = OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil) == 1
}
