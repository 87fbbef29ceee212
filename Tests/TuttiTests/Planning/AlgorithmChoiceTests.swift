import Foundation
import Testing
import TuttiSchedule
import TuttiSystem
import TuttiTopology
import TuttiTransport

@testable import Tutti

/// What `auto` stands for without groups, against a table that was written when costs had no levels.
@Suite struct AlgorithmChoiceTests {
  private static let media: [String: Medium] = [
    "sharedMemory": .sharedMemory, "loopback": .loopback, "network": .network, "rdma": .rdma,
  ]

  /// Lines are `medium collective ranks/processors [unequal]: bytes algorithm bytes algorithm...`: which algorithm is chosen
  /// from how many bytes on, for 8 B times 1, 1.25, 1.5, 2... up to 800 MB.
  @Test("the choices are those of the table", arguments: media.keys.sorted()) func choices(medium: String) throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "AlgorithmChoices.txt")
    let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").filter { $0.hasPrefix(medium + " ") }
    #expect(lines.count > 100)
    let catalog = try AlgorithmCatalog(CommunicatorOptions())
    for line in lines {
      let head = line.prefix { $0 != ":" }.split(separator: " ")
      let counts = try head[2].split(separator: "/").map { try #require(Int($0)) }
      let collective = try #require(Collective(name: String(head[1])))
      let policy = AlgorithmPolicy(
        grouping: Grouping(rankCount: counts[0]), medium: try #require(Self.media[medium]), processors: counts[1],
        segmentBytesMax: 256 << 10, catalog: catalog)
      var found = head.joined(separator: " ") + ":"
      var last = ""
      for step in 0...80 {
        let bytes = UInt64(8 << (step / 3)) * UInt64([4, 5, 6][step % 3]) / 4
        let choice = policy.algorithm(collective, bytes: bytes, hasUnequalBlocks: head.count == 4, isOrdered: false)
        if choice != last { found += " \(bytes) \(choice)" }
        last = choice
      }
      #expect(found == line)
    }
  }

  /// Two-shot sends from host to host what stays inside them otherwise.
  @Test("over groups, the choice is by level, and one that the catalog has") func levels() throws {
    let catalog = try AlgorithmCatalog(CommunicatorOptions())
    let layout = try JobLayout(
      nil, hosts: "aaaabbbb".map { HostIdentity(name: String($0), identity: "\($0)") })
    let policy = AlgorithmPolicy(
      grouping: layout.grouping, medium: .network, processors: 4, segmentBytesMax: 256 << 10, catalog: catalog,
      terms: layout.terms(outer: .network, inner: .sharedMemory, processors: 4, hostProcessors: 4))
    for collective in Collective.allCases {
      let explanation = policy.explain(collective, bytes: 16 << 20, hasUnequalBlocks: false)
      let name = policy.algorithm(collective, bytes: 16 << 20, hasUnequalBlocks: false, isOrdered: true)
      #expect(explanation.chosen == name && explanation.levels == ["host", "rank"])
      #expect(catalog.number(collective, named: name) != nil && name != "two-shot", "\(collective.name) \(name)")
    }
  }
}
