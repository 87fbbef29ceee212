import Testing
import TuttiTopology

/// The rounds of a measurement.
@Suite struct ProbePlanTests {
  @Test("nobody is in two pairs of a round", arguments: [false, true])
  func roundsAreDisjoint(_ all: Bool) {
    for count in 0...33 {
      for round in ProbePlan(count: count, all: all).rounds {
        let members = round.flatMap { [$0.first, $0.second] }
        #expect(Set(members).count == members.count && members.allSatisfy { (0..<count).contains($0) })
        #expect(round.allSatisfy { $0.first < $0.second })
      }
    }
  }

  @Test("all pairs are measured once, in as few rounds as can be") func allPairs() {
    for count in 2...33 {
      let plan = ProbePlan(count: count, all: true)
      let pairs = plan.rounds.joined()
      #expect(pairs.count == count * (count - 1) / 2 && Set(pairs).count == pairs.count)
      #expect(plan.rounds.count == (count % 2 == 0 ? count - 1 : count))
    }
  }

  @Test("few rounds measure everyone at least once") func fewRounds() {
    for count in 2...1025 {
      let plan = ProbePlan(count: count, all: false)
      #expect(plan.rounds.count == Int.bitWidth - (count - 1).leadingZeroBitCount)
      #expect(Set(plan.rounds.joined().flatMap { [$0.first, $0.second] }).count == count)
    }
    #expect(ProbePlan(count: 1, all: false).rounds.isEmpty && ProbePlan(count: 1, all: true).rounds.isEmpty)
  }
}
