import Foundation
import Patience
import Testing
import TuttiTopology
import TuttiTopologyFiles

/// Files that are no topologies, or are made to hurt a reader: refused at once, with a place.
@Suite struct HostileFileTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var text: String
    var line: Int
    var says: String
    var testDescription: String { name }
  }

  /// Ten levels, each ten times the one before it.
  private static var explosion: String {
    var lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in 1...9 {
      let before = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
      lines.append("a\(level): &a\(level) [\(before)]")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Nearly as many declarations of tags as a file can hold.
  private static let tags = (0..<68_000).map { "%TAG !\(String($0, radix: 36))! b\n" }.joined()

  static let cases = [
    Case(name: "empty", text: "", line: 1, says: "empty"),
    Case(name: "spaces", text: "  \n\n", line: 1, says: "empty"),
    Case(name: "comment", text: "# nothing\n", line: 1, says: "empty"),
    Case(name: "null", text: "~", line: 1, says: "must be a mapping"),
    Case(name: "document marks", text: "---\n...\n", line: 2, says: "must be a mapping"),
    Case(name: "two documents", text: "hosts: {}\n---\nhosts: {}\n", line: 2, says: "another document"),
    Case(name: "empty second document", text: "hosts: {}\n---\n", line: 2, says: "another document"),
    Case(name: "exploding anchors", text: explosion + "hosts: *a9\n", line: 1, says: "no anchors: leave out '&a0'"),
    Case(name: "exploding keys", text: "? &a [1]\n: 1\n? [*a, *a]\n", line: 1, says: "no anchors: leave out '&a'"),
    Case(name: "cyclic anchor", text: "hosts: &h\n  nics: *h\n", line: 1, says: "no anchors: leave out '&h'"),
    Case(name: "alias of nothing", text: "hosts:\n  nics: *h\n", line: 2, says: "'*h': topologies have no aliases"),
    Case(name: "alias as a key", text: "hosts: {}\n*h : 1\n", line: 2, says: "'*h': topologies have no aliases"),
    Case(name: "alias behind a quote", text: "name: \"# \"\nhosts: [\"x # \", *b]\n", line: 2, says: "no aliases"),
    Case(name: "anchor of a scalar", text: "hosts: {count: &h 1}\n", line: 1, says: "no anchors: leave out '&h'"),
    Case(name: "anchor of a key", text: "hosts: {}\n&h name: x\n", line: 2, says: "no anchors: leave out '&h'"),
    Case(name: "merge", text: "hosts: {<<: *b}\n", line: 1, says: "no aliases"),
    Case(name: "tag", text: "hosts: {count: !!int 1}\n", line: 1, says: "no tags: leave out 'tag:yaml.org,2002:int'"),
    Case(name: "tag of text", text: "name: !!str 1\n", line: 1, says: "no tags: leave out 'tag:yaml.org,2002:str'"),
    Case(name: "tag of a key", text: "!!str name: 1\n", line: 1, says: "no tags"),
    Case(name: "tag of a list", text: "hosts: !!set []\n", line: 1, says: "no tags"),
    Case(name: "tag of a mapping", text: "hosts: !python/object {}\n", line: 1, says: "no tags"),
    Case(name: "declared tag", text: "%TAG !a! b\n---\nhosts: {}\n", line: 1, says: "no tags: leave out '%TAG'"),
    Case(name: "many declared tags", text: "hosts: {}\n...\n" + tags, line: 3, says: "no tags: leave out '%TAG'"),
    Case(name: "deep brackets", text: "hosts: " + String(repeating: "[", count: 100_000), line: 1, says: "12 levels"),
    Case(name: "deep dashes", text: String(repeating: "- ", count: 100_000), line: 1, says: "12 levels"),
    Case(name: "deep braces", text: String(repeating: "{a: ", count: 100_000), line: 1, says: "12 levels"),
    Case(name: "deep question marks", text: String(repeating: "? ", count: 100_000), line: 1, says: "a key must be text"),
    Case(
      name: "deep indentation", text: (0..<1000).map { String(repeating: " ", count: $0) + "a:\n" }.joined(), line: 13,
      says: "more depth"),
    Case(name: "deeper than needed", text: "hosts: [[[[[[[[[[[1]]]]]]]]]]]", line: 1, says: "12 levels"),
    Case(name: "as deep as can be", text: "hosts: [[[[[[[[[[1]]]]]]]]]]", line: 1, says: "must be a mapping"),
    Case(
      name: "many values", text: "hosts: [" + String(repeating: "1,", count: 250_000) + "]", line: 1, says: "200000 values"),
    Case(name: "unclosed", text: "hosts: {count: 1\n", line: 2, says: "not YAML"),
    Case(name: "tab", text: "hosts:\n\tcount: 1\n", line: 2, says: "not YAML"),
    Case(name: "prose", text: "Hello: world: again", line: 1, says: "not YAML"),
    Case(name: "zero byte", text: "hosts: {}\nname: a\0b\n", line: 2, says: "not YAML"),
    Case(name: "control character", text: "hosts: {}\nname: \u{1}\n", line: 2, says: "not YAML"),
    Case(name: "surrogate", text: "hosts: {}\nname: \"\\uD800\"\n", line: 2, says: "not YAML"),
  ]

  @Test(arguments: cases) func isRefused(_ bad: Case) throws {
    let start = ContinuousClock.now
    let error = try Topologies.error(bad.text)
    #expect(error.position.line == bad.line, "\(error)")
    #expect(error.problem.contains(bad.says), "\(error)")
    #expect(ContinuousClock.now - start < .seconds(Patience.seconds(10)))
  }

  /// Found by the fuzzer: keys may have tabs, and errors quote keys.
  @Test func errorsAreOneLine() throws {
    for text in ["hosts: {}\na\tb: 1\na\tb: 2\n", "hosts: {}\n\"a\\nb\": 1\n", "hosts: {count: \"\\x07\\u2028\"}\n"] {
      let error = try Topologies.error(text)
      #expect(!error.description.unicodeScalars.contains { $0.value < 32 || $0.value == 0x2028 }, "\(error)")
    }
  }

  @Test func hugeFilesAreNotParsed() throws {
    let bytes = [UInt8](repeating: UInt8(ascii: "#"), count: DescriptionNode.fileBytesMax + 1)
    #expect(throws: DescriptionError.self) { try Topology(file: "huge", bytes: bytes) }
    let error = #expect(throws: DescriptionError.self) { try Topology(file: "huge", bytes: bytes) }
    #expect(error?.description == "huge:1:1: the file has 1048577 bytes: 1048576 is the most")
  }

  @Test func textMustBeUnicode() throws {
    let bytes = Array("hosts: {}\nname: \"ü".utf8) + [0xFF, 0x22]
    let error = #expect(throws: DescriptionError.self) { try Topology(file: "latin", bytes: bytes) }
    #expect(error?.description == "latin:2:9: the file is not text in UTF-8")
  }

  @Test(arguments: [[0xFF, 0xFE, 0x61, 0], [0xFE, 0xFF, 0, 0x61], [0xFF, 0xFE]] as [[UInt8]])
  func textOfAnotherEncodingIsNamed(_ bytes: [UInt8]) {
    let error = #expect(throws: DescriptionError.self) { try Topology(file: "wide", bytes: bytes) }
    #expect(error?.description == "wide:1:1: the file is text in UTF-16: save it in UTF-8")
  }

  /// The parser says of such bytes how many are before them.
  @Test(arguments: [
    ("name: a\0b", 1, 8), ("\0", 1, 1), ("name: ü\0", 1, 8), ("# a\r\n# b\rname: \u{7}", 3, 7),
    ("# a\u{85}# b\u{2028}\u{2029}name: \u{1F600}\u{1}", 4, 8), ("\u{FEFF}name: \u{1}", 1, 7),
  ]) func whatIsNoCharacterIsLocated(_ text: String, _ line: Int, _ column: Int) throws {
    let error = try Topologies.error(text)
    #expect(error.position == TextPosition(line: line, column: column), "\(error)")
    #expect(error.problem == "not YAML: control characters are not allowed")
  }

  /// Of several mistakes the first in the file counts, whatever kind they are of.
  @Test func theFirstMistakeCounts() throws {
    #expect(try Topologies.error("name: !a x\nhosts: {}\nhosts: [").description.contains(":1:7: topologies have no tags"))
    #expect(try Topologies.error("hosts: {}\nhosts: &a\n").description.contains(":1:1: given more than once: 'hosts'"))
    #expect(try Topologies.error("hosts: &a\nhosts: {}\n").description.contains(":1:8: topologies have no anchors"))
  }

  /// A file that was cut off is read, or refused with a place in it; its end may be a line of its own.
  @Test(arguments: Topologies.files) func cutFilesAreReadOrRefused(_ file: String) throws {
    let bytes = try Topologies.bytes(file)
    for count in stride(from: 0, to: bytes.count, by: Patience.isSanitized ? 7 : 1) {
      do throws(DescriptionError) { _ = try DescriptionNode(file: file, bytes: bytes.prefix(count), kind: .topology) } catch
      {
        let lines = bytes.prefix(count).count { $0 == UInt8(ascii: "\n") } + 2
        #expect(error.position.line <= lines, "\(count) bytes: \(error)")
      }
    }
  }

  /// What only looks like an alias, an anchor, a tag or depth is text.
  @Test func whatIsQuotedIsText() throws {
    let quoted = "*x, &x, %TAG, !x, {[*.yaml, *y]"
    let comment = "# *x, &x, !x, " + String(repeating: "[", count: 1000)
    let topology = try Topologies.read("\(comment)\nname: 2 * 3\nsource: '\(quoted)'\nhosts: {}\n")
    #expect(topology.name == "2 * 3")
    #expect(topology.source == quoted)
  }

  @Test func windowsLineEndsAndMarksAreText() throws {
    let topology = try Topologies.read("\u{FEFF}name: x\r\nhosts: {count: 1}\r\n")
    #expect(topology.name == "x")
  }
}
