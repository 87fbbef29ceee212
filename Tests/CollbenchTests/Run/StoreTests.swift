import Foundation
import Testing

/// Processes that meet over files instead of at an address.
@Suite(.serialized) struct StoreTests {
  @Test("processes meet over a folder, in one communicator and in groups that only their members make")
  func meetsOverAFolder() async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "tutti-store-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    // A second run finds what the first one left.
    for round in 0..<2 {
      for (rank, outcome) in try await FaultRanks.run(5, "auto auto 8 30 folder=\(folder.path)").enumerated() {
        #expect(outcome.status == 0, "round \(round), rank \(rank): \(outcome.errors)")
        let half = rank % 2 == 0 ? "sum 6 of 3" : "sum 4 of 2"
        #expect(outcome.output.contains("sum 10 of 5\n\(half)\n"), "round \(round), rank \(rank): \(outcome.output)")
      }
    }
  }

  @Test("a folder that cannot be written is named by rank 0") func aBrokenFolderIsNamed() async throws {
    let ranks = try FaultRanks.start(1, ["auto", "auto", "8", "30", "folder=/nowhere/at/all"])
    let outcome = try await ranks[0].outcome(limit: 30)
    // One rank meets nobody, and needs no store.
    #expect(outcome.status == 0 && outcome.output.contains("sum 0 of 1"), "\(outcome.errors)")
    let soon = FaultRanks.after("export TUTTI_TIMEOUT=2")
    let outcomes = try await FaultRanks.run(2, "auto auto 8 30 folder=/nowhere/at/all", inside: [0: soon, 1: soon])
    for outcome in outcomes {
      #expect(outcome.status == 1 && outcome.errors.hasPrefix("rendezvous "), "\(outcome.errors)")
      #expect(outcome.errors.contains("FolderStore under \"tutti-main\""), "\(outcome.errors)")
    }
    #expect(outcomes[0].errors.contains("Cause: ") && outcomes[0].errors.contains("/nowhere/at/all"))
    #expect(outcomes[1].errors.contains("rank 0 has left no address"))
  }
}
