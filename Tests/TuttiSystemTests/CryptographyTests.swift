import Testing
import TuttiSystem

/// Known answers of the standards, so that ranks of any build agree.
@Suite struct CryptographyTests {
  private func hex(_ bytes: [UInt8]) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  /// FIPS 180-4, example of one block, and the empty message.
  @Test func digests() {
    #expect(
      hex(SHA256.digest(Array("abc".utf8))) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(hex(SHA256.digest([])) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
  }

  /// RFC 4231, test case 2.
  @Test func authenticationCodes() {
    let key = MessageKey(bytes: Array("Jefe".utf8))
    let message = Array("what do ya want for nothing?".utf8)
    var code = key.authenticationCode(of: message)
    #expect(hex(code) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    #expect(key.isAuthenticationCode(code, of: message))
    code[31] ^= 1
    #expect(!key.isAuthenticationCode(code, of: message))
    #expect(!key.isAuthenticationCode([], of: message))
  }

  /// RFC 5869, test case 1, whose first 32 bytes are a key of ours.
  @Test func keysAreDerived() {
    let key = MessageKey(
      derivedFrom: Array(repeating: 0x0B, count: 22), salt: Array(0...12), information: Array(0xF0...0xF9))
    let expected: [UInt8] = [
      0x3C, 0xB2, 0x5F, 0x25, 0xFA, 0xAC, 0xD5, 0x7A, 0x90, 0x43, 0x4F, 0x64, 0xD0, 0x36, 0x2F, 0x2A,
      0x2D, 0x2D, 0x0A, 0x90, 0xCF, 0x1A, 0x5A, 0x4C, 0x5D, 0xB0, 0x2D, 0x56, 0xEC, 0xC4, 0xC5, 0xBF,
    ]
    #expect(key.authenticationCode(of: [1]) == MessageKey(bytes: expected).authenticationCode(of: [1]))
    #expect("\(key)" == "a key")
  }
}
