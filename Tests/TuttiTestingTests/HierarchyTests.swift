import Testing
import Tutti
import TuttiAlgorithms
import TuttiTesting

/// An algorithm over groups as its author would write and try it: data, composed of others.
@Suite struct HierarchyTests {
  /// Takes ranks in threes for hosts, dealt out like cards, whatever the communicator knows.
  private struct Dealt: Algorithm {
    let inner: HierarchicalAllReduce
    var name: String { "dealt" }
    var collective: Collective { .allReduce }

    private func grouping(_ rankCount: Int) -> Grouping? {
      try? Grouping([(0..<rankCount).map { $0 % ((rankCount + 2) / 3) }])
    }

    func isDefined(for grouping: Grouping) -> Bool {
      self.grouping(grouping.rankCount).map(inner.isDefined) ?? false
    }

    func schedule(for position: Position) -> Schedule {
      inner.schedule(for: grouping(position.rankCount)!.position(of: position.rank, root: position.root))
    }
  }

  private static let hierarchy = HierarchicalAllReduce(
    name: "ring-in-doubling", reduceScatter: RingReduceScatter(), allReduce: RecursiveDoublingAllReduce(),
    allGather: RingAllGather())

  @Test("a hierarchy runs over every transport") func exercised() throws {
    try exercise(
      Dealt(inner: Self.hierarchy), rankCounts: [1, 2, 3, 4, 5, 7, 8], over: [.inProcess, .sharedMemory, .tcp], runs: 10,
      seed: 5)
  }

  @Test("it is proven over given groups") func proven() throws {
    let groupings = try [[0, 0, 1, 1], [0, 1, 1, 0, 1]].map { try Grouping([$0]) }
    #expect(try prove(Self.hierarchy, groupings: groupings).schedules == 9)
    // Without groups it is defined for nothing.
    #expect(throws: Counterexample.self) { try prove(Self.hierarchy, rankCounts: 1...8) }
    #expect(draw(Self.hierarchy, grouping: groupings[0], as: .text).contains("rank 3"))
  }
}
