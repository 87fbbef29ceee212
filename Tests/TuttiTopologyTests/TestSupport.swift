import Foundation
import Testing
import TuttiSystem
import TuttiTopology
import TuttiTopologyFiles

/// The folder `Topologies`, and topologies from text.
enum Topologies {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Topologies")

  static let files: [String] = ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [])
    .filter { $0.hasSuffix(".yaml") }.sorted()

  /// What fuzzers found once, each file a mistake of the reader that was mended.
  static let corpus = folder.deletingLastPathComponent().appending(path: "Tests/FuzzTopology/Corpus")
  static let found: [String] = ((try? FileManager.default.contentsOfDirectory(atPath: corpus.path)) ?? []).sorted()

  static func bytes(_ file: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: folder.appending(path: file))) }

  static func load(_ file: String) throws -> Topology { try Topology(file: file, bytes: bytes(file)) }

  static func read(_ text: String) throws -> Topology { try Topology(file: "test.yaml", bytes: Array(text.utf8)) }

  /// The error of a text that must have one.
  static func error(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> DescriptionError {
    do throws(DescriptionError) { _ = try Topology(file: "test.yaml", bytes: Array(text.utf8)) } catch { return error }
    Issue.record("was taken for right:\n\(text.prefix(400))", sourceLocation: sourceLocation)
    throw NoError()
  }

  struct NoError: Error {}
}

/// TUTTI_TEST_SEED replays a run.
typealias SeededGenerator = TuttiSystem.SeededGenerator

extension SeededGenerator {
  /// The seed of this run: `TUTTI_TEST_SEED`, or a new one, which failures print.
  static let seed =
    ProcessInfo.processInfo.environment["TUTTI_TEST_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...999_999)
}
