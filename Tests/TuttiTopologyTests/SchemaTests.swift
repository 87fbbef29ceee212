import Foundation
import SchemaValidator
import Testing
import TuttiTopology
import TuttiTopologyFiles

/// `Topologies/topology.schema.json`, by which editors complete and check files, says what the reader knows.
@Suite struct SchemaTests {
  private let schema: SchemaValidator

  init() throws {
    schema = try SchemaValidator(contentsOf: Topologies.folder.appending(path: "topology.schema.json"))
  }

  @Test(arguments: Section.allCases) func hasEveryKey(_ section: Section) throws {
    let properties = try #require(schema.definition(section.rawValue)?["properties"] as? [String: Any])
    #expect(Set(properties.keys) == Set(section.keys))
    #expect(schema.definition(section.rawValue)?["additionalProperties"] as? Bool == false)
    #expect(Set(section.keys).count == section.keys.count)
  }

  @Test(arguments: Topologies.files) func takesTheTopologies(_ file: String) throws {
    let content = try DescriptionNode(file: file, bytes: Topologies.bytes(file), kind: .topology)
    #expect(schema.complaint(about: content.json) == nil)
  }

  /// What the reader refuses for its form alone, the schema refuses too.
  @Test(arguments: ErrorTests.keys.prefix(2) + ErrorTests.numbers.prefix(9)) func refusesWhatTheReaderRefuses(
    _ bad: ErrorTests.Case
  ) throws {
    let content = try DescriptionNode(file: "test.yaml", bytes: Array(bad.text.utf8), kind: .topology)
    #expect(schema.complaint(about: content.json) != nil, "\(bad.text)")
  }

  /// Units that one of them takes, both take.
  @Test(arguments: [
    "1 Gb/s", "62.4GB/s", "100 Mbit/s", "25Gbps", "1 kB/s", "1 gb/s", "1 Gb", "Gb/s", "1 GiB/s", "-1 Gb/s", "1. Gb/s",
    "5 us", "0.3 µs", "1.5 ms", "2 min",
  ]) func unitsAgree(_ text: String) throws {
    for (kind, file) in [
      ("bandwidth", "hosts: {nics: {bandwidth: \(text), latency: 1 us}}\nnetwork: {type: switch}"),
      ("latency", "hosts: {nics: {bandwidth: 1 Gb/s, latency: \(text)}}\nnetwork: {type: switch}"),
    ] {
      let isRead = (try? Topologies.read(file)) != nil
      #expect(isRead == (schema.complaint(about: text, "#/$defs/\(kind)") == nil), "\(text) as \(kind)")
    }
  }
}
