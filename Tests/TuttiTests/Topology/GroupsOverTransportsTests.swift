import Testing
import TuttiAlgorithms
import TuttiSchedule
import TuttiSystem
import TuttiTesting

@testable import Tutti

/// Algorithms over groups, run by name on communicators that a description puts into groups.
@Suite struct GroupsOverTransportsTests {
  static let uneven = """
    name: uneven
    source: made up
    hosts:
      - { name: a, ranks: 3, nics: { bandwidth: 10 Gb/s, latency: 5 us } }
      - { name: b, ranks: 2, nics: { bandwidth: 10 Gb/s, latency: 5 us } }
    network: { type: switch }
    """

  /// Runs `body` as each rank of a described job on a thread of its own.
  private func withRanks(
    of text: String, _ fabric: Fabric, _ body: @escaping @Sendable (Communicator) throws -> Void
  ) throws {
    let topology = try JobTopology(text: text)
    var options = CommunicatorOptions()
    options.topology = topology
    options.timeout = .seconds(60 * slowness)
    do {
      let communicators = try TuttiTesting.makeCommunicators(
        topology.rankCount, over: fabric.transport, options: options, faults: nil)
      try TuttiTesting.onThreads(topology.rankCount) { rank in
        try body(communicators[rank])
        communicators[rank].close()
      }
    } catch let failure as RankFailure { throw failure.error }
  }

  @Test("every algorithm over groups reduces as the plain ones do", arguments: Fabric.allCases)
  func allOverGroups(_ fabric: Fabric) throws {
    for text in [JobLayoutTests.twoHosts, Self.uneven] {
      try withRanks(of: text, fabric) { communicator in
        let rankCount = communicator.rankCount
        let names = communicator.algorithms(for: .allReduce).filter { $0.contains("hierarchical") || $0.contains("leader") }
        #expect(names.count > 20)
        for name in names {
          for count in [0, 1, rankCount - 1, 1000] {
            var values = (0..<count).map { Int32($0 + communicator.rank) }
            try communicator.allReduce(&values, .sum, algorithm: AlgorithmName(name))
            let sum = Int32(rankCount * (rankCount - 1) / 2)
            #expect(values == (0..<count).map { Int32($0 * rankCount) + sum }, "\(name), \(count)")
          }
        }
      }
    }
  }

  @Test("where there are no groups, their algorithms are refused by name") func noGroups() throws {
    let communicators = try Communicator.makeInProcess(rankCount: 2)
    #expect(!communicators[0].algorithms(for: .allReduce).contains("hierarchical"))
    var values: [Float] = [1]
    let error = #expect(throws: TuttiError.self) {
      try communicators[0].allReduce(&values, .sum, algorithm: "hierarchical")
    }
    #expect(error?.message == "algorithm hierarchical works over groups of ranks, and these 2 are in none")
  }

  @Test("a communicator split from one in groups has its ranks' groups", arguments: Fabric.allCases)
  func splits(_ fabric: Fabric) throws {
    try withRanks(of: Self.uneven, fabric) { communicator in
      guard let child = try communicator.split(color: communicator.rank == 0 ? nil : 1) else { return }
      var values = [Int32(child.rank)]
      try child.allReduce(&values, .sum, algorithm: "hierarchical:direct+ring")
      #expect(values == [6])
      child.close()
    }
  }

  @Test("a description of other ranks is refused before any rank is made") func wrongCount() throws {
    var options = CommunicatorOptions()
    options.topology = try JobTopology(text: Self.uneven)
    let error = #expect(throws: TuttiError.self) { try Communicator.makeInProcess(rankCount: 4, options: options) }
    #expect(error?.code == .configuration && error?.message == "topology uneven has 5 ranks, this job 4")
  }
}
