import Digests
import Testing

@Suite struct SHA256Tests {
  private static let answers = [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
  ]

  /// The known answers of FIPS 180-4, so that checkpoints and data stay readable whatever computes the digests.
  @Test(arguments: answers) func knownAnswers(text: String, expected: String) {
    #expect(Array(text.utf8).withUnsafeBytes { SHA256.hexadecimal(of: $0) } == expected)
  }

  /// Pieces make the digest of the whole, wherever it is cut.
  @Test func piecesMakeTheWhole() {
    let bytes = (0..<200).map { UInt8($0) }
    let whole = bytes.withUnsafeBytes { SHA256.hexadecimal(of: $0) }
    for cut in [0, 1, 63, 64, 65, 200] {
      var hash = SHA256()
      bytes[..<cut].withUnsafeBytes { hash.update($0) }
      bytes[cut...].withUnsafeBytes { hash.update($0) }
      #expect(hash.finish() == whole, "cut at \(cut)")
    }
  }
}
