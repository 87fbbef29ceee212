// What is checked of a file before a parser sees it: size, encoding, depth, and that it has no aliases. A YAML parser
// composes what aliases stand for, and compares keys by all that is in them, so a file of 300 bytes could keep it busy for
// years; and it calls itself for every level of depth.
//
// The checks look at bytes alone, with no regard to quotes and comments, so that they cannot disagree with the parser about
// where those begin. They may refuse an odd text, and never let an alias through.

import TuttiTopology

/// The text of a file that a parser may be given.
struct DescriptionText {
  let text: String

  /// More brackets open at once, or a deeper indentation, than any topology has.
  private static let bracketsMax = 64, indentationMax = 100

  init(_ bytes: some Collection<UInt8>) throws(TopologyError) {
    guard bytes.count <= Topology.fileBytesMax else {
      throw TopologyError(.start, "the file has \(bytes.count) bytes: \(Topology.fileBytesMax) is the most")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw TopologyError(DescriptionText.positionOfInvalid(bytes), "the file is not text in UTF-8")
    }
    // Some editors begin every file with a byte order mark.
    self.text = text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
    try checkDepth()
    try checkAliases()
  }

  /// Where the text stops being UTF-8.
  private static func positionOfInvalid(_ bytes: some Collection<UInt8>) -> TextPosition {
    var position = TextPosition.start
    var parser = Unicode.UTF8.ForwardParser()
    var iterator = bytes.makeIterator()
    while case .valid(let scalar) = parser.parseScalar(from: &iterator) {
      if scalar.first == UInt8(ascii: "\n") {
        position = TextPosition(line: position.line + 1, column: 1)
      } else {
        position.column += 1
      }
    }
    return position
  }

  /// Where a byte is.
  func position(of offset: Int) -> TextPosition {
    var position = TextPosition.start
    for byte in text.utf8.prefix(offset) {
      if byte == UInt8(ascii: "\n") {
        position = TextPosition(line: position.line + 1, column: 1)
      } else if byte & 0xC0 != 0x80 {
        // Not for the further bytes of a character.
        position.column += 1
      }
    }
    return position
  }

  private func checkDepth() throws(TopologyError) {
    var open = 0
    var indentation = 0
    var isIndented = true
    for (offset, byte) in text.utf8.enumerated() {
      switch byte {
      case UInt8(ascii: "["), UInt8(ascii: "{"): open += 1
      case UInt8(ascii: "]"), UInt8(ascii: "}"): open -= 1
      default: break
      }
      switch byte {
      case UInt8(ascii: "\n"), UInt8(ascii: "\r"): (indentation, isIndented) = (0, true)
      // A dash or a question mark begins another level, on the same line too.
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "-"), UInt8(ascii: "?"), UInt8(ascii: ":"):
        if isIndented { indentation += 1 }
      default: isIndented = false
      }
      guard open <= DescriptionText.bracketsMax, indentation <= DescriptionText.indentationMax else {
        throw TopologyError(position(of: offset), "more depth than a topology has: \(DescriptionNode.depthMax) levels")
      }
    }
  }

  /// An alias is an asterisk and letters, digits, dashes or underscores. Elsewhere, as in `2*x` or `*.yaml` or
  /// `*emphasis*`, it is text.
  private func checkAliases() throws(TopologyError) {
    let bytes = Array(text.utf8)
    for (offset, byte) in bytes.enumerated() where byte == UInt8(ascii: "*") {
      if offset > 0, isAnchorByte(bytes[offset - 1]) { continue }
      var end = offset + 1
      while end < bytes.count, isAnchorByte(bytes[end]) { end += 1 }
      guard end > offset + 1 else { continue }
      // The characters, besides spaces and line ends, that may follow an alias; whatever is not ASCII may be one of those.
      let follows = Array("?:,]}%@` \t\r\n\0".utf8)
      guard end == bytes.count || bytes[end] >= 0x80 || follows.contains(bytes[end]) else { continue }
      let name = String(decoding: bytes[offset..<min(end, offset + 33)], as: UTF8.self)
      throw TopologyError(
        position(of: offset),
        "'\(name)': topologies have no aliases, nor text that looks like one; 'count', ranges such as node[0-7] and what regions take from the file say it once"
      )
    }
  }
}

private func isAnchorByte(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
    UInt8(ascii: "_"), UInt8(ascii: "-"):
    true
  default: false
  }
}
