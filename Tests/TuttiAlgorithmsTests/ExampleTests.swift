import Foundation
import Testing
import TuttiAlgorithms

/// Examples in the pure modules' documentation compile, and do what they say.
@Suite struct ExampleTests {
  private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// The lines of a text without what is at both ends of them.
  private static func lines(_ text: some StringProtocol) -> [String] {
    text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
  }

  /// By source file: the example's lines in `DocumentedExamples`.
  private static func examples() throws -> [(file: String, lines: [String])] {
    let text = try String(
      contentsOf: root.appending(path: "Tests/TuttiAlgorithmsTests/DocumentedExamples.swift"), encoding: .utf8)
    var found: [(file: String, lines: [String])] = []
    var isInside = false
    for line in lines(text) {
      if line.hasPrefix("// example: ") {
        found.append((String(line.dropFirst("// example: ".count)), []))
        isInside = true
      } else if line == "// end" {
        isInside = false
      } else if isInside {
        found[found.count - 1].lines.append(line)
      }
    }
    return found
  }

  /// The examples in a file's documentation comments.
  private static func documented(in file: URL) throws -> [[String]] {
    var blocks: [[String]] = []
    var block: [String]?
    for line in lines(try String(contentsOf: file, encoding: .utf8)) where line.hasPrefix("///") {
      let text = line.dropFirst(3).trimmingCharacters(in: .whitespaces)
      if text == "```swift" {
        block = []
      } else if text == "```" {
        if let block { blocks.append(block) }
        block = nil
      } else {
        block?.append(text)
      }
    }
    return blocks
  }

  @Test("what is documented is what is compiled") func documentsMatch() throws {
    let examples = try Self.examples()
    #expect(examples.count == 4)
    for module in ["TuttiSchedule", "TuttiAlgorithms"] {
      let folder = Self.root.appending(path: "Sources/\(module)")
      let files = try #require(FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil))
      for case let file as URL in files where file.pathExtension == "swift" {
        for block in try Self.documented(in: file) {
          // An example of something that is not public may be cut short.
          if block.contains(where: { $0.contains("SegmentCursor") }) { continue }
          #expect(examples.contains { $0.lines == block }, "\(file.lastPathComponent): \(block.joined(separator: "\n"))")
        }
      }
    }
  }

  @Test("a ring in a measured order") func ringInMeasuredOrder() throws {
    // Ranks of one host are near each other.
    let hosts = try Grouping([[0, 1, 0, 1]])
    let measured = (0..<4).map { rank in (0..<4).map { rank == $0 ? 0 : rank % 2 == $0 % 2 ? 1 : 10.0 } }
    let ring = DocumentedExamples.ringInMeasuredOrder(measured, hosts)
    try Verifier.prove(collective: .allReduce, rankCount: 4, root: 0) { ring.schedule(for: hosts.position(of: $0)) }
  }

  @Test("two ranks") func allReduceOfTwo() throws {
    try Verifier.prove(collective: .allReduce, rankCount: 2, root: 0) {
      DocumentedExamples.allReduceOfTwo(.flat(rank: $0, rankCount: 2))
    }
  }

  @Test("hosts") func hosts() throws { #expect(try DocumentedExamples.hosts() == 2) }
}
