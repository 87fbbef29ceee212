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

  static let cases = [
    Case(name: "empty", text: "", line: 1, says: "empty"),
    Case(name: "spaces", text: "  \n\n", line: 1, says: "empty"),
    Case(name: "comment", text: "# nothing\n", line: 1, says: "empty"),
    Case(name: "null", text: "~", line: 1, says: "must be a mapping"),
    Case(name: "document marks", text: "---\n...\n", line: 2, says: "must be a mapping"),
    Case(name: "two documents", text: "hosts: {}\n---\nhosts: {}\n", line: 2, says: "another document"),
    Case(name: "exploding anchors", text: explosion + "hosts: *a9\n", line: 2, says: "no aliases"),
    Case(name: "exploding keys", text: explosion + "? *a9\n: 1\n", line: 2, says: "no aliases"),
    Case(name: "cyclic anchor", text: "hosts: &h\n  nics: *h\n", line: 2, says: "'*h': topologies have no aliases"),
    Case(name: "anchor alone", text: "hosts: &h {count: 1}\n", line: 1, says: "no anchors: leave out '&h'"),
    Case(name: "anchor of a scalar", text: "hosts: {count: &h 1}\n", line: 1, says: "no anchors"),
    Case(name: "merge", text: "base: &b {count: 1}\nhosts: {<<: *b}\n", line: 2, says: "no aliases"),
    Case(name: "alias behind a quote", text: "name: \"# \"\nhosts: [\"x # \", *b]\n", line: 2, says: "no aliases"),
    Case(name: "tag", text: "hosts: {count: !!int 1}\n", line: 1, says: "no tags"),
    Case(name: "tag of a mapping", text: "hosts: !python/object {}\n", line: 1, says: "no tags"),
    Case(name: "deep brackets", text: "hosts: " + String(repeating: "[", count: 100_000), line: 1, says: "more depth"),
    Case(name: "deep dashes", text: String(repeating: "- ", count: 100_000), line: 1, says: "more depth"),
    Case(name: "deep question marks", text: String(repeating: "? ", count: 100_000), line: 1, says: "more depth"),
    Case(
      name: "deep indentation", text: (0..<1000).map { String(repeating: " ", count: $0) + "a:\n" }.joined(), line: 102,
      says: "more depth"),
    Case(name: "deeper than needed", text: "hosts: [[[[[[[[[[[[[1]]]]]]]]]]]]]", line: 1, says: "12 levels"),
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
    let bytes = [UInt8](repeating: UInt8(ascii: "#"), count: Topology.fileBytesMax + 1)
    #expect(throws: TopologyError.self) { try Topology(file: "huge", bytes: bytes) }
    let error = #expect(throws: TopologyError.self) { try Topology(file: "huge", bytes: bytes) }
    #expect(error?.description == "huge:1:1: the file has 1048577 bytes: 1048576 is the most")
  }

  @Test func textMustBeUnicode() throws {
    let bytes = Array("hosts: {}\nname: \"ü".utf8) + [0xFF, 0x22]
    let error = #expect(throws: TopologyError.self) { try Topology(file: "latin", bytes: bytes) }
    #expect(error?.description == "latin:2:9: the file is not text in UTF-8")
  }

  /// What only looks like an alias is text.
  @Test func asterisksAreAllowed() throws {
    let topology = try Topologies.read(
      "# *.yaml, 2 * 3, 2*x, *emphasis*\nname: 2 * 3\nsource: 'see *.yaml (*) **bold**'\nhosts: {}\n")
    #expect(topology.name == "2 * 3")
    #expect(topology.source == "see *.yaml (*) **bold**")
  }

  @Test func windowsLineEndsAndMarksAreText() throws {
    let topology = try Topologies.read("\u{FEFF}name: x\r\nhosts: {count: 1}\r\n")
    #expect(topology.name == "x")
  }
}
