import Testing
import TuttiAlgorithms
import TuttiSchedule

/// The registry, and the parts that algorithms share.
@Suite struct RegistryTests {
  /// Names and identifiers are contracts: users type the ones, ranks compare the others.
  @Test func contractsAreKept() {
    let contracts = AlgorithmRegistry.all.map { "\($0.identifier) \($0.collective.name) \($0.name)" }
    #expect(
      contracts == [
        "1 all-reduce ring", "2 all-reduce ring-2", "3 all-reduce recursive-doubling", "4 all-reduce double-binary-tree",
        "8 all-reduce halving-doubling", "9 all-reduce circulant", "10 all-reduce binomial", "11 all-reduce k-ary",
        "12 all-reduce reduce-broadcast", "5 all-reduce one-shot", "6 all-reduce two-shot", "20 reduce-scatter ring",
        "22 reduce-scatter circulant", "23 reduce-scatter bruck", "21 reduce-scatter recursive-halving",
        "24 reduce-scatter direct", "30 all-gather ring", "32 all-gather circulant", "33 all-gather bruck",
        "31 all-gather recursive-doubling", "34 all-gather direct", "40 broadcast binomial", "41 broadcast chain",
        "42 broadcast direct",
        "43 broadcast scatter-all-gather", "50 reduce binomial", "51 reduce chain", "52 reduce direct", "60 gather binomial",
        "61 gather chain", "62 gather direct", "70 scatter binomial", "71 scatter chain", "72 scatter direct",
        "80 all-to-all pairwise", "81 all-to-all bruck", "82 all-to-all direct", "14 barrier direct",
        "7 barrier dissemination",
        "13 barrier binomial",
      ])
  }

  @Test func lookup() {
    #expect(AlgorithmRegistry.algorithm(.allReduce, named: "two-shot")?.identifier == 6)
    #expect(AlgorithmRegistry.algorithm(.barrier, named: "ring") == nil)
    #expect(AlgorithmRegistry.algorithm(identifier: 7)?.name == "dissemination")
    #expect(AlgorithmRegistry.algorithm(identifier: 0) == nil)
    #expect(AlgorithmRegistry.algorithms(for: .barrier).map(\.name) == ["direct", "dissemination", "binomial"])
  }

  @Test func eachRankIsInteriorInAtMostOneTree() {
    for rankCount in 1...130 {
      let trees = [false, true].map { BinaryTree(rankCount: rankCount, second: $0) }
      for tree in trees {
        var roots = 0
        for rank in 0..<rankCount {
          let children = [tree.leftChild(of: rank), tree.rightChild(of: rank)].compactMap { $0 }
          for child in children { #expect(tree.parent(of: child) == rank) }
          roots += tree.parent(of: rank) == nil ? 1 : 0
          var depth = 0
          var at = rank
          while let parent = tree.parent(of: at) {
            at = parent
            depth += 1
          }
          #expect(1 << depth <= rankCount)
        }
        #expect(roots == 1)
      }
      for rank in 0..<rankCount {
        #expect(trees.count { $0.leftChild(of: rank) != nil || $0.rightChild(of: rank) != nil } <= 1)
      }
    }
  }

  /// A rank's program must not grow with the job: these are the steps that `docs/ALGORITHMS.md` states.
  @Test func programsAreAsLongAsStated() {
    func steps(_ name: String, _ rankCount: Int) -> Int {
      let algorithm = AlgorithmRegistry.all.first { $0.name == name }!
      return (0..<rankCount).map { algorithm.schedule(rank: $0, rankCount: rankCount, root: 0).steps.count }.max()!
    }
    #expect(steps("ring", 100) == 1 + 3 * 99 + 99 + 98)
    #expect(steps("ring-2", 100) == 2 * steps("ring", 100))
    #expect(steps("recursive-doubling", 64) == 3 * 6)
    #expect(steps("recursive-doubling", 100) == 2 + 3 * 6 + 1)
    #expect(steps("double-binary-tree", 100) <= 2 + 6)
    #expect(steps("one-shot", 100) == 1 + 99 + 1)
    #expect(steps("two-shot", 100) == 99 + 99 + 1 + 1 + 99)
    #expect(steps("halving-doubling", 64) == 3 * 6 + 2 * 6)
    #expect(steps("halving-doubling", 100) == 2 + 3 * 6 + 2 * 6 + 1)
    #expect(steps("circulant", 100) == 3 * 7 + 2 * 7)
    #expect(steps("binomial", 100) == 7 + 1 + 1)
    #expect(steps("k-ary", 100) == 4 + 1 + 1 + 1)
    #expect(steps("reduce-broadcast", 100) == 1 + 1 + 1 + 1)
    #expect(steps("dissemination", 100) == 3 * 7)
  }
}
