import Foundation
import FuzzTopology
import Testing

/// The property that `Scripts/fuzz-topology` has a fuzzer break, on a few hundred changed topologies of a seed;
/// TUTTI_TEST_MUTATIONS gives another number of them.
@Suite struct FuzzTests {
  private static let mutations =
    ProcessInfo.processInfo.environment["TUTTI_TEST_MUTATIONS"].flatMap { Int($0) } ?? 600

  /// What is put into files besides parts of themselves.
  private static let words = [
    "0", "-1", "99999999999", "1e9", "''", "[]", "{}", "[", "}", ":", "- ", "&a ", "*a", "!!str ", "~", "null", "true", "\n",
    "\t", "  ", "#", "\u{0}",
    "rails: 8", "count: 64", "dimensions: [2, 3]", "1 Gb/s", "1 ps", "10 s", "100 Tb/s", "type: graph", "node[0-9]",
    "separate", "between: [a, b]",
  ]

  @Test func changedFilesAreReadOrRefused() throws {
    var numbers = SeededGenerator(seed: SeededGenerator.seed)
    let seeds = try Topologies.files.map(Topologies.bytes)
    for turn in 0..<FuzzTests.mutations {
      var bytes = seeds.randomElement(using: &numbers)!
      for _ in 0..<Int.random(in: 1...4, using: &numbers) {
        let place = Int.random(in: 0...bytes.count, using: &numbers)
        let end = min(bytes.count, place + Int.random(in: 0...12, using: &numbers))
        switch Int.random(in: 0..<4, using: &numbers) {
        case 0: bytes.replaceSubrange(place..<end, with: FuzzTests.words.randomElement(using: &numbers)!.utf8)
        case 1: bytes.removeSubrange(place..<end)
        case 2: bytes.insert(contentsOf: bytes[place..<end], at: Int.random(in: 0...bytes.count, using: &numbers))
        default: if place < bytes.count { bytes[place] = UInt8.random(in: 0...255, using: &numbers) }
        }
      }
      if let complaint = FuzzTopology.complaint(about: bytes) {
        Issue.record(
          "TUTTI_TEST_SEED=\(SeededGenerator.seed), turn \(turn): \(complaint)\n\(String(decoding: bytes, as: UTF8.self))")
      }
    }
  }

  /// What a fuzzer found once.
  @Test(arguments: Topologies.found) func foundFilesHoldIt(_ file: String) throws {
    #expect(FuzzTopology.complaint(about: [UInt8](try Data(contentsOf: Topologies.corpus.appending(path: file)))) == nil)
  }

  @Test(arguments: Topologies.files) func filesHoldIt(_ file: String) throws {
    #expect(FuzzTopology.complaint(about: try Topologies.bytes(file)) == nil)
  }
}
