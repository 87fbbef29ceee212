import Testing
import TuttiAlgorithms
import TuttiSchedule

/// The registry, and the parts that algorithms share.
@Suite struct RegistryTests {
  /// Names are contracts: users type them, and ranks compare their hashes.
  @Test func contractsAreKept() {
    let contracts = AlgorithmRegistry.all.map { "\($0.collective.name) \($0.name)" }
    #expect(
      contracts == [
        "all-reduce ring", "all-reduce ring-2", "all-reduce swing", "all-reduce bine",
        "all-reduce recursive-doubling", "all-reduce double-binary-tree", "all-reduce halving-doubling",
        "all-reduce circulant", "all-reduce binomial", "all-reduce k-ary", "all-reduce reduce-broadcast",
        "all-reduce linear", "all-reduce one-shot", "all-reduce two-shot",
        "reduce-scatter distance-doubling", "reduce-scatter ring", "reduce-scatter swing",
        "reduce-scatter bine", "reduce-scatter pat", "reduce-scatter circulant", "reduce-scatter bruck",
        "reduce-scatter recursive-halving", "reduce-scatter direct",
        "all-gather ring", "all-gather swing", "all-gather bine", "all-gather pat", "all-gather circulant",
        "all-gather bruck", "all-gather recursive-doubling", "all-gather direct",
        "broadcast bine", "broadcast binomial", "broadcast chain", "broadcast direct",
        "broadcast scatter-all-gather",
        "reduce distance-doubling", "reduce bine", "reduce binomial", "reduce chain", "reduce direct",
        "gather bine", "gather binomial", "gather chain", "gather direct",
        "scatter bine", "scatter binomial", "scatter chain", "scatter direct",
        "all-to-all pairwise", "all-to-all bruck", "all-to-all direct",
        "barrier direct", "barrier dissemination", "barrier binomial",
      ])
  }

  @Test func contractsOverGroupsAreKept() {
    let overGroups = AlgorithmRegistry.overGroups.map { "\($0.collective.name) \($0.name)" }
    for collective in ["all-reduce", "reduce-scatter", "all-gather", "broadcast", "reduce", "all-to-all", "barrier"] {
      #expect(overGroups.contains("\(collective) hierarchical"))
    }
    for name in ["all-reduce hierarchical:direct+ring", "all-reduce leader:binomial+bine", "broadcast leader:direct+chain"] {
      #expect(overGroups.contains(name))
    }
    #expect(
      overGroups.suffix(6) == [
        "all-reduce torus",
        "all-reduce torus-in-turn",
        "reduce-scatter torus",
        "reduce-scatter torus-in-turn",
        "all-gather torus",
        "all-gather torus-in-turn",
      ])
  }

  /// The hash is written down: ranks of two builds compare it.
  @Test func identifiersAreTheHashesOfNames() {
    // Computed with another implementation of FNV-1a.
    #expect(AlgorithmIdentifier(.allReduce, "ring").rawValue == 0x67b3_04d9_5ee5_f5dc)
    #expect(AlgorithmIdentifier(.barrier, "dissemination").rawValue == 0x63bc_3cb5_eb28_ea6e)
    let known = AlgorithmRegistry.all + AlgorithmRegistry.overGroups
    #expect(Set(known.map(\.identifier)).count == known.count)
    #expect(known.allSatisfy { $0.identifier.rawValue != 0 })
  }

  @Test func lookup() {
    #expect(AlgorithmRegistry.algorithm(.allReduce, named: "two-shot")?.name == "two-shot")
    #expect(AlgorithmRegistry.algorithm(.barrier, named: "ring") == nil)
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
      return (0..<rankCount).map { algorithm.schedule(for: .flat(rank: $0, rankCount: rankCount)).steps.count }.max()!
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
    #expect(steps("swing", 100) == 3 * 7 + 2 * 7)
    #expect(steps("bine", 64) == 3 * 6 + 2 * 6)
    #expect(steps("binomial", 100) == 7 + 1 + 1)
    #expect(steps("k-ary", 100) == 4 + 1 + 1 + 1)
    #expect(steps("reduce-broadcast", 100) == 1 + 1 + 1 + 1)
    #expect(steps("linear", 100) == 99 + 1 + 1)
    #expect(steps("dissemination", 100) == 3 * 7)
  }
}
