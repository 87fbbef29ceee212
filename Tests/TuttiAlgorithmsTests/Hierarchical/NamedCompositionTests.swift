import Testing
import TuttiAlgorithms
import TuttiSchedule

/// The compositions that have names.
@Suite struct NamedCompositionTests {
  /// Two hosts, also numbered round-robin; uneven ones; racks of hosts; and the same with hosts of one rank among them.
  /// Besides these, two hosts of which the one with the lowest rank does not come first.
  static let groupings: [[[Int]]] = [
    [[0, 0, 1, 1]], [[0, 1, 0, 1]], [[0, 0, 0, 1, 1]], [[0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 2, 2, 3, 3]],
    [[0, 1, 0, 1, 0, 1, 0], [0, 1, 2, 3, 0, 1, 2]],
  ]

  @Test("each is proven whole, for every root", arguments: HierarchicalCollectiveTests.collectives)
  func allAreProven(_ collective: Collective) throws {
    let algorithms = AlgorithmRegistry.overGroups.filter { $0.collective == collective }
    #expect(algorithms.contains { $0.name == "hierarchical" })
    for (levels, inOrderOfNumbers) in Self.groupings.map({ ($0, false) }) + [([[3, 2, 3, 2]], true)] {
      let grouping = try Grouping(levels, inOrderOfNumbers: inOrderOfNumbers)
      let served = algorithms.filter { $0.isDefined(for: grouping) }
      #expect(served.count >= min(algorithms.count, 2), "\(levels)")
      for algorithm in served {
        for root in collective.hasRoot ? 0..<grouping.rankCount : 0..<1 {
          do throws(ProofFailure) {
            try Verifier.prove(collective: collective, rankCount: grouping.rankCount, root: root) {
              algorithm.schedule(for: grouping.position(of: $0, root: root))
            }
          } catch {
            Issue.record("\(algorithm.name) on \(levels), root \(root): \(error)")
          }
        }
      }
    }
  }

  @Test("none is defined where there are no groups") func flatJobs() {
    for algorithm in AlgorithmRegistry.overGroups {
      #expect(!algorithm.isDefined(for: Grouping(rankCount: 4)), "\(algorithm.name)")
      // A torus of one dimension costs what its ring does.
      if !algorithm.name.hasPrefix("torus") { #expect(algorithm.cost(for: Grouping(rankCount: 4)) == nil) }
    }
  }

  @Test("no two have names with one hash, and a catalog has room for all") func names() {
    let all = AlgorithmRegistry.all + AlgorithmRegistry.overGroups
    #expect(Set(all.map(\.identifier)).count == all.count)
    for collective in Collective.allCases { #expect(all.filter { $0.collective == collective }.count < 250) }
    #expect(AlgorithmRegistry.any(.allReduce, named: "hierarchical:direct+ring") != nil)
    #expect(AlgorithmRegistry.any(.allReduce, named: "hierarchical:direct+") == nil)
  }
}
