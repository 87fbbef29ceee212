import COpenSSL

/// SHA-256 (FIPS 180-4), computed by OpenSSL.
package enum SHA256 {
  /// The number of bytes of a digest.
  package static let byteCount = 32

  /// The digest of the bytes.
  package static func digest(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    precondition(OpenSSL.isReady, "OpenSSL could not be started")
    return [UInt8](unsafeUninitializedCapacity: byteCount) { digest, count in
      // It fails only where memory has run out or an administrator has disabled the algorithm. Nothing can go on without it.
      let isComputed = EVP_Digest(bytes.baseAddress, bytes.count, digest.baseAddress, nil, EVP_sha256(), nil)
      precondition(isComputed == 1, "OpenSSL could not compute SHA-256")
      count = byteCount
    }
  }

  /// The digest of the bytes.
  package static func digest(_ bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes { digest($0) } }
}
