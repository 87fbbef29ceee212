import Testing

/// Declarations that nothing uses. A count of names is enough to find most: a name that occurs in its declarations alone,
/// or besides as the label of an argument, is dead.
@Suite struct DeclarationTests {
  /// Names that occur once and are needed, with the reason.
  private static let needed: [String: String] = [
    "customMirror": "of CustomReflectable: a dump does not show a secret",
    "padding": "keeps a cache line apart",
    "neighbour": "keeps a cache line apart",
  ]

  @Test func everyDeclarationIsUsed() {
    expectNone(complaints(Repository.code))
  }

  @Test func deadDeclarationsAreFound() {
    let text = """
      /// A sample with `forgotten` in a comment.
      package struct Sample {
        private let unread = 1
        package func forgotten() {}
        public func offered() {}
        private(set) var shown = 2
        let matched = true
        enum Kind { case plain }
        enum Part {
          case first, second(Int)
        }
        package func used(_ part: Part) -> String {
          switch part {
          case .first where matched: return "\\(shown)"
          default: return Sample().used(.first)
          }
        }
        var kind: Kind { .plain }
        var record: Record { Record(written: 1, read: [plain: 2]) }
      }
      struct Record {
        let written: Int
        let read: [Int: Int]
      }
      """
    let other = """
      struct Other {
        let unread = 3
        func show() -> Int { Sample().kind == nil ? Sample().record.read.count : unread }
      }
      let all = Other().show()
      """
    let found = complaints([
      SourceFile(path: "Sources/Tutti/Sample.swift", text: text), SourceFile(path: "Sources/Tutti/Other.swift", text: other),
    ])
    let names = found.compactMap { $0.split(separator: "'").dropFirst().first }
    #expect(names == ["unread", "forgotten", "second", "written", "all"], "\(found)")
  }

  private struct Declaration {
    let file: Int
    let line: Int
    let name: Substring
    /// Whether only its file can use it.
    let isPrivate: Bool
    /// Whether users of the library can.
    let isPublic: Bool
  }

  private func complaints(_ files: [SourceFile]) -> [String] {
    var declarations: [Declaration] = []
    var counts: [Substring: Int] = [:]
    var countsOfFile: [[Substring: Int]] = []
    for (number, file) in files.enumerated() {
      var own: [Substring: Int] = [:]
      for (index, line) in file.lines.enumerated() {
        let words = words(of: line)
        let new = file.path.hasSuffix(".swift") ? declared(words.map(\.text), line, number, index) : []
        for word in words where !word.isLabel || new.contains(where: { $0.name == word.text }) {
          own[word.text, default: 0] += 1
        }
        declarations += new
      }
      counts.merge(own) { $0 + $1 }
      countsOfFile.append(own)
    }
    for declaration in declarations {
      counts[declaration.name]! -= 1
      countsOfFile[declaration.file][declaration.name]! -= 1
    }
    return declarations.compactMap { declaration in
      let file = files[declaration.file]
      if !file.path.hasPrefix("Sources/") || declaration.isPublic { return nil }
      if Self.needed[String(declaration.name)] != nil { return nil }
      let uses = declaration.isPrivate ? countsOfFile[declaration.file][declaration.name] : counts[declaration.name]
      return uses == 0 ? file.complaint(declaration.line, "'\(declaration.name)' is used nowhere; remove it") : nil
    }
  }

  // MARK: Words

  private static let modifiers: Set<Substring> = [
    "public", "open", "package", "internal", "private", "fileprivate", "final", "static", "class", "mutating", "nonmutating",
    "override", "indirect", "lazy", "weak", "unowned", "nonisolated", "unsafe", "borrowing", "consuming", "set", "frozen",
    "usableFromInline", "inlinable", "inline", "__always", "never", "discardableResult", "main",
  ]
  private static let kinds: Set<Substring> = [
    "func", "var", "let", "struct", "class", "enum", "protocol", "typealias", "actor",
  ]

  /// What a line declares: nothing, a name, or the cases of an enumeration.
  private func declared(_ words: [Substring], _ line: String, _ file: Int, _ index: Int) -> [Declaration] {
    var modifiers: [Substring] = []
    var rest = words[...]
    while let word = rest.first, Self.modifiers.contains(word) {
      // `class` begins a type, or is the modifier of a member.
      let next = rest.dropFirst().first ?? ""
      if word == "class", !Self.kinds.contains(next), !Self.modifiers.contains(next) { break }
      modifiers.append(word)
      rest = rest.dropFirst()
    }
    let isSetter = modifiers.contains("set")
    let isPrivate = !isSetter && (modifiers.contains("private") || modifiers.contains("fileprivate"))
    let isPublic = ["public", "open", "override"].contains { modifiers.contains($0) }
    var names: [Substring] = []
    if rest.first == "case" {
      names = cases(line)
    } else if let kind = rest.first, Self.kinds.contains(kind), let name = rest.dropFirst().first {
      names = [name]
    }
    return names.map { Declaration(file: file, line: index, name: $0, isPrivate: isPrivate, isPublic: isPublic) }
  }

  /// The names in `case first, second(Int)`; none for a pattern of a switch.
  private func cases(_ line: String) -> [Substring] {
    var depth = 0
    var plain = ""
    for character in line {
      if character == ")" { depth -= 1 }
      if depth == 0 && character != "(" && character != ")" { plain.append(character) }
      if character == "(" { depth += 1 }
    }
    let text = plain.drop { $0 == " " }.replacing("indirect ", with: "")
    guard text.hasPrefix("case "), !text.hasPrefix("case ."), !text.contains(":") else { return [] }
    return text.dropFirst(5).split(separator: ",").compactMap { words(of: String($0)).first?.text }
      .filter { !["let", "var", "is", "nil", "true", "false", "_"].contains($0) }
  }

  private struct Word {
    let text: Substring
    /// Whether it says which argument follows, or which parameter: such a word uses nothing of its name. The first key of a
    /// dictionary does, and so do the words of a pattern.
    let isLabel: Bool
  }

  /// The identifiers of a line, those in interpolations and texts among them; not those of its comment.
  private func words(of line: String) -> [Word] {
    var words: [Word] = []
    var start: String.Index?
    var before: UInt8 = 0
    var inText = false
    var previous: UInt8 = 0
    let bytes = line.utf8
    for index in bytes.indices {
      let byte = bytes[index]
      if byte == UInt8(ascii: "\""), previous != UInt8(ascii: "\\") { inText.toggle() }
      if byte == UInt8(ascii: "/"), previous == UInt8(ascii: "/"), !inText { break }
      let isWord = byte == UInt8(ascii: "_") || byte >= 0x80 || isLetter(byte) || (start != nil && isDigit(byte))
      if isWord, start == nil { (start, before) = (index, previous) }
      if !isWord, let begin = start {
        let isLabel =
          byte == UInt8(ascii: ":") && before != UInt8(ascii: ".") && before != UInt8(ascii: "[")
          && words.first?.text != "case"
        words.append(Word(text: line[begin..<index], isLabel: isLabel))
        start = nil
      }
      previous = byte
    }
    if let begin = start { words.append(Word(text: line[begin...], isLabel: false)) }
    return words
  }

  private func isLetter(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) }
  private func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}
