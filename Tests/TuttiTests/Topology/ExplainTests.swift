import Testing
import TuttiSchedule

@testable import Tutti

/// What a communicator says of its own choice.
@Suite struct ExplainTests {
  @Test("a communicator explains what auto then runs") func explains() throws {
    try withRanks(3) { communicator in
      for count in [2, 100_000] {
        let explanation = try communicator.explain(.allReduce, bytes: 4 * count)
        var values = [Float](repeating: 1, count: count)
        try communicator.allReduce(&values, .sum)
        #expect(communicator.lastOperation.algorithm == explanation.chosen)
        let chosen = try #require(explanation.candidates.first { $0.name == explanation.chosen })
        #expect(chosen.microseconds ?? 0 > 0 && !chosen.bound.isEmpty && !explanation.reason.isEmpty)
        #expect(explanation.description.contains("<- auto"))
      }
      let error = #expect(throws: TuttiError.self) { try communicator.explain(.broadcast, bytes: -1) }
      #expect(error?.code == .invalidArgument)
    }
  }

  @Test("groups are told with their names") func groups() throws {
    var options = CommunicatorOptions()
    options.topology = try JobTopology(text: JobLayoutTests.twoHosts)
    let communicators = try Communicator.makeInProcess(rankCount: 4, options: options)
    #expect(communicators[3].levelNames == ["host"] && Array(communicators[3].grouping.group(of: 3, at: 1)) == [2, 3])
    #expect(communicators[0].topologyHash == options.topology?.hash)
  }
}
