import Testing
import TuttiAlgorithms
import TuttiSchedule

/// Every algorithm, proven. Release proves all rank counts from 1 to 64; debug, fifty times slower, a sample of them.
@Suite struct ProofTests {
  #if DEBUG
    static let rankCounts = Array(1...20) + [31, 32, 33, 64]
  #else
    static let rankCounts = Array(1...64)
  #endif

  @Test(arguments: AlgorithmRegistry.all.map { "\($0.collective.name) \($0.name)" })
  func isProven(_ label: String) throws {
    let algorithm = try #require(AlgorithmRegistry.all.first { "\($0.collective.name) \($0.name)" == label })
    var report = ProofReport()
    for rankCount in ProofTests.rankCounts where algorithm.isDefined(rankCount: rankCount) {
      do throws(ProofFailure) {
        report += try Verifier.prove(collective: algorithm.collective, rankCount: rankCount, root: 0) {
          algorithm.schedule(rank: $0, rankCount: rankCount, root: 0)
        }
      } catch {
        Issue.record("\(label): \(error)")
        return
      }
    }
    #expect(report.rankCount == 64)
    #expect(report.messages > 0)
  }
}
