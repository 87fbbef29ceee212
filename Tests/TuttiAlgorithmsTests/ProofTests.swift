import Foundation
import Testing
import TuttiAlgorithms
import TuttiSchedule

/// Every algorithm, proven. Release proves all rank counts from 1 to 64, as `collbench verify` does; debug is several times
/// slower, and slower still under a sanitizer, and proves some.
@Suite struct ProofTests {
  static var rankCounts: [Int] {
    if ProcessInfo.processInfo.environment["TUTTI_TEST_SANITIZER"] != nil { return Array(1...9) }
    #if DEBUG
      return Array(1...17) + [31, 32, 33]
    #else
      return Array(1...64)
    #endif
  }

  @Test(arguments: AlgorithmRegistry.all.indices)
  func isProven(_ index: Int) throws {
    let algorithm = AlgorithmRegistry.all[index]
    var report = ProofReport()
    for rankCount in ProofTests.rankCounts where algorithm.isDefined(for: Grouping(rankCount: rankCount)) {
      for root in algorithm.collective.hasRoot ? Set([0, 1, rankCount - 1]).filter({ $0 < rankCount }) : [0] {
        do throws(ProofFailure) {
          report += try Verifier.prove(collective: algorithm.collective, rankCount: rankCount, root: root) {
            algorithm.schedule(for: .flat(rank: $0, rankCount: rankCount, root: root))
          }
        } catch {
          Issue.record("\(algorithm.name): \(error)")
          return
        }
      }
    }
    #expect(report.rankCount == ProofTests.rankCounts.last)
    #expect(report.messages > 0 && report.events > 0 && report.waits > 0)
  }

  #if !DEBUG
    /// The largest jobs whose users' own algorithms are proven before they run.
    @Test func largeJobsAreProven() throws {
      for name in ["recursive-doubling", "double-binary-tree", "ring"] {
        let algorithm = try #require(AlgorithmRegistry.algorithm(.allReduce, named: name))
        try Verifier.prove(collective: .allReduce, rankCount: 512, root: 0) {
          algorithm.schedule(for: .flat(rank: $0, rankCount: 512))
        }
      }
    }
  #endif
}
