import Glibc

/// Returns random bytes as hexadecimal digits, from the kernel's generator, which is good enough for secrets
/// (getentropy(3)).
///
/// - Parameter bytes: At most 256.
/// - Throws: `.resources`, on a kernel that has no randomness.
package func randomHex(bytes: Int) throws(FailureReport) -> String {
  var buffer = [UInt8](repeating: 0, count: bytes)
  guard getentropy(&buffer, bytes) == 0 else {
    throw FailureReport(
      .resources, "the kernel gives no random numbers (getentropy)",
      advice: "A seccomp filter may forbid getrandom(2): allow it", systemError: errno)
  }
  let digits = Array("0123456789abcdef".utf8)
  return String(decoding: buffer.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}
