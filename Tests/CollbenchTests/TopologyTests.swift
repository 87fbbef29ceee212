import Foundation
import Testing

/// `collbench topology`, as a user runs it. What files mean is tested where they are read.
@Suite struct TopologyTests {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Topologies").path

  private static func withFile(_ text: String, _ body: (String) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "collbench-topology-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "a.yaml").path
    try text.write(toFile: file, atomically: true, encoding: .utf8)
    try await body(file)
  }

  @Test func validateSaysWhatFilesAre() async throws {
    let outcome = try await Tool.run("topology validate \(Self.folder)/rail-pod-1024.yaml \(Self.folder)/two-socket.yaml")
    #expect(outcome.status == 0)
    #expect(outcome.errors == "")
    let lines = outcome.output.split(separator: "\n")
    #expect(lines.count == 2)
    #expect(lines.first?.contains("rail-pod-1024.yaml: 1024 hosts, 8192 ranks, hash ") == true)
    #expect(lines.last?.contains("two-socket.yaml: 1 host, 16 ranks, hash ") == true)
  }

  /// One that is wrong does not keep others from being looked at, and its error is what editors jump to.
  @Test func validateFailsWithPlaces() async throws {
    try await Self.withFile("hosts:\n  nics:\n    bandwith: 1 Gb/s\n") { file in
      let outcome = try await Tool.run("topology validate \(file) /nonexistent.yaml \(Self.folder)/roce-4.yaml /tmp")
      #expect(outcome.status == 1)
      #expect(outcome.output.split(separator: "\n").count == 1)
      #expect(
        outcome.errors == """
          \(file):3:5: hosts.nics.bandwith: unknown key of network interfaces; did you mean 'bandwidth'?
          /nonexistent.yaml: No such file or directory.
          /tmp: Is a directory.

          """)
    }
  }

  @Test func showIsATreeByDefault() async throws {
    let outcome = try await Tool.run("topology show \(Self.folder)/ethernet-2.yaml")
    #expect(outcome.status == 0)
    #expect(outcome.output.contains("├─ host0: ranks 0 to 3\n└─ host1: ranks 4 to 7\n"))
  }

  @Test func jsonHasTheLevels() async throws {
    let outcome = try await Tool.run("topology show \(Self.folder)/two-racks.yaml --format json")
    #expect(outcome.status == 0)
    let object = try parse(outcome.output)
    #expect(object["hosts"] as? Int == 8 && object["ranks"] as? Int == 40)
    #expect((object["hash"] as? String)?.count == 32)
    let levels = try #require(object["levels"] as? [Object])
    #expect(levels.map { $0["name"] as? String } == ["switch", "host", "socket", "rank"])
    #expect(levels[1]["latencyMicroseconds"] as? Double == 13)
    #expect(levels[1]["bandwidthGBps"] as? Double == 3.125)
    #expect((object["hostOfRank"] as? [Int])?.count == 40)
    let groups = try #require(object["groupsOfRank"] as? [String: [Int]])
    #expect(Set(groups.keys) == ["switch", "host", "socket"])
  }

  @Test func picturesGoToAFile() async throws {
    try await Self.withFile("") { file in
      let outcome = try await Tool.run("topology show \(Self.folder)/roce-4.yaml --format svg --output \(file).svg")
      #expect(outcome.status == 0)
      #expect(outcome.output == "")
      #expect(try String(contentsOfFile: file + ".svg", encoding: .utf8).hasSuffix("</svg>\n"))
      // An error leaves what was there.
      let failed = try await Tool.run("topology show \(file) --format svg --output \(file).svg")
      #expect(failed.status == 1)
      #expect(failed.errors.contains("\(file):1:1: the file is empty"))
      #expect(try String(contentsOfFile: file + ".svg", encoding: .utf8).hasSuffix("</svg>\n"))
    }
  }

  @Test(arguments: [
    ("topology show", ["file"]),
    ("topology show x.yaml --format sgv", ["unknown format 'sgv'", "Did you mean 'svg'?"]),
    ("topology validate", ["file"]),
    ("topology show x.yaml --output /nonexistent/x.svg", ["/nonexistent", "does not exist"]),
  ]) func mistakesAreRefused(_ arguments: String, _ says: [String]) async throws {
    let outcome = try await Tool.run(arguments, limit: 20)
    #expect(outcome.status == 1 || outcome.status == 64)
    #expect(outcome.output == "")
    for text in says { #expect(outcome.errors.contains(text), "\(outcome.errors)") }
  }

  @Test func helpHasExamples() async throws {
    for command in ["topology", "topology show", "topology validate"] {
      let outcome = try await Tool.run("\(command) --help")
      #expect(outcome.status == 0)
      #expect(outcome.output.contains("collbench topology "))
    }
  }
}
