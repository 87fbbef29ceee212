/// What a file says, before anybody asks what it means: scalars, sequences and mappings, each with its place in the file.
///
/// Made by whatever parses the file, so that reading descriptions depends on no parser.
package struct DescriptionNode: Sendable {
  package enum Content: Sendable {
    /// Quoted text is never a number.
    case scalar(String, isQuoted: Bool)
    case sequence([DescriptionNode])
    /// In the file's order; keys are unique.
    case mapping([Member])
  }

  package struct Member: Sendable {
    package var key: String
    package var position: TextPosition
    package var value: DescriptionNode

    package init(key: String, position: TextPosition, value: DescriptionNode) {
      self.key = key
      self.position = position
      self.value = value
    }
  }

  package var content: Content
  package var position: TextPosition

  /// How deeply sequences and mappings may lie in each other. The format needs six.
  package static let depthMax = 12
  /// How many scalars, sequences and mappings a file may have.
  package static let nodesMax = 200_000

  package init(_ content: Content, _ position: TextPosition) {
    self.content = content
    self.position = position
  }

  /// What it is, in words.
  package var kind: String {
    switch content {
    case .scalar(let text, let isQuoted): isQuoted || !text.isEmpty ? "'\(text.shortened)'" : "nothing"
    case .sequence: "a list"
    case .mapping: "a mapping"
    }
  }

  package func error(_ field: String, _ problem: String) -> DescriptionError {
    DescriptionError(position, field: field, problem)
  }
}

extension String {
  /// For messages: what a file says may be long.
  package var shortened: String {
    unicodeScalars.count > 64 ? String(String.UnicodeScalarView(unicodeScalars.prefix(64))) + "..." : self
  }

  /// Without line ends and whatever else is no character to be seen.
  var printable: String {
    String(
      String.UnicodeScalarView(
        unicodeScalars.map { scalar in
          switch scalar.value {
          case 0..<0x20, 0x7F..<0xA0, 0x2028, 0x2029: " "
          default: scalar
          }
        }))
  }
}
