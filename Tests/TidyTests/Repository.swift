import Foundation
import Testing

/// The files of this repository as the tidy tests read them: as text, without building or importing anything.
enum Repository {
  /// Found from this file's own place: Tests/TidyTests/Repository.swift.
  static let root = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
    .deletingLastPathComponent()
    .deletingLastPathComponent()

  /// Files below the folders whose name ends with one of the endings, in a stable order. Build folders are left out.
  static func files(in folders: [String], endings: [String]) -> [SourceFile] {
    files(in: folders) { path in endings.contains { path.hasSuffix($0) } }
  }

  private static func files(in folders: [String], where isWanted: (_ path: String) -> Bool) -> [SourceFile] {
    folders.flatMap { folder -> [SourceFile] in
      let start = root.appending(path: folder)
      guard let paths = FileManager.default.subpaths(atPath: start.path) else { return [] }
      return paths.sorted().filter { path in
        isWanted(path) && !path.split(separator: "/").contains { $0.hasPrefix(".build") }
      }.compactMap { SourceFile(path: "\(folder)/\($0)") }
    }
  }

  static let swiftSources = files(in: ["Sources"], endings: [".swift"])
  static let sources = files(in: ["Sources"], endings: [".swift", ".c", ".h"])
  static let code = files(in: ["Sources", "Tests", "Examples", "Benchmarks"], endings: [".swift", ".c", ".h"])
  /// What is written in Python and C++.
  static let otherCode = files(in: ["Python", "Examples", "Benchmarks"], endings: [".py", ".cpp", ".hpp", ".cc"])
  /// Programs that are started by their names alone.
  static let scripts =
    files(in: ["Scripts", ".ci"], endings: [""]).filter { !$0.path.hasSuffix("/") }
    + files(in: ["Benchmarks"]) { $0.split(separator: "/").last?.contains(".") == false }
  static let documents =
    files(in: ["docs", "Examples", "Benchmarks"], endings: [".md"])
    + ["README.md", "CHANGELOG.md"].compactMap { SourceFile(path: $0) }

  /// Every file that is written by hand. Measured results lie in folders of their own, which have what a measurement makes.
  static let paths = ["Sources", "Tests", "Examples", "Benchmarks", "Python", "Scripts", "docs"].flatMap { top -> [String] in
    let start = root.appending(path: top)
    return (FileManager.default.subpaths(atPath: start.path) ?? []).filter { path in
      let parts = path.split(separator: "/")
      if parts.contains(where: { $0.hasPrefix(".") || $0 == "Results" || $0 == "__pycache__" }) { return false }
      var isFolder: ObjCBool = false
      let exists = FileManager.default.fileExists(atPath: start.appending(path: path).path, isDirectory: &isFolder)
      return exists && !isFolder.boolValue
    }.map { "\(top)/\($0)" }
  }
}

struct SourceFile {
  /// Relative to the root, with `/`.
  let path: String
  let lines: [String]

  init?(path: String) {
    guard let text = try? String(contentsOf: Repository.root.appending(path: path), encoding: .utf8) else { return nil }
    self.init(path: path, text: text)
  }

  /// A file that is not in the repository, to see a rule fail.
  init(path: String, text: String) {
    self.path = path
    lines = text.components(separatedBy: "\n")
  }

  /// Lines of text: a final line end opens no further one.
  var lineCount: Int { lines.last == "" ? lines.count - 1 : lines.count }

  /// `Sources/X/...` is of module X.
  var module: String { String(path.split(separator: "/")[1]) }

  /// What its comments begin with, where they have a line for themselves.
  var commentMark: String {
    let endings = [".swift", ".c", ".h", ".cpp", ".hpp", ".cc"]
    return endings.contains { path.hasSuffix($0) } ? "//" : "#"
  }

  /// The folder, relative to the root.
  var folder: String { path.split(separator: "/").dropLast().joined(separator: "/") }

  /// How many spaces a line begins with; nil for an empty one.
  func indent(_ index: Int) -> Int? { lines[index].firstIndex { $0 != " " }?.utf16Offset(in: lines[index]) }

  /// The line that opens the type a line is a member of; nil where it is a member of none, as locals are.
  func owner(of index: Int) -> Int? {
    let type =
      /^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|private|fileprivate|final|open|indirect)\s+)*(?:struct|class|enum|actor|extension)\s+\w+/
    guard let own = indent(index), own > 0 else { return nil }
    let opening = lines.indices[..<index].last { above in
      guard let indent = indent(above), indent < own else { return false }
      return !lines[above].hasPrefix("#") && !lines[above].dropFirst(indent).hasPrefix(")")
    }
    return opening.flatMap { lines[$0].contains(type) ? $0 : nil }
  }

  /// The line without a comment and without what string literals say, so that words in prose are not taken for code.
  func code(_ index: Int) -> String {
    var line = lines[index]
    if line.utf8.contains(UInt8(ascii: "\"")) { line = line.replacing(/"(\\.|[^"\\])*"/, with: "\"\"") }
    // Most lines have neither; a search for a byte is much quicker than one for a word.
    if !line.utf8.contains(UInt8(ascii: "/")) { return line }
    return line.firstRange(of: "//").map { String(line[..<$0.lowerBound]) } ?? line
  }

  /// Whether there is a comment on the line or on one of the `distance` lines above it.
  func hasComment(near index: Int, within distance: Int = 3) -> Bool {
    lines[max(0, index - distance)...index].contains { $0.contains("//") }
  }

  /// One complaint, so that an editor can jump to it.
  func complaint(_ index: Int, _ message: String) -> String { "\(path):\(index + 1): \(message)" }
}

/// Fails with every complaint at once, one a line.
func expectNone(_ complaints: [String], sourceLocation: SourceLocation = #_sourceLocation) {
  guard !complaints.isEmpty else { return }
  Issue.record(Comment(rawValue: "\n" + complaints.joined(separator: "\n")), sourceLocation: sourceLocation)
}
