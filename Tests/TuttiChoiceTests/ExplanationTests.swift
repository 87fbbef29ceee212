import Foundation
import Testing
import TuttiAlgorithms
import TuttiSchedule

@testable import TuttiChoice

/// What people and programs are told of a choice.
@Suite struct ExplanationTests {
  @Test func tableHasEveryCandidateAndTheChoice() throws {
    let explanation = try Hosts(2, by: 2).choice().explain(.reduceScatter, bytes: 1 << 20)
    let lines = explanation.text.split(separator: "\n").map(String.init)
    #expect(lines[0] == "# reduce-scatter, 1048576 bytes, 4 ranks, 2 groups of 2 (host)")
    let columns = "algorithm time us latency us fill us host us rank us copy us combine us rounds bound by"
    #expect(lines[2].split(separator: " ").joined(separator: " ") == columns)
    // Cells end where their titles do.
    let end = try #require(lines[2].range(of: "rounds")).upperBound.utf16Offset(in: lines[2])
    let rows = lines[3..<lines.count - 2]
    #expect(rows.count == explanation.candidates.count)
    #expect(lines[lines.count - 2] == "# tuning profile: built-in generic (not measured)")
    for row in rows { #expect(Array(row)[end - 1].isNumber && Array(row)[end] == " ", "\(row)") }
    #expect(rows.filter { $0.hasSuffix("<- auto") }.map { $0.prefix { $0 != " " } } == [Substring(explanation.chosen)])
    #expect(lines.last?.hasPrefix("# auto: \(explanation.chosen): ") == true)
    let times = rows.compactMap { Double($0.split(separator: " ")[1]) }
    #expect(times.count == rows.count && times == times.sorted())
  }

  @Test func obstaclesAreSaid() throws {
    let flat = AlgorithmChoice(
      grouping: Grouping(rankCount: 6),
      terms: ChoiceTerms(JobFacts(levels: [.init(name: "rank", medium: .sharedMemory)], processors: 6)),
      candidates: everything + [Unpriced()])
    func obstacle(_ explanation: Explanation, _ name: String) -> Explanation.Obstacle? {
      explanation.candidates.first { $0.name == name }?.obstacle
    }
    let large = flat.explain(.allReduce, bytes: 16 << 20)
    #expect(obstacle(large, "hierarchical") == .undefined)
    #expect(large.candidates.first { $0.name == "hierarchical" }?.isDefined == false)
    #expect(obstacle(large, "unpriced") == .byNameOnly)
    #expect(obstacle(large, "one-shot") == .foldsAll)
    #expect(obstacle(flat.explain(.allToAll, bytes: 0, hasUnequalBlocks: true), "bruck") == .needsEqualBlocks)
    #expect(large.text.contains("not defined for these ranks"))
  }

  private struct Unpriced: Algorithm {
    let name = "unpriced"
    let collective = Collective.allReduce
    func schedule(for position: Position) -> Schedule { OneShotAllReduce().schedule(for: position) }
  }

  @Test func reasonsNameTheRule() throws {
    let choice = try Hosts(2, by: 4).choice()
    let small = choice.explain(.allReduce, bytes: 8)
    #expect(small.chosen == "leader")
    #expect(small.reason == "the least time")
    let large = choice.explain(.allReduce, bytes: 16 << 20)
    #expect(large.chosen == "hierarchical" && large.reason.hasSuffix("the least work in all"))
    #expect(choice.explain(.allGather, bytes: 16 << 20).reason == "the least time")
    for (rankCount, name) in [(2, "dissemination"), (3, "direct"), (256, "direct"), (257, "binomial")] {
      let crowd = AlgorithmChoice(
        grouping: Grouping(rankCount: rankCount),
        terms: ChoiceTerms(JobFacts(levels: [.init(name: "rank", medium: .sharedMemory)], processors: 2)),
        candidates: everything.filter { $0.collective == .barrier })
      let barrier = crowd.explain(.barrier, bytes: 0)
      #expect(barrier.chosen == name && barrier.reason.contains("outnumber") == (rankCount > 2), "\(rankCount) ranks")
      #expect(crowd.best(.barrier, bytes: 0) == name)
    }
  }

  @Test func nobodyToChooseFrom() throws {
    let choice = try Hosts(2, by: 2).choice(candidates: [])
    #expect(choice.best(.allReduce, bytes: 8) == "")
    #expect(choice.explain(.allReduce, bytes: 8).text.contains("# auto: none: there is no candidate"))
  }

  @Test func oneRankSendsNothing() throws {
    let terms = ChoiceTerms(JobFacts(levels: [.init(name: "rank", medium: .network)], processors: 1))
    let choice = AlgorithmChoice(grouping: Grouping(rankCount: 1), terms: terms, candidates: everything)
    for collective in Collective.allCases {
      let explanation = choice.explain(collective, bytes: 1 << 20)
      #expect(!explanation.chosen.isEmpty && explanation.milliseconds(explanation.chosen).isFinite)
    }
  }

  @Test(arguments: [
    (0, 2, "0.00"), (1.005, 1, "1.0"), (1234.5678, 2, "1234.57"), (-0.25, 1, "-0.3"), (7.5, 0, "8"), (.nan, 2, "nan"),
  ]) func numbersHaveTheirDigits(_ value: Double, _ digits: Int, _ text: String) {
    #expect(fixed(value, digits: digits) == text)
  }

  /// Optimised, the programs of a collective of 1,024 ranks at 8 a host are read in under 50 ms of one
  /// processor.
  @Test(.serialized, arguments: [Collective.allReduce, .broadcast])
  func choosingIsQuick(_ collective: Collective) throws {
    #if DEBUG
      let limit = Duration.seconds(2)
    #else
      let limit = Duration.milliseconds(50)
    #endif
    let choice = try Hosts(128, by: 8).choice()
    let times = (0..<3).map { _ in
      let start = processorTime()
      _ = choice.choice(for: collective)
      return processorTime() - start
    }
    #expect(times.min() ?? .zero < limit, "\(times)")
  }

  /// What this thread has had of a processor: other tests and jobs run at the same time.
  private func processorTime() -> Duration {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
  }
}
