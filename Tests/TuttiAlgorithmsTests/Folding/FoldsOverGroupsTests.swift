import Testing
import TuttiAlgorithms
import TuttiSchedule

/// By which trees algorithms over groups fold: what they promise is what is proven.
@Suite struct FoldsOverGroupsTests {
  private struct Layout {
    var levels: [[Int]]
    /// Whether the groups are contiguous in rank order and of 2^k ranks each.
    var isCanonical: Bool
  }

  private static let layouts = [
    Layout(levels: [[0, 0, 1, 1]], isCanonical: true),
    Layout(levels: [[0, 0, 1, 1, 2, 2]], isCanonical: true),
    Layout(levels: [[0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]], isCanonical: true),
    Layout(levels: [[0, 0, 1, 1, 2, 2, 3, 3, 4, 4]], isCanonical: true),
    Layout(levels: [[0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 2, 2, 3, 3]], isCanonical: true),
    // In another order; uneven; and of three ranks each.
    Layout(levels: [[0, 1, 0, 1]], isCanonical: false),
    Layout(levels: [[0, 0, 1, 1, 1, 1]], isCanonical: false),
    Layout(levels: [[0, 0, 0, 1, 1, 1]], isCanonical: false),
  ]

  /// Compositions of canonical parts, of each kind.
  private static let names: [(Collective, [String])] = [
    (.allReduce, ["hierarchical:direct+halving-doubling", "hierarchical:direct+two-shot", "leader:direct+one-shot"]),
    (.reduceScatter, ["hierarchical:direct+distance-doubling", "hierarchical:direct+direct"]),
    (.reduce, ["hierarchical:direct+distance-doubling", "leader:direct+direct"]),
  ]

  @Test("compositions of canonical algorithms are canonical where groups of 2^k ranks are in rank order") func canonical()
    throws
  {
    for layout in Self.layouts {
      let grouping = try Grouping(layout.levels)
      for (collective, names) in Self.names {
        for name in names {
          let algorithm = try #require(AlgorithmRegistry.any(collective, named: name))
          let found = try foldClass(algorithm, grouping)
          let promised = try #require(algorithm.foldTree(for: grouping))
          #expect((found == .canonical) == layout.isCanonical, "\(collective.name) \(name) on \(layout.levels)")
          switch found {
          case .canonical: #expect(promised == .canonical(rankCount: grouping.rankCount))
          case .one(let tree, let text): #expect(promised == tree, "\(name) on \(layout.levels): \(text)")
          case .several, nil: Issue.record("\(collective.name) \(name) on \(layout.levels) folds by several trees")
          }
        }
      }
    }
  }

  @Test("every promise of an algorithm over groups is kept") func promises() throws {
    for levels in [[[0, 0, 1, 1]], [[0, 1, 0, 1, 0]], [[0, 0, 0, 1, 1, 2]]] {
      let grouping = try Grouping(levels)
      for algorithm in AlgorithmRegistry.candidates(for: grouping) where algorithm.collective.combines {
        guard algorithm.isDefined(for: grouping), let promised = algorithm.foldTree(for: grouping) else { continue }
        let place: Comment = "\(algorithm.collective.name) \(algorithm.name) on \(levels)"
        switch try foldClass(algorithm, grouping) {
        case .canonical: #expect(promised == .canonical(rankCount: grouping.rankCount), place)
        case .one(let tree, _): #expect(promised == tree, place)
        case .several, nil: Issue.record(place)
        }
      }
    }
  }

  @Test("canonical trees of 2^k values make up the canonical tree of all") func composition() {
    for groupCount in 1...40 {
      for groupSize in [1, 2, 4, 8] {
        let groups = (0..<groupCount).map { group in
          FoldTree.canonical((0..<groupSize).map { FoldTree.rank(group * groupSize + $0) })
        }
        #expect(FoldTree.canonical(groups) == .canonical(rankCount: groupCount * groupSize), "\(groupCount) x \(groupSize)")
      }
    }
  }

  @Test("trees are equal but for the order of two operands") func equality() {
    let (a, b, c) = (FoldTree.rank(0), FoldTree.rank(1), FoldTree.rank(2))
    #expect(FoldTree.combined(a, b) == .combined(b, a))
    #expect(FoldTree.combined(.combined(a, b), c) != .combined(a, .combined(b, c)))
    #expect(FoldTree.combined(a, b) != .combined(a, c) && a != .combined(a, a))
    #expect(FoldTree.canonical(rankCount: 3) == .combined(c, .combined(a, b)))
    // The hash is written down: rows of results have it, and builds are compared by it.
    #expect("\(FoldTree.canonical(rankCount: 4))" == "tree-d80b34947fe83236")
  }
}
