import Foundation
import SchemaValidator
import Testing
import TuttiSchedule
import TuttiSystem
import TuttiTopology
import TuttiTopologyFiles

@testable import TuttiChoice

/// Files of profiles: what is written is read again, what is wrong is told with its place.
@Suite struct TuningProfileTests {
  static func read(_ text: String, isForced: Bool = false) throws(DescriptionError) -> TuningProfile? {
    let node = try DescriptionNode(file: "p.yaml", bytes: Array(text.utf8), kind: .tuning)
    return try TuningProfile.read(node, file: "p.yaml", isForced: isForced)
  }

  private static let seed =
    ProcessInfo.processInfo.environment["TUTTI_TEST_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...999_999)

  @Test("what was written is read again") func roundTrip() throws {
    var random = SeededGenerator(seed: Self.seed)
    for _ in 0..<300 {
      let profile = Self.random(&random)
      let text = profile.text
      let read = try Self.read(text)
      #expect(read == profile, "TUTTI_TEST_SEED=\(Self.seed)\n\(text)")
      #expect(read?.text == text && read?.hash == profile.hash, "TUTTI_TEST_SEED=\(Self.seed)")
    }
  }

  @Test("the hash is the content's") func hashes() {
    var random = SeededGenerator(seed: Self.seed)
    let profile = Self.random(&random)
    var others: [TuningProfile] = []
    for change in [
      { $0.name += "x" }, { $0.family = $0.family == .generic ? nil : .generic }, { $0.measured = "\($0.measured ?? "")x" },
      { $0.terms[.rdma] = MediumTerms(round: 77, message: 0, anyMessage: 0, byte: 0, anyByte: 0, firstByte: 0) },
      {
        $0.add(
          TuningTable(
            shape: JobShape(medium: .rdma, ranks: 77, processors: 7), collective: .gather,
            rows: [.init(bytes: 1, microseconds: ["x": 7])]))
      },
    ] as [(inout TuningProfile) -> Void] {
      var other = profile
      change(&other)
      others.append(other)
    }
    #expect(Set((others + [profile]).map(\.hash)).count == 6, "TUTTI_TEST_SEED=\(Self.seed)")
  }

  private static func random(_ random: inout SeededGenerator) -> TuningProfile {
    func text(_ random: inout SeededGenerator) -> String {
      let letters: [Character] = [
        "a", "Z", "7", " ", "\"", "\\", ":", "#", "é", "漢", "🙂", "'", "{", "-", "\u{85}", "\u{2028}", "\u{FEFF}",
      ]
      return String((0...Int.random(in: 0...12, using: &random)).map { _ in letters.randomElement(using: &random) ?? "a" })
    }
    func time(_ random: inout SeededGenerator) -> Double {
      let scales: [Double] = [1e-9, 1e-3, 1, 1e4]
      let scale = scales.randomElement(using: &random) ?? 1
      return Double.random(in: 0.001...1, using: &random) * scale
    }
    var profile = TuningProfile(name: text(&random))
    if Bool.random(using: &random) { profile.family = ProcessorFamily.allCases.randomElement(using: &random) }
    if Bool.random(using: &random) { profile.measured = text(&random) }
    for medium in Medium.allCases where Bool.random(using: &random) {
      profile.terms[medium] = MediumTerms(
        round: time(&random), message: time(&random), anyMessage: 0, byte: time(&random), anyByte: time(&random),
        firstByte: time(&random))
    }
    var shapes: [JobShape] = []
    for _ in 0..<Int.random(in: 0...3, using: &random) {
      let sizes = (0..<Int.random(in: 1...4, using: &random)).map { _ in Int.random(in: 1...5, using: &random) }
      let ranks = sizes.reduce(0, +)
      shapes.append(
        JobShape(
          medium: Medium.allCases.randomElement(using: &random) ?? .network, ranks: ranks,
          processors: Int.random(in: 1...ranks, using: &random),
          groups: Bool.random(using: &random) ? [] : [sizes, Array(repeating: 1, count: ranks)]))
    }
    for _ in 0..<Int.random(in: 0...6, using: &random) {
      guard let shape = shapes.randomElement(using: &random) else { break }
      var bytes: UInt64 = 0
      let rows = (0...Int.random(in: 0...4, using: &random)).map { _ in
        bytes += UInt64.random(in: 1...1 << 20, using: &random)
        let times = (0...Int.random(in: 0...4, using: &random)).map { _ in (text(&random), time(&random)) }
        return TuningTable.Row(bytes: bytes, microseconds: Dictionary(times) { first, _ in first })
      }
      profile.add(
        TuningTable(shape: shape, collective: Collective.allCases.randomElement(using: &random) ?? .gather, rows: rows))
    }
    return profile
  }

  // MARK: What is wrong

  struct Case: Sendable, CustomTestStringConvertible {
    var text: String
    var place: String
    var says: String
    var testDescription: String { says }

    init(_ text: String, _ place: String, _ says: String) { (self.text, self.place, self.says) = (text, place, says) }
  }

  private static let head = "version: 1\nname: x\n"
  private static func shape(_ members: String) -> String { head + "shapes: [{\(members)}]" }
  private static let ranks = "medium: loopback, ranks: 4, processors: 2"
  private static func rows(_ rows: String) -> String { shape("\(ranks), collectives: {all-reduce: \(rows)}") }

  /// Those that a schema can tell as well.
  static let forms: [Case] = [
    Case(head + "measurd: x", "3:1", "measurd: unknown key of a tuning profile; did you mean 'measured'?"),
    Case("name: x", "1:1", "version: is missing: it is 1"),
    Case("version: 1", "1:1", "name: is missing: what people call the profile"),
    Case("version: one\nname: x", "1:10", "version: must be a whole number"),
    Case(head + "processor: amd-zen33", "3:12", "processor: unknown 'amd-zen33'; did you mean 'amd-zen3'?"),
    Case(head + "terms: {tcp: {}}", "3:9", "terms.tcp: unknown key of the terms of media; there are"),
    Case(head + "terms: {rdma: {round: 1}}", "3:15", "terms.rdma.message: is missing: in microseconds"),
    Case(head + "terms: {rdma: {round: -1}}", "3:23", "terms.rdma.round: -1 is too small"),
    Case(head + "terms: {rdma: {round: .5}}", "3:23", "terms.rdma.round: must be a number"),
    Case(head + "terms: {rdma: {round: \"5\"}}", "3:23", "terms.rdma.round: must be a number"),
    Case(shape("ranks: 4"), "3:10", "shapes[0].medium: is missing: one of shared-memory, loopback, network, rdma"),
    Case(shape("medium: network, ranks: 0"), "3:35", "shapes[0].ranks: 0 is too small"),
    Case(shape(ranks), "3:10", "shapes[0].collectives: is missing"),
    Case(shape("\(ranks), collectives: {all-reduced: []}"), "3:68", "did you mean 'all-reduce'?"),
    Case(rows("[]"), "3:80", "shapes[0].collectives.all-reduce: has 0 elements"),
    Case(rows("[{bytes: 8}]"), "3:81", "microseconds: is missing: the time of each algorithm"),
    Case(rows("[{bytes: -8, microseconds: {ring: 1}}]"), "3:89", "bytes: -8 is too small"),
    Case(rows("[{bytes: 8, microseconds: {ring: fast}}]"), "3:113", "microseconds.ring: must be a number"),
    Case(rows("[{bytes: 8, microseconds: {ring: 0}}]"), "3:113", "microseconds.ring: 0 is no time that a call takes"),
  ]

  static let contents: [Case] = [
    Case("", "1:1", "the file is empty: it has 'version' and 'name' at least (docs/TUNING.md)"),
    Case("[1]", "1:1", "must be a mapping of keys to values, not a list"),
    Case("version: &a 1\nname: x", "1:10", "tuning profiles have no anchors: leave out '&a'"),
    Case("verson: 1\nname: x", "1:1", "verson: unknown key of a tuning profile; did you mean 'version'?"),
    Case("version: 1\nname: \"a\\nb\"", "2:7", "name: must be one line"),
    Case(head + "terms: {rdma: {round: 1e99}}", "3:23", "1e99 is too large"),
    Case(shape("medium: network, ranks: 4, processors: 5"), "3:50", "processors: 5 is too large: 1 to 4"),
    Case(
      shape("\(ranks), groups: [[2, 3]], collectives: {}"), "3:63", "groups[0]: has groups of 5 ranks together: there are 4"),
    Case(
      shape("\(ranks), collectives: {}}, {\(ranks), collectives: {}"), "3:72",
      "shapes[1]: is the shape of another element too"),
    Case(
      rows("[{bytes: 8, microseconds: {a: 1}}, {bytes: 8, microseconds: {a: 1}}]"), "3:115",
      "[1].bytes: 8 follows 8: sizes are in ascending order"),
    Case(rows("[{bytes: 8, microseconds: {auto: 1}}]"), "3:107", "'auto' is not the name of an algorithm"),
  ]

  @Test(arguments: forms + contents) func mistakesAreLocated(_ bad: Case) throws {
    do throws(DescriptionError) {
      _ = try Self.read(bad.text)
      Issue.record("was taken for right: \(bad.text)")
    } catch {
      #expect(error.description.hasPrefix("p.yaml:\(bad.place): "), "\(error)")
      #expect(error.description.contains(bad.says), "\(error)")
    }
  }

  @Test("another version is not read, unless that is asked for") func otherVersions() throws {
    let later = "version: 2\nname: x\nunheard-of: 5\n"
    #expect(try Self.read(later) == nil)
    #expect(throws: DescriptionError.self) { try Self.read(later, isForced: true) }
    #expect(try Self.read("version: 2\nname: x", isForced: true) == TuningProfile(name: "x"))
  }

  // MARK: The schema

  private static let docs = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "docs")
  private static func schema() throws -> SchemaValidator {
    try SchemaValidator(contentsOf: docs.appending(path: "tuning.schema.json"))
  }

  @Test(arguments: TuningSection.allCases) func schemaHasEveryKey(_ section: TuningSection) throws {
    let definition = try #require(try Self.schema().definition(section.rawValue))
    let properties = try #require(definition["properties"] as? [String: Any])
    #expect(Set(properties.keys) == Set(section.keys) && definition["additionalProperties"] as? Bool == false)
  }

  @Test(arguments: forms) func schemaRefusesWhatTheReaderRefuses(_ bad: Case) throws {
    let content = try DescriptionNode(file: "p.yaml", bytes: Array(bad.text.utf8), kind: .tuning)
    #expect(try Self.schema().complaint(about: content.json) != nil, "\(bad.text)")
  }

  @Test("what is written fits the schema") func schemaTakesProfiles() throws {
    var random = SeededGenerator(seed: Self.seed)
    for _ in 0..<50 {
      let text = Self.random(&random).text
      let content = try DescriptionNode(file: "p.yaml", bytes: Array(text.utf8), kind: .tuning)
      #expect(try Self.schema().complaint(about: content.json) == nil, "TUTTI_TEST_SEED=\(Self.seed)\n\(text)")
    }
  }

  @Test("the example of the documentation is one") func documentedExample() throws {
    let document = try String(contentsOf: Self.docs.appending(path: "TUNING.md"), encoding: .utf8)
    let parts = document.components(separatedBy: "```yaml\n").dropFirst().map { $0.components(separatedBy: "```")[0] }
    #expect(!parts.isEmpty)
    for part in parts {
      let profile = try #require(try Self.read(part))
      #expect(try Self.read(profile.text) == profile)
      let content = try DescriptionNode(file: "p.yaml", bytes: Array(part.utf8), kind: .tuning)
      #expect(try Self.schema().complaint(about: content.json) == nil)
    }
  }
}
