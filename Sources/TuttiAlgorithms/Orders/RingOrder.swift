/// Finds an order of ranks in which a ring is cheap, from what a message costs between each two of them: a short tour of the
/// travelling salesman.
///
/// The tour starts as that of the nearest neighbour and is improved, as long as that helps, by reversing a part of it
/// (2-opt) and by moving up to three ranks elsewhere (Or-opt). Nothing is random, and among equals the lowest rank is taken,
/// so that all ranks that know the same costs find the same order.
///
/// - SeeAlso: Croes, Operations Research 6(6), 1958 (2-opt); Or, PhD thesis, Northwestern University, 1976 (Or-opt);
///   Bentley, ORSA Journal on Computing 4(4), 1992 (lists of neighbours and don't-look bits).
public enum RingOrder {
  /// Finds the order.
  ///
  /// ```swift
  /// let order = RingOrder.find(costs: measured, keeping: hosts)
  /// let ring = InTopologyOrder(RingAllReduce.ring, order: order)
  /// ```
  ///
  /// - Parameters:
  ///   - costs: By rank and rank: what a message costs, in any unit; finite and not negative. Of the two directions the
  ///     larger counts, because data may go round either way.
  ///   - grouping: Groups whose members stay together at every level; nil for none.
  /// - Returns: Each rank once, beginning with rank 0.
  /// - Complexity: About O(n^2) for n ranks: well below a second for 1,024.
  public static func find(costs: [[Double]], keeping grouping: Grouping? = nil) -> [Int] {
    let count = costs.count
    precondition(costs.allSatisfy { $0.count == count }, "costs are a square matrix")
    precondition(grouping.map { $0.rankCount == count } ?? true, "costs of \(count) ranks, and groups of others")
    guard count > 1 else { return Array(0..<count) }
    var tour = Tour(SymmetricCosts(costs, keeping: grouping))
    tour.improve()
    return tour.fromRankZero
  }

  /// Gives the cost of going round once in an order: the sum over all neighbours, each pair in its dearer direction.
  public static func cost(of order: [Int], costs: [[Double]]) -> Double {
    guard order.count > 1 else { return 0 }
    return order.indices.reduce(0) { sum, place in
      let (rank, next) = (order[place], order[(place + 1) % order.count])
      return sum + max(costs[rank][next], costs[next][rank])
    }
  }
}

/// What a step of the tour costs, in either direction.
private struct SymmetricCosts {
  let count: Int
  /// An improvement that is smaller is rounding.
  let tolerance: Double
  private var values: [Double]

  /// Steps between groups cost more than whole tours inside, at each level, so that no short tour leaves a group twice.
  init(_ costs: [[Double]], keeping grouping: Grouping?) {
    count = costs.count
    values = []
    values.reserveCapacity(count * count)
    var most = 0.0
    for rank in 0..<count {
      for other in 0..<count {
        let cost = max(costs[rank][other], costs[other][rank])
        precondition(cost.isFinite && cost >= 0 || rank == other, "ranks \(rank) and \(other) cost \(cost)")
        values.append(cost)
        if rank != other { most = max(most, cost) }
      }
    }
    tolerance = most * 1e-9
    guard let grouping, most > 0 || grouping.levelCount > 1 else { return }
    let apart = (most > 0 ? most : 1) * Double(count + 1)
    for level in 1..<max(grouping.levelCount, 1) {
      let numbers = (0..<count).map { grouping.group(of: $0, at: level).number }
      for rank in 0..<count {
        for other in 0..<count where numbers[rank] != numbers[other] { values[rank * count + other] += apart }
      }
    }
  }

  subscript(rank: Int, other: Int) -> Double { values[rank * count + other] }
}

/// A tour through all ranks, as a list that is read in a circle.
private struct Tour {
  private let costs: SymmetricCosts
  private let count: Int
  private var ranks: [Int] = []
  /// By rank: its place in the list.
  private var places: [Int]
  /// By rank: the cheapest others, the cheapest first.
  private let neighbours: [[Int]]

  private static let neighbourCountMax = 12
  /// A bound on the loop, far beyond the moves that any tour takes.
  private static let movesPerRankMax = 1000

  /// The tour of the nearest neighbour, from rank 0 on.
  init(_ costs: SymmetricCosts) {
    self.costs = costs
    count = costs.count
    places = Array(repeating: -1, count: costs.count)
    neighbours = (0..<costs.count).map { rank in
      let others = (0..<costs.count).filter { $0 != rank }
      return Array(others.sorted { (costs[rank, $0], $0) < (costs[rank, $1], $1) }.prefix(Tour.neighbourCountMax))
    }
    var rank = 0
    while true {
      places[rank] = ranks.count
      ranks.append(rank)
      if ranks.count == count { return }
      rank = (0..<count).filter { places[$0] < 0 }.min { (costs[rank, $0], $0) < (costs[rank, $1], $1) }!
    }
  }

  var fromRankZero: [Int] {
    let start = places[0]
    return Array(ranks[start...] + ranks[..<start])
  }

  private func after(_ rank: Int) -> Int { ranks[places[rank] + 1 == count ? 0 : places[rank] + 1] }
  private func before(_ rank: Int) -> Int { ranks[places[rank] == 0 ? count - 1 : places[rank] - 1] }

  /// Takes improvements from rank to rank until none is left. A rank is looked at again when its neighbours change.
  mutating func improve() {
    guard count > 3 else { return }
    var waiting = Array(0..<count)
    var isWaiting = Array(repeating: true, count: count)
    var next = 0
    var movesLeft = Tour.movesPerRankMax * count
    while next < waiting.count, movesLeft > 0 {
      let rank = waiting[next]
      next += 1
      isWaiting[rank] = false
      while movesLeft > 0, let changed = reversal(at: rank) ?? move(of: rank) {
        movesLeft -= 1
        for rank in changed where !isWaiting[rank] {
          isWaiting[rank] = true
          waiting.append(rank)
        }
      }
    }
  }

  /// Tries to replace a step from or to a rank, and another one, by two that are cheaper; what lies between is reversed.
  ///
  /// - Returns: The ranks that have other neighbours now; nil where nothing is better.
  private mutating func reversal(at rank: Int) -> [Int]? {
    for forward in [true, false] {
      let next = forward ? after(rank) : before(rank)
      let old = costs[rank, next]
      for other in neighbours[rank] {
        let gain = old - costs[rank, other]
        if gain <= costs.tolerance { break }
        let otherNext = forward ? after(other) : before(other)
        if gain + costs[other, otherNext] - costs[next, otherNext] > costs.tolerance {
          if forward { reverse(from: next, to: other) } else { reverse(from: other, to: next) }
          return [rank, next, other, otherNext]
        }
      }
    }
    return nil
  }

  /// Tries to move up to three ranks, the first or last of which is given, between two others, in either direction.
  private mutating func move(of rank: Int) -> [Int]? {
    for forward in [true, false] {
      // The part reaches from `rank` away from `other`, beside which it may come to lie.
      var last = rank
      for length in 1...3 where length < count - 2 {
        if length > 1 { last = forward ? after(last) : before(last) }
        let (left, right) = forward ? (before(rank), after(last)) : (after(rank), before(last))
        let freed = costs[left, rank] + costs[last, right] - costs[left, right]
        if freed <= costs.tolerance { continue }
        for other in neighbours[rank] {
          if freed - costs[rank, other] <= costs.tolerance { break }
          if isBetween(other, rank, last, forward) { continue }
          for beyond in [after(other), before(other)] where !isBetween(beyond, rank, last, forward) {
            // Beside the part itself there is no step to open but the one that closes behind it.
            if other == left && beyond == right || other == right && beyond == left { continue }
            let added = costs[rank, other] + costs[last, beyond] - costs[other, beyond]
            guard freed - added > costs.tolerance else { continue }
            relocate(length, from: forward ? rank : last, first: rank, beside: other, beyond)
            return [left, right, rank, last, other, beyond]
          }
        }
      }
    }
    return nil
  }

  /// Whether a rank is in the part from `first` to `last`.
  private func isBetween(_ rank: Int, _ first: Int, _ last: Int, _ forward: Bool) -> Bool {
    let (from, to) = forward ? (first, last) : (last, first)
    return (places[rank] - places[from]).wrapped(count) <= (places[to] - places[from]).wrapped(count)
  }

  /// Reverses what lies between two ranks, both included, or everything else, whichever is shorter.
  private mutating func reverse(from first: Int, to last: Int) {
    var (low, high) = (places[first], places[last])
    var length = (high - low).wrapped(count) + 1
    if 2 * length > count {
      (low, high) = ((high + 1) % count, (low - 1).wrapped(count))
      length = count - length
    }
    for _ in 0..<length / 2 {
      let rank = ranks[low]
      put(ranks[high], low)
      put(rank, high)
      low = (low + 1) % count
      high = (high - 1).wrapped(count)
    }
  }

  private mutating func put(_ rank: Int, _ place: Int) {
    ranks[place] = rank
    places[rank] = place
  }

  /// Takes `length` ranks out, from `start` on, and puts them between two neighbours, `first` beside `other`.
  private mutating func relocate(_ length: Int, from start: Int, first: Int, beside other: Int, _ beyond: Int) {
    var part = (0..<length).map { ranks[(places[start] + $0) % count] }
    let otherComesFirst = after(other) == beyond
    if (part[0] == first) != otherComesFirst { part.reverse() }
    var rest: [Int] = []
    rest.reserveCapacity(count)
    let begin = otherComesFirst ? beyond : other
    // From the rank before which the part comes to lie, once round.
    for step in 0..<count {
      let rank = ranks[(places[begin] + step) % count]
      if !part.contains(rank) { rest.append(rank) }
    }
    for (place, rank) in (rest + part).enumerated() { put(rank, place) }
  }
}
