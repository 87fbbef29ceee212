import COpenSSL

/// A key that messages are authenticated with: HMAC-SHA256 (RFC 2104), computed by OpenSSL. Its description does not contain
/// it, so that no log shows it.
package struct MessageKey: Sendable {
  /// The number of bytes of an authentication code.
  package static let codeByteCount = 32

  private let bytes: [UInt8]

  /// - Parameter bytes: At least one.
  package init(bytes: [UInt8]) {
    precondition(!bytes.isEmpty)
    self.bytes = bytes
  }

  /// Derives a key from a secret (HKDF-SHA256, RFC 5869).
  ///
  /// - Parameters:
  ///   - secret: At least one byte.
  ///   - salt: The same for all keys of this program.
  ///   - information: What the key is for. Keys for different purposes reveal nothing about each other.
  package init(derivedFrom secret: [UInt8], salt: [UInt8], information: [UInt8]) {
    precondition(!secret.isEmpty)
    precondition(OpenSSL.isReady, "OpenSSL could not be started")
    bytes = [UInt8](unsafeUninitializedCapacity: Self.codeByteCount) { key, count in
      let context = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nil)
      defer { EVP_PKEY_CTX_free(context) }
      count = Self.codeByteCount
      // These fail only where memory has run out or an administrator has disabled the algorithm. Nothing can go on without
      // them.
      let isDerived =
        EVP_PKEY_derive_init(context) == 1 && EVP_PKEY_CTX_set_hkdf_md(context, EVP_sha256()) == 1
        && EVP_PKEY_CTX_set1_hkdf_salt(context, salt, Int32(salt.count)) == 1
        && EVP_PKEY_CTX_set1_hkdf_key(context, secret, Int32(secret.count)) == 1
        && EVP_PKEY_CTX_add1_hkdf_info(context, information, Int32(information.count)) == 1
        && EVP_PKEY_derive(context, key.baseAddress, &count) == 1
      precondition(isDerived && count == Self.codeByteCount, "OpenSSL could not derive a key (HKDF-SHA256)")
    }
  }

  /// The authentication code of a message. It is empty where OpenSSL cannot compute one, for example because other code in
  /// this process has shut it down; an empty code proves nothing.
  package func authenticationCode(of message: [UInt8]) -> [UInt8] {
    guard OpenSSL.isReady else { return [] }
    return [UInt8](unsafeUninitializedCapacity: Self.codeByteCount) { code, count in
      var length: UInt32 = 0
      let computed = HMAC(EVP_sha256(), bytes, Int32(bytes.count), message, message.count, code.baseAddress, &length)
      count = computed != nil && length == Self.codeByteCount ? Self.codeByteCount : 0
    }
  }

  /// Whether `code` is the message's. Takes the same time whichever bytes are wrong.
  package func isAuthenticationCode(_ code: [UInt8], of message: [UInt8]) -> Bool {
    let own = authenticationCode(of: message)
    return code.count == Self.codeByteCount && own.count == code.count && CRYPTO_memcmp(code, own, code.count) == 0
  }
}

extension MessageKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "a key" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
