import TuttiAlgorithms
import TuttiSchedule
import TuttiSystem
import TuttiTopology

/// The proofs of many algorithms, each for a range of rank counts: on as many threads as this process has processors,
/// because no proof needs another.
final class AlgorithmProofs: Sendable {
  /// What came of one algorithm.
  struct Outcome: Sendable {
    var report = ProofReport()
    var folds = FoldSummary()
    /// How many rank counts were proven, and how many schedules, one for each rank and root.
    var rankCounts = 0
    var schedules = 0
    /// The first counterexample, with its rank count.
    var failure: (rankCount: Int, failure: ProofFailure)?
  }

  private struct State {
    /// The first algorithm that no thread has taken.
    var next = 0
    /// The rank count that an algorithm is being proven for.
    var rankCounts: [Int: Int] = [:]
    var outcomes: [Int: Outcome] = [:]
  }

  private let algorithms: [any Algorithm]
  private let ranks: ClosedRange<Int>
  private let state = Lock(State())

  init(_ algorithms: [any Algorithm], ranks: ClosedRange<Int>) {
    self.algorithms = algorithms
    self.ranks = ranks
  }

  /// Starts proving. The threads end with the proofs, or with the process.
  func start() throws(FailureReport) {
    for _ in 0..<min(algorithms.count, ProcessorSet.ofCallingThread().count) {
      try startDetachedThread("verify") { [self] in
        while let index = takeNext() {
          let outcome = prove(index)
          state.withLock { $0.outcomes[index] = outcome }
        }
      }
    }
  }

  /// What came of an algorithm; nil when the time was up before.
  func outcome(_ index: Int, atMost nanoseconds: UInt64) -> Outcome? {
    _ = Clock.wait(until: monotonicNanoseconds() + nanoseconds) { state.withLock { $0.outcomes[index] != nil } }
    return state.withLock { $0.outcomes[index] }
  }

  /// The rank count that an algorithm is being proven for; nil before it is its turn.
  func rankCount(_ index: Int) -> Int? { state.withLock { $0.rankCounts[index] } }

  private func takeNext() -> Int? {
    state.withLock { state in
      guard state.next < algorithms.count else { return nil }
      defer { state.next += 1 }
      return state.next
    }
  }

  private func prove(_ index: Int) -> Outcome {
    let algorithm = algorithms[index]
    var outcome = Outcome()
    for grouping in ranks.lazy.map({ Grouping(rankCount: $0) }) where algorithm.isDefined(for: grouping) {
      let rankCount = grouping.rankCount
      state.withLock { $0.rankCounts[index] = rankCount }
      var here = ProofReport()
      for root in algorithm.collective.hasRoot ? Self.roots(rankCount: rankCount) : [0] {
        do throws(ProofFailure) {
          here += try Verifier.prove(collective: algorithm.collective, rankCount: rankCount, root: root) {
            algorithm.schedule(for: grouping.position(of: $0, root: root))
          }
        } catch {
          outcome.failure = (rankCount, error)
          return outcome
        }
        outcome.schedules += rankCount
      }
      outcome.folds.add(here.foldClass, rankCount: rankCount)
      outcome.report += here
      outcome.rankCounts += 1
    }
    return outcome
  }

  /// The roots to prove with: the first rank, the last, and one that is neither where there is one.
  private static func roots(rankCount: Int) -> [Int] { Set([0, 1, rankCount - 1]).filter { $0 < rankCount }.sorted() }
}
