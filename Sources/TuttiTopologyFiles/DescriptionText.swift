// What is checked of a file before a parser sees it: its size, its encoding, and that it declares no tags.

import TuttiTopology

/// The text of a file that a parser may be given, and where in it a byte is.
struct DescriptionText {
  let text: String
  let kind: DescriptionKind

  init(_ bytes: some Collection<UInt8>, _ kind: DescriptionKind) throws(DescriptionError) {
    self.kind = kind
    guard bytes.count <= DescriptionNode.fileBytesMax else {
      throw DescriptionError(.start, "the file has \(bytes.count) bytes: \(DescriptionNode.fileBytesMax) is the most")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      // Begun by a byte order mark, which some editors write of their own accord.
      guard !bytes.starts(with: [0xFF, 0xFE]), !bytes.starts(with: [0xFE, 0xFF]) else {
        throw DescriptionError(.start, "the file is text in UTF-16: save it in UTF-8")
      }
      throw DescriptionError(DescriptionText.positionOfInvalid(bytes), "the file is not text in UTF-8")
    }
    // UTF-8 has that mark too, which is no part of the text.
    self.text = text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
    try refuseTagDirectives()
  }

  /// Refuses declarations of tags, which are of no use because tags are refused. It is done here because libyaml compares
  /// each declaration with all before it: 900 kB of them take it 40 s.
  ///
  /// It looks at the starts of lines, with no regard to quotes, so that it cannot disagree with the parser about where
  /// quotes begin. It may refuse an odd text that has no directive, but lets no directive through.
  private func refuseTagDirectives() throws(DescriptionError) {
    let bytes = Array(text.utf8), directive = Array("%TAG".utf8)
    // The last bytes of what ends a line, in UTF-8.
    let lineEnds: [UInt8] = [0x0A, 0x0D, 0x85, 0xA8, 0xA9]
    for (offset, byte) in bytes.enumerated() where byte == directive[0] {
      guard offset == 0 || lineEnds.contains(bytes[offset - 1]), bytes[offset...].starts(with: directive) else { continue }
      throw DescriptionError(position(of: offset), kind.refusal(of: "tags", leaving: "%TAG"))
    }
  }

  /// Where the byte at `offset` is, which begins a character.
  func position(of offset: Int) -> TextPosition {
    let end = text.utf8.index(text.startIndex, offsetBy: offset, limitedBy: text.endIndex) ?? text.endIndex
    return DescriptionText.position(after: text.unicodeScalars[..<end])
  }

  /// Where the text stops being UTF-8.
  private static func positionOfInvalid(_ bytes: some Collection<UInt8>) -> TextPosition {
    var before: [Unicode.Scalar] = []
    var parser = Unicode.UTF8.ForwardParser()
    var iterator = bytes.makeIterator()
    while case .valid(let character) = parser.parseScalar(from: &iterator) { before.append(UTF8.decode(character)) }
    return position(after: before)
  }

  /// The place behind `text`, with the ends of lines that YAML has (1.1, section 5.4), as the parser counts them.
  private static func position(after text: some Sequence<Unicode.Scalar>) -> TextPosition {
    var position = TextPosition.start
    var before: Unicode.Scalar?
    for scalar in text {
      switch scalar {
      case "\n" where before == "\r": break
      case "\n", "\r", "\u{85}", "\u{2028}", "\u{2029}": position = TextPosition(line: position.line + 1, column: 1)
      default: position.column += 1
      }
      before = scalar
    }
    return position
  }
}
