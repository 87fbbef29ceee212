import Foundation
import Testing
import TuttiAlgorithms
import TuttiSchedule

/// The table of `docs/ALGORITHMS.md` that says by which trees each algorithm folds at 1 to 33 ranks: it is what the proof
/// finds, and what the algorithms promise. Debug is several times slower, and reads fewer rank counts.
@Suite struct FoldTableTests {
  private static let all = 1...33
  #if DEBUG
    private static let rankCounts = Array(1...9) + [12, 13, 16, 17]
  #else
    private static let rankCounts = Array(all)
  #endif

  /// The cells of an algorithm's row: the rank counts with the canonical tree, and those with one other.
  private static func row(_ algorithm: any Algorithm) throws -> [Set<Int>] {
    let document = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../docs/ALGORITHMS.md")
    let lines = try String(contentsOf: document, encoding: .utf8).split(separator: "\n")
    let start = "| \(algorithm.collective.name) | `\(algorithm.name)` | "
    let line = try #require(lines.first { $0.hasPrefix(start) }, "no row that begins with \(start)")
    let cells = line.dropFirst(start.count).dropLast(2).components(separatedBy: " | ")
    return try cells.map(rankCounts)
  }

  /// Reads `1 to 3, 8 and 9`, `all` or `none`.
  private static func rankCounts(_ cell: String) throws -> Set<Int> {
    if cell == "all" { return Set(all) }
    if cell == "none" { return [] }
    return try cell.replacing(" and ", with: ", ").components(separatedBy: ", ").reduce(into: []) { counts, run in
      let ends = try run.components(separatedBy: " to ").map { try #require(Int($0), "\(cell)") }
      counts.formUnion(ends[0]...ends[ends.count - 1])
    }
  }

  @Test(
    "the documented table is what is proven, and what algorithms promise", arguments: Collective.allCases.filter(\.combines))
  func table(_ collective: Collective) throws {
    for algorithm in AlgorithmRegistry.algorithms(for: collective) {
      let row = try Self.row(algorithm)
      for rankCount in Self.rankCounts {
        let place: Comment = "\(collective.name) \(algorithm.name), \(rankCount) ranks"
        let grouping = Grouping(rankCount: rankCount)
        let found = try foldClass(algorithm, grouping)
        switch found {
        case .canonical: #expect(row[0].contains(rankCount) && !row[1].contains(rankCount), place)
        case .one: #expect(row[1].contains(rankCount) && !row[0].contains(rankCount), place)
        case .several, nil: #expect(!row[0].contains(rankCount) && !row[1].contains(rankCount), place)
        }
        // A promise is kept; and none is forgotten of an algorithm that is canonical throughout.
        let promised = algorithm.foldTree(for: grouping)
        if let promised { #expect(promised == .canonical(rankCount: rankCount) && found == .canonical, place) }
        if row[0] == Set(Self.all) { #expect(promised != nil, place) }
      }
    }
  }

  @Test("where nothing is combined there is no class") func copies() throws {
    for collective in Collective.allCases where !collective.combines {
      let algorithm = AlgorithmRegistry.algorithms(for: collective)[0]
      #expect(try foldClass(algorithm, Grouping(rankCount: 2)) == nil)
      #expect(algorithm.foldTree(for: Grouping(rankCount: 2)) == nil)
    }
  }
}

/// By which trees an algorithm folds on these ranks: for several roots together, where there are roots.
func foldClass(_ algorithm: any Algorithm, _ grouping: Grouping) throws -> FoldClass? {
  let rankCount = grouping.rankCount
  var report = ProofReport()
  for root in algorithm.collective.hasRoot ? Set([0, 1, rankCount / 2, rankCount - 1]).filter({ $0 < rankCount }) : [0] {
    report += try Verifier.prove(collective: algorithm.collective, rankCount: rankCount, root: root) {
      algorithm.schedule(for: grouping.position(of: $0, root: root))
    }
  }
  return report.foldClass
}
