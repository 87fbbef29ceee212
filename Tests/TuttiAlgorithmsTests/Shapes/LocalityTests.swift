import Testing
import TuttiSchedule

@testable import TuttiAlgorithms

/// What Swing, Bine and PAT are for: most bytes stay near; and messages are as contiguous as is said.
@Suite struct LocalityTests {
  /// Block-hops of all ranks: each block times how far it goes round a ring of all ranks, the shorter way.
  private func hops(_ algorithm: any Algorithm, _ rankCount: Int) -> Int {
    var sum = 0
    for rank in 0..<rankCount {
      let schedule = algorithm.schedule(for: .flat(rank: rank, rankCount: rankCount))
      for step in schedule.steps {
        let (message, peers): (Message, [Int])
        switch step {
        case .send(let sent, let to, _, _), .forward(let sent, _, let to, _): (message, peers) = (sent, to)
        case .receive, .receiveSlot, .reduce: continue
        }
        let chunks = schedule.ranges[message.ranges].reduce(0) { $0 + $1.chunks.count }
        for peer in peers { sum += chunks * min((peer - rank).wrapped(rankCount), (rank - peer).wrapped(rankCount)) }
      }
    }
    return sum
  }

  /// The most ranges that a sent message has.
  private func rangesMax(_ algorithm: any Algorithm, _ rankCount: Int) -> Int {
    (0..<rankCount).reduce(0) { most, rank in
      let schedule = algorithm.schedule(for: .flat(rank: rank, rankCount: rankCount))
      return schedule.steps.reduce(most) { most, step in
        if case .send(let message, _, _, _) = step { max(most, message.ranges.count) } else { most }
      }
    }
  }

  @Test("all-reduces by Swing and Bine go fewer hops than halving and doubling") func allReduces() {
    for rankCount in [8, 16, 32, 64] {
      let halving = hops(HalvingDoublingAllReduce(), rankCount)
      #expect(hops(SwingAllReduce(), rankCount) < halving)
      #expect(hops(BineAllReduce(), rankCount) == hops(SwingAllReduce(), rankCount))
      #expect(2 * hops(SwingAllReduce(), rankCount) < hops(CirculantAllReduce(), rankCount))
      #expect(rangesMax(BineAllReduce(), rankCount) == 1)
    }
  }

  @Test("all-gathers by Swing and PAT stay nearer than circulant ones; Bine's blocks are in a row") func allGathers() {
    for rankCount in [8, 16, 30, 64] {
      let circulant = hops(CirculantAllGather.circulant, rankCount)
      #expect(hops(SwingAllGather.swing, rankCount) < circulant)
      #expect(hops(PATAllGather(), rankCount) < circulant)
      #expect(hops(SwingAllGather.bine, rankCount) < circulant)
      #expect(rangesMax(SwingAllGather.bine, rankCount) <= 2)
      #expect(rangesMax(SwingReduceScatter.bine, rankCount) <= (rankCount.nonzeroBitCount == 1 ? 2 : 5))
      #expect(rangesMax(SwingReduceScatter.swing, rankCount) > 2)
    }
  }

  /// At powers of two the tree is that of the paper: offsets 0 to 7 of eight ranks, which are -2 to 5.
  @Test("the Bine tree is the paper's at powers of two") func bineTree() {
    let tree = BineTree(rankCount: 8, root: 0)
    #expect(tree.place(of: 0).children.map(\.offset) == [3, -1, 1])
    #expect(tree.place(of: 0).subtree == -2..<6)
    #expect(tree.place(of: 3).children.map(\.offset) == [4, 2])
    #expect(tree.place(of: 7).children.map(\.offset) == [-2])
    #expect(tree.place(of: 4).children.map(\.offset) == [5])
    for rankCount in [2, 4, 8, 16, 32, 64, 128] {
      let rounds = rankCount.floorLog2
      for rank in 0..<rankCount {
        let place = BineTree(rankCount: rankCount, root: 0).place(of: rank)
        guard let parent = place.parent else { continue }
        #expect((0..<rounds).contains { abs(place.offset - parent) == abs(SwingRounds.distance($0)) })
      }
    }
  }

  @Test("the Bine tree is as deep as a binomial one at most") func bineTreesAreShallow() {
    for rankCount in Array(1...40) + [63, 64, 65, 100] {
      let tree = BineTree(rankCount: rankCount, root: rankCount / 3)
      #expect(tree.measures.depth <= rankCount.ceilLog2 && tree.measures.childrenMax <= rankCount.ceilLog2)
      var found: Set<Int> = []
      for rank in 0..<rankCount {
        let place = tree.place(of: rank)
        found.insert(place.offset)
        #expect(tree.rank(place.offset) == rank && place.subtree.contains(place.offset))
        if let parent = place.parent {
          #expect(
            tree.place(of: tree.rank(parent)).children.contains { $0.offset == place.offset && $0.subtree == place.subtree })
        }
      }
      #expect(found.count == rankCount)
    }
  }

  /// All blocks get everywhere at any even rank count, in as few rounds as can be, as the paper says.
  @Test("exchanges of Swing and Bine are complete") func exchangesAreComplete() {
    for rankCount in Array(2...66) + [100, 254, 255, 256] {
      for order in [SwingRounds.Order.nearLast, .nearFirst] {
        let rounds = SwingRounds(rankCount: rankCount, order)
        let offsets = rounds.rounds.flatMap { $0.pieces.flatMap { $0.offsets.map { $0 % rounds.pairedCount } } }
        #expect(Set(offsets).count == offsets.count && offsets.count == (rankCount & ~1) - 1)
        #expect(rounds.rounds.count == (rankCount & ~1).ceilLog2)
      }
    }
  }

  @Test("PAT keeps its limit of blocks, and is proven with any") func limits() throws {
    for rankCount in [1, 2, 3, 5, 8, 11, 16] {
      for blocksMax in [1, 2, 3, 5] {
        let trees = PATTrees(rankCount: rankCount, blocksMax: blocksMax)
        #expect(trees.messages.allSatisfy { $0.offsets.count <= blocksMax })
        let algorithms: [any Algorithm] = [
          PATAllGather(name: "limited", blocksMax: blocksMax), PATReduceScatter(name: "limited", blocksMax: blocksMax),
        ]
        for algorithm in algorithms {
          let schedules = (0..<rankCount).map { algorithm.schedule(for: .flat(rank: $0, rankCount: rankCount)) }
          try Verifier.prove(collective: algorithm.collective, rankCount: rankCount, root: 0) { schedules[$0] }
          let cost = try #require(algorithm.cost(for: Grouping(rankCount: rankCount))).levels[0]
          Traffic(schedules).expect(cost, "\(algorithm.collective.name), \(rankCount) ranks, \(blocksMax) blocks")
          #expect(cost.rounds == LongestPaths.rounds(of: schedules), "\(rankCount) ranks, \(blocksMax) blocks")
        }
      }
    }
  }
}
