import CDigest

/// SHA-256 (FIPS 180-4) of bytes that come in pieces, computed by OpenSSL.
public struct SHA256: ~Copyable {
  /// The hexadecimal digits of a digest.
  public static let digitCount = 64

  private let context: OpaquePointer

  public init() {
    guard let context = EVP_MD_CTX_new() else { fatalError("no memory for a SHA-256") }
    self.context = context
    Self.check(EVP_DigestInit_ex(context, EVP_sha256(), nil))
  }

  deinit { EVP_MD_CTX_free(context) }

  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    Self.check(EVP_DigestUpdate(context, bytes.baseAddress, bytes.count))
  }

  /// Ends the digest: nothing can be added to it afterwards.
  ///
  /// - Returns: The digest in hexadecimal, as `sha256sum` prints it.
  public mutating func finish() -> String {
    let digest = [UInt8](unsafeUninitializedCapacity: Self.digitCount / 2) { bytes, count in
      Self.check(EVP_DigestFinal_ex(context, bytes.baseAddress, nil))
      count = Self.digitCount / 2
    }
    return digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  /// The digest of the bytes, in hexadecimal.
  public static func hexadecimal(of bytes: UnsafeRawBufferPointer) -> String {
    var hash = SHA256()
    hash.update(bytes)
    return hash.finish()
  }

  /// These calls fail only where an administrator has switched the algorithm off: nothing could be compared then.
  private static func check(_ result: Int32) { precondition(result == 1, "OpenSSL could not compute SHA-256") }
}
