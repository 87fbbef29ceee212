import Testing
import TuttiAlgorithms
import TuttiSchedule

/// Ring orders found from measured costs.
@Suite struct RingOrderTests {
  /// Costs between points that lie on a circle, so that the best tour is once round it, under shuffled names.
  private func circle(_ count: Int, _ generator: inout SeededGenerator) -> (costs: [[Double]], best: [Int]) {
    let names = Array(0..<count).shuffled(using: &generator)
    var costs = Array(repeating: Array(repeating: 0.0, count: count), count: count)
    for a in 0..<count {
      for b in 0..<count {
        let steps = min((a - b + count) % count, (b - a + count) % count)
        costs[names[a]][names[b]] = Double(steps)
      }
    }
    return (costs, names)
  }

  private func isPermutation(_ order: [Int], _ count: Int) -> Bool { order.sorted() == Array(0..<count) }

  @Test("the best tour of a circle is found") func circles() {
    let seed = testSeed()
    var generator = SeededGenerator(seed: seed)
    for count in [1, 2, 3, 4, 5, 6, 7, 8, 13, 40, 64] {
      let (costs, _) = circle(count, &generator)
      let order = RingOrder.find(costs: costs)
      #expect(isPermutation(order, count) && order[0] == 0)
      #expect(
        RingOrder.cost(of: order, costs: costs) == Double(count < 2 ? 0 : count == 2 ? 2 : count), "\(count), seed \(seed)")
    }
  }

  /// Points at random in a square, against all tours.
  @Test("few ranks get a tour that is nearly the best") func againstAllTours() {
    let seed = testSeed()
    var generator = SeededGenerator(seed: seed)
    var found = 0.0
    var best = 0.0
    for _ in 0..<30 {
      let points = (0..<8).map { _ in
        (Double.random(in: 0...1, using: &generator), Double.random(in: 0...1, using: &generator))
      }
      let costs = points.map { a in
        points.map { b in ((a.0 - b.0) * (a.0 - b.0) + (a.1 - b.1) * (a.1 - b.1)).squareRoot() }
      }
      let order = RingOrder.find(costs: costs)
      #expect(isPermutation(order, 8))
      var least = Double.infinity
      permute(Array(1..<8), from: 0) { least = min(least, RingOrder.cost(of: [0] + $0, costs: costs)) }
      #expect(RingOrder.cost(of: order, costs: costs) <= least * 1.25, "seed \(seed)")
      found += RingOrder.cost(of: order, costs: costs)
      best += least
    }
    #expect(found <= best * 1.05, "seed \(seed)")
  }

  private func permute(_ list: [Int], from start: Int, _ visit: ([Int]) -> Void) {
    if start == list.count { return visit(list) }
    for other in start..<list.count {
      var swapped = list
      swapped.swapAt(start, other)
      permute(swapped, from: start + 1, visit)
    }
  }

  @Test("the dearer direction counts") func asymmetricCosts() {
    // Cheap one way round 0, 1, 2, 3, 4 and dear the other; cheap enough both ways round 0, 2, 4, 1, 3.
    var costs = Array(repeating: Array(repeating: 9.0, count: 5), count: 5)
    for rank in 0..<5 {
      costs[rank][(rank + 1) % 5] = 1
      costs[rank][(rank + 2) % 5] = 4
      costs[(rank + 2) % 5][rank] = 4
    }
    let order = RingOrder.find(costs: costs)
    #expect(RingOrder.cost(of: order, costs: costs) == 20)
    #expect(RingOrder.cost(of: [0, 1, 2, 3, 4], costs: costs) == 45)
  }

  @Test("groups are kept together at every level on request") func groups() throws {
    let seed = testSeed()
    var generator = SeededGenerator(seed: seed)
    for count in [4, 12, 36] {
      // Racks of three hosts of two ranks, numbered at random, and costs that know nothing of them.
      let numbers = Array(0..<count).shuffled(using: &generator)
      let grouping = try Grouping([numbers.map { $0 / 6 }, numbers.map { $0 / 2 }])
      let costs = (0..<count).map { _ in (0..<count).map { _ in Double.random(in: 0...1, using: &generator) } }
      let free = RingOrder.find(costs: costs)
      let kept = RingOrder.find(costs: costs, keeping: grouping)
      #expect(isPermutation(kept, count) && kept[0] == 0)
      for level in 1...2 where grouping.groupCount(at: level) > 1 {
        let entered = kept.indices.count { place in
          grouping.group(of: kept[place], at: level).number
            != grouping.group(of: kept[(place + 1) % count], at: level).number
        }
        #expect(entered == grouping.groupCount(at: level), "level \(level), seed \(seed)")
      }
      #expect(RingOrder.cost(of: free, costs: costs) <= RingOrder.cost(of: kept, costs: costs) * 1.3)
    }
  }

  @Test("the same costs give the same order, and equal ones that of the numbers") func determinism() {
    var generator = SeededGenerator(seed: 1)
    let (costs, _) = circle(200, &generator)
    #expect(RingOrder.find(costs: costs) == RingOrder.find(costs: costs))
    let equal = Array(repeating: Array(repeating: 1.0, count: 50), count: 50)
    #expect(RingOrder.find(costs: equal) == Array(0..<50))
    #expect(RingOrder.find(costs: Array(repeating: Array(repeating: 0.0, count: 9), count: 9)) == Array(0..<9))
  }

  /// Points at random in a square; fewer in debug, which is many times slower.
  @Test("a thousand ranks take no more than a second") func manyRanks() {
    #if DEBUG
      let count = 256
    #else
      let count = 1024
    #endif
    let seed = testSeed()
    var generator = SeededGenerator(seed: seed)
    let points = (0..<count).map { _ in
      (Double.random(in: 0...1, using: &generator), Double.random(in: 0...1, using: &generator))
    }
    let costs = points.map { a in
      points.map { b in ((a.0 - b.0) * (a.0 - b.0) + (a.1 - b.1) * (a.1 - b.1)).squareRoot() }
    }
    let clock = ContinuousClock()
    let start = clock.now
    let order = RingOrder.find(costs: costs)
    let took = start.duration(to: clock.now)
    #expect(isPermutation(order, count))
    // The shortest tour through many points of a square is about 0.7124 sqrt(n) (1 + 0.33 / n) long, and somewhat more by
    // its border: Applegate, Bixby, Chvatal & Cook, The Traveling Salesman Problem, 2006.
    let expected = 0.7124 * Double(count).squareRoot()
    #expect(RingOrder.cost(of: order, costs: costs) < expected * 1.2, "seed \(seed)")
    #if !DEBUG
      #expect(took < .seconds(1))
    #endif
    print("RingOrder, \(count) ranks: \(took), \(RingOrder.cost(of: order, costs: costs) / expected) of 0.7124 sqrt(n)")
  }
}
