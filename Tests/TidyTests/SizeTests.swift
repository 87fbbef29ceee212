import Foundation
import Testing

/// Files, functions, folders and comments that one can take in at a look.
@Suite struct SizeTests {
  private static let linesMax = 500
  /// A program includes one header, which is its documentation.
  private static let longFiles: Set = ["Sources/CTutti/include/tutti.h"]
  private static let functionLinesMax = 60
  private static let commentColumnsMax = 125
  private static let folderFilesMax = 16

  @Test func filesAreShort() {
    expectNone(
      (Repository.code + Repository.otherCode + Repository.scripts).filter {
        $0.lineCount > Self.linesMax && !Self.longFiles.contains($0.path)
      }
      .map { "\($0.path): \($0.lineCount) lines; split it by what it owns (at most \(Self.linesMax))" })
  }

  // MARK: Functions

  @Test func functionsAreShort() { expectNone(functionComplaints(Repository.code.filter { $0.path.hasSuffix(".swift") })) }

  @Test func longFunctionIsFound() {
    func sample(_ lines: Int) -> SourceFile {
      let body = Array(repeating: "    work()", count: lines - 2).joined(separator: "\n")
      return SourceFile(
        path: "Sources/Tutti/Sample.swift",
        text: """
          protocol Worker {
            func work()
          }
          struct Sample {
            package static func run() {
          \(body)
            }
          }
          """)
    }
    #expect(functionComplaints([sample(Self.functionLinesMax)]).isEmpty)
    #expect(functionComplaints([sample(Self.functionLinesMax + 1)]).count == 1)
  }

  /// A function begins with its first line and ends with the brace below it, as the formatter indents them.
  private func functionComplaints(_ files: [SourceFile]) -> [String] {
    var complaints: [String] = []
    for file in files {
      for index in file.lines.indices where isFunction(file.lines[index]) {
        guard let end = end(of: index, in: file), end - index >= Self.functionLinesMax else { continue }
        complaints.append(
          file.complaint(index, "a function of \(end - index + 1) lines; split it (at most \(Self.functionLinesMax))"))
      }
    }
    return complaints
  }

  private func isFunction(_ line: String) -> Bool {
    let words = line.split(separator: " ", maxSplits: 12)
    guard let first = words.first, !first.hasPrefix("//") else { return false }
    let modifiers: Set<Substring> = [
      "public", "package", "internal", "private", "fileprivate", "open", "final", "static", "class", "override", "mutating",
      "nonmutating", "consuming", "borrowing", "required", "convenience", "nonisolated", "rethrows",
    ]
    let word = words.first { !modifiers.contains($0) && !$0.hasPrefix("@") } ?? ""
    return word == "func" || word == "deinit" || word.hasPrefix("init(") || word.hasPrefix("init<")
      || word.hasPrefix("init?(")
  }

  private func end(of start: Int, in file: SourceFile) -> Int? {
    guard let own = file.indent(start) else { return nil }
    for index in file.lines.indices.dropFirst(start + 1) {
      guard let indent = file.indent(index) else { continue }
      let line = file.lines[index].dropFirst(indent)
      if line.hasPrefix("#") || line.hasPrefix("//") || indent > own { continue }
      if indent == own && line.hasPrefix("}") { return index }
      // A signature may go on over several lines; anything else means that there is no body below.
      let goesOn = [")", "{", "where ", "->", "\"\"\""].contains { line.hasPrefix($0) }
      if indent < own || !goesOn { return nil }
    }
    return nil
  }

  // MARK: Comments

  @Test func commentsAreNarrow() {
    expectNone(commentComplaints(Repository.code + Repository.otherCode + Repository.scripts))
  }

  @Test func wideCommentIsFound() {
    func sample(_ path: String, _ mark: String, _ columns: Int) -> SourceFile {
      SourceFile(path: path, text: "  \(mark) " + String(repeating: "é", count: columns - mark.count - 3))
    }
    for (path, mark) in [
      ("Sources/A/B.swift", "///"), ("Python/torch/B.cpp", "//"), ("Python/b.py", "#"), ("Scripts/b", "#"),
    ] {
      #expect(commentComplaints([sample(path, mark, Self.commentColumnsMax)]).isEmpty)
      #expect(commentComplaints([sample(path, mark, Self.commentColumnsMax + 1)]).count == 1)
    }
  }

  /// The formatter keeps code this narrow, and leaves comments alone.
  private func commentComplaints(_ files: [SourceFile]) -> [String] {
    var complaints: [String] = []
    for file in files {
      for (index, line) in file.lines.enumerated() where line.utf8.count > Self.commentColumnsMax {
        guard line.drop(while: { $0 == " " }).hasPrefix(file.commentMark), line.count > Self.commentColumnsMax else {
          continue
        }
        complaints.append(
          file.complaint(index, "a comment of \(line.count) columns; break the line (at most \(Self.commentColumnsMax))"))
      }
    }
    return complaints
  }

  // MARK: Folders

  /// Folders with more files than one reads through, and why they have them.
  private static let largeFolders = ["docs/decisions": "numbered notes, with an index"]

  @Test func foldersAreSmall() { expectNone(folderComplaints(Repository.paths)) }

  @Test func largeFolderIsFound() {
    let paths = (0..<Self.folderFilesMax).map { "Sources/Sample/File\($0).swift" }
    #expect(folderComplaints(paths + ["Sources/Sample/More/File.swift"]).isEmpty)
    #expect(folderComplaints(paths + ["Sources/Sample/Other.swift"]).count == 1)
  }

  private func folderComplaints(_ paths: [String]) -> [String] {
    let folders = Dictionary(grouping: paths) { $0.split(separator: "/").dropLast().joined(separator: "/") }
    return folders.filter { $0.value.count > Self.folderFilesMax && Self.largeFolders[$0.key] == nil }
      .map { "\($0.key): \($0.value.count) files; sort them by subject (at most \(Self.folderFilesMax))" }.sorted()
  }
}
