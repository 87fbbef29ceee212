import Testing
import TuttiAlgorithms
import TuttiSchedule
import TuttiTopology

@testable import TuttiChoice

/// What `auto` chooses among where results have to fold by one tree.
@Suite struct FoldContractTests {
  private static let combining = Collective.allCases.filter(\.combines)

  /// Ranks in no groups; hosts in order, round-robin, and uneven; and racks of hosts.
  private static let groupings: [[[Int]]] =
    [1, 2, 3, 5, 8, 13].map { [Array(repeating: 0, count: $0)] } + [
      [[0, 0, 1, 1]], [[0, 1, 0, 1, 0, 1]], [[0, 0, 0, 1, 1]], [[0, 0, 0, 1, 1, 1, 2, 2, 2]],
      [[0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 2, 2, 3, 3]],
    ]

  private func choice(_ levels: [[Int]], _ bits: ResultBits, _ medium: Medium = .network) throws -> AlgorithmChoice {
    let grouping = levels[0].allSatisfy { $0 == 0 } ? Grouping(rankCount: levels[0].count) : try Grouping(levels)
    var facts = (1..<grouping.levelCount).map { JobFacts.Level(name: "group \($0)", medium: medium) }
    facts.append(.init(name: "rank", medium: grouping.levelCount > 1 ? .sharedMemory : medium))
    let plain = AlgorithmChoice(
      grouping: grouping, terms: ChoiceTerms(JobFacts(levels: facts, processors: 2)),
      candidates: AlgorithmRegistry.candidates(for: grouping))
    return plain.folding(
      by: bits.tree(for: grouping), among: AlgorithmRegistry.candidates(for: grouping, inRankOrder: bits == .canonical))
  }

  @Test("whatever the size, auto folds by the job's tree", arguments: [ResultBits.class, .canonical])
  func oneTree(_ bits: ResultBits) throws {
    for levels in Self.groupings {
      for medium in [Medium.network, .loopback, .sharedMemory, .rdma] {
        let choice = try choice(levels, bits, medium)
        let candidates = AlgorithmRegistry.candidates(for: choice.grouping, inRankOrder: bits == .canonical)
        for collective in Self.combining {
          for bytes in [8, 4 << 10, 256 << 10, 2 << 20, 128 << 20] as [UInt64] {
            for hasUnequalBlocks in [false, true] {
              let name = choice.best(collective, bytes: bytes, hasUnequalBlocks: hasUnequalBlocks)
              let place: Comment = "\(bits) \(collective.name) \(levels) \(medium) \(bytes): \(name)"
              let chosen = try #require(candidates.first { $0.collective == collective && $0.name == name }, place)
              #expect(chosen.foldTree(for: choice.grouping) == bits.tree(for: choice.grouping), place)
            }
          }
        }
      }
    }
  }

  @Test("without a tree, large messages take what is fastest") func anyTree() throws {
    let ring = try choice([Array(repeating: 0, count: 12)], .any, .loopback).explain(.allReduce, bytes: 128 << 20)
    #expect(ring.fold == nil && !ring.candidates.contains { $0.obstacle == .otherTree })
    let held = try choice([Array(repeating: 0, count: 12)], .class, .loopback).explain(.allReduce, bytes: 128 << 20)
    #expect(held.fold == "canonical")
    #expect(held.candidates.first { $0.name == "ring" }?.obstacle == .otherTree)
    #expect(held.candidates.first { $0.name == "two-shot" }?.fold == "canonical")
    #expect(held.text.contains("# one tree for all sizes of floating-point results: canonical\n"))
  }

  @Test("the tree of class is the canonical one where groups of 2^k ranks are in order") func treeOfClass() throws {
    let canonical: [[Int]] = [[0, 0, 1, 1], [0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 1, 1, 1, 1]]
    for level in canonical {
      let grouping = try Grouping([level])
      #expect(ResultBits.class.tree(for: grouping) == .canonical(rankCount: level.count), "\(level)")
    }
    for level in [[0, 1, 0, 1], [0, 0, 0, 1, 1, 1], [0, 1, 1, 1, 1]] {
      let grouping = try Grouping([level])
      #expect(ResultBits.class.tree(for: grouping) != .canonical(rankCount: level.count), "\(level)")
      #expect(ResultBits.canonical.tree(for: grouping) == .canonical(rankCount: level.count))
    }
    #expect(ResultBits.any.tree(for: Grouping(rankCount: 4)) == nil)
  }

  @Test("what moves data only is chosen as ever") func copies() throws {
    for collective in Collective.allCases where !collective.combines {
      for levels in Self.groupings {
        let held = try choice(levels, .class).explain(collective, bytes: 1 << 20)
        let free = try choice(levels, .any).best(collective, bytes: 1 << 20)
        #expect(held.fold == nil && held.chosen == free)
      }
    }
  }
}
