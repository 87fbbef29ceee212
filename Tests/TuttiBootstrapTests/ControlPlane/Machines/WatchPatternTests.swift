import Testing
import TuttiSystem

@testable import TuttiBootstrap

/// Who watches whose process, on one host and on several.
@Suite struct WatchPatternTests {
  private func pattern(_ rankCount: Int, _ local: [Int]) -> [Int: Set<Int>] {
    let tree = ControlTree(rankCount: rankCount)
    return Dictionary(
      uniqueKeysWithValues: local.map { ($0, Set(WatchPattern.ranks(watchedBy: $0, of: local, tree: tree))) })
  }

  @Test(arguments: [1, 2, 7, WatchPattern.allMax]) func fewRanksWatchAllOthers(_ rankCount: Int) {
    let local = Array(0..<rankCount)
    for (rank, watched) in pattern(rankCount, local) { #expect(watched == Set(local).subtracting([rank])) }
  }

  @Test(arguments: [257, 300, 512, 2048]) func manyRanksWatchAFewEach(_ rankCount: Int) {
    let tree = ControlTree(rankCount: rankCount)
    // All on one host, and every other rank of a job of twice as many.
    for (total, local) in [(rankCount, Array(0..<rankCount)), (2 * rankCount, (0..<rankCount).map { 2 * $0 })] {
      let bits = rankCount.bitWidth - (rankCount - 1).leadingZeroBitCount
      for (rank, watched) in pattern(total, local) {
        #expect(watched.count <= 2 * bits + 3 && !watched.contains(rank) && watched.isSubset(of: local))
        if total == rankCount { #expect(watched.isSuperset(of: tree.neighbours(of: rank))) }
      }
    }
  }

  /// However many ranks end at once, the news starts in every part of the tree that they leave.
  @Test func everyPartOfTheTreeLearnsOfADeath() {
    let seed = SeededGenerator.seed()
    var generator = SeededGenerator(seed: seed)
    let rankCount = 300
    let tree = ControlTree(rankCount: rankCount)
    let watched = pattern(rankCount, Array(0..<rankCount))
    for _ in 0..<50 {
      let dead = Set(
        (0..<Int.random(in: 1..<100, using: &generator)).map { _ in
          Int.random(in: 0..<rankCount, using: &generator)
        })
      var told = (0..<rankCount).filter { !dead.contains($0) && !watched[$0]!.isDisjoint(with: dead) }
      var known = Set(told)
      while let rank = told.popLast() {
        for next in tree.neighbours(of: rank) where !dead.contains(next) && known.insert(next).inserted { told.append(next) }
      }
      #expect(known.count == rankCount - dead.count, "seed \(seed)")
    }
  }
}
