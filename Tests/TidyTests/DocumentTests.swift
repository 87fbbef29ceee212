import Foundation
import Testing

/// Checks that what the documents and comments point to exists.
@Suite struct DocumentTests {
  @Test func linksResolve() {
    var complaints: [String] = []
    for file in Repository.documents {
      for (index, target) in links(of: file) {
        if target.contains("://") || target.hasPrefix("mailto:") { continue }
        let parts = target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let folder = URL(filePath: "/" + file.path).deletingLastPathComponent()
        let path = parts[0].isEmpty ? file.path : String(folder.appending(path: parts[0]).standardized.path.dropFirst())
        guard FileManager.default.fileExists(atPath: Repository.root.appending(path: path).path) else {
          complaints.append(file.complaint(index, "'\(target)' does not exist"))
          continue
        }
        if parts.count == 2, path.hasSuffix(".md"), !headings(of: path).contains(parts[1]) {
          complaints.append(file.complaint(index, "\(path) has no heading '#\(parts[1])'"))
        }
      }
    }
    expectNone(complaints)
  }

  /// Comments, messages and scripts that send the reader to a document.
  @Test func namedDocumentsExist() {
    var complaints: [String] = []
    for file in Repository.code + Repository.otherCode + Repository.scripts {
      for (index, line) in file.lines.enumerated() {
        if !line.contains("docs/") { continue }
        for match in line.matches(of: /\bdocs\/[A-Za-z0-9_\/-]+\.md\b/) {
          if FileManager.default.fileExists(atPath: Repository.root.appending(path: String(match.0)).path) { continue }
          complaints.append(file.complaint(index, "\(match.0) does not exist"))
        }
      }
    }
    expectNone(complaints)
  }

  // MARK: Names

  @Test func architectureNamesWhatExists() throws {
    expectNone(nameComplaints(try #require(SourceFile(path: "docs/ARCHITECTURE.md"))))
  }

  @Test func goneNameIsFound() {
    // Written so that this file does not have the names.
    let gone = ["Engine+No" + "where", "no" + "whereAtAll", "*No" + "whereLink", "Tests/No" + "whereTests"]
    let there = ["Engine+Pass", "Engine.abort", "*Link", "Tests/TidyTests", "Scripts/wheel --torch", "split(color:key:)"]
    let text = (gone + there).map { "- `\($0)`" }.joined(separator: "\n")
    let complaints = nameComplaints(SourceFile(path: "Sample.md", text: text))
    #expect(complaints.count == gone.count && complaints.allSatisfy { $0.contains("where") }, "\(complaints)")
  }

  /// Holds what stands in backticks against the files and folders of the repository, with and without the ending, and
  /// against the words of its code.
  private func nameComplaints(_ document: SourceFile) -> [String] {
    var places: Set<String> = []
    for path in Repository.paths {
      let parts = path.split(separator: "/")
      for start in parts.indices {
        for end in start..<parts.count { places.insert(parts[start...end].joined(separator: "/")) }
        places.insert(parts[start...].joined(separator: "/").replacing(/\.[a-z]+$/, with: ""))
      }
    }
    var words: Set<Substring> = []
    for file in Repository.code + Repository.otherCode + Repository.scripts {
      for line in file.lines { words.formUnion(Self.words(of: line)) }
    }
    var complaints: [String] = []
    var isCode = false
    for (index, line) in document.lines.enumerated() {
      if line.hasPrefix("```") { isCode.toggle() }
      if isCode { continue }
      for match in line.matches(of: /`([^`]+)`/) {
        let name = String(match.1)
        let exists =
          places.contains(name) || (name.hasPrefix("*") && places.contains { $0.hasSuffix(name.dropFirst()) })
          || (!name.hasPrefix("*") && Self.words(of: name).allSatisfy(words.contains))
        if !exists { complaints.append(document.complaint(index, "'\(name)' is no file, and not in the code")) }
      }
    }
    return complaints
  }

  private static func words(of line: String) -> [Substring] {
    line.utf8.split { byte in
      let isWord = byte == UInt8(ascii: "_") || (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte)
      return !isWord && !(0x61...0x7A).contains(byte)
    }.map(Substring.init)
  }

  @Test func decisionsAreIndexed() throws {
    let index = try #require(SourceFile(path: "docs/decisions/README.md"))
    let notes = Repository.files(in: ["docs/decisions"], endings: [".md"]).map { $0.path.split(separator: "/").last! }
    expectNone(
      notes.filter { $0 != "README.md" && !index.lines.joined().contains("(\($0))") }
        .map { "docs/decisions/README.md: \($0) is not in the index" })
  }

  /// Links with the line they are on; code blocks are left out.
  private func links(of file: SourceFile) -> [(Int, String)] {
    var found: [(Int, String)] = []
    var isCode = false
    for (index, line) in file.lines.enumerated() {
      if line.hasPrefix("```") { isCode.toggle() }
      if isCode { continue }
      let prose = line.replacing(/`[^`]*`/, with: "")
      found += prose.matches(of: /\]\(([^)\s]+)\)/).map { (index, String($0.1)) }
    }
    return found
  }

  /// The anchors of a document's headings, made as common renderers make them.
  private func headings(of path: String) -> Set<String> {
    let lines = SourceFile(path: path)?.lines ?? []
    return Set(
      lines.filter { $0.hasPrefix("#") }.map { line in
        line.drop { $0 == "#" || $0 == " " }.lowercased()
          .filter { $0.isLetter || $0.isNumber || $0 == " " || $0 == "-" || $0 == "_" }
          .replacingOccurrences(of: " ", with: "-")
      })
  }
}
