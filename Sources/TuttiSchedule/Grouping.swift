// Which ranks belong together, level by level: built once for a communicator, shared by the positions of all its ranks.
//
// Invariant: `order` lists the ranks so that each group of each level is contiguous in it; `place` is its inverse.

/// The ranks of a communicator in groups, level by level. Immutable, and shared: copying one copies a reference.
///
/// Level 0 is one group of all ranks, and is always there. Each further level divides the groups of the one before it:
/// racks, hosts in racks, sockets in hosts. Groups may be of different sizes, and their ranks numbered in any order. Groups
/// of a level are numbered, and their members listed, so that those of one group of an outer level come one after the other:
/// within that, the group with the lowest rank first, unless another order is given.
///
/// ```swift
/// let hosts = try Grouping([[0, 0, 0, 1, 1]])  // ranks 0 to 2 on one host, 3 and 4 on another
/// return hosts.group(of: 4, at: 1).count  // 2
/// ```
public struct Grouping: Sendable {
  private final class Table: Sendable {
    let rankCount: Int
    /// Ranks with the members of each group in a row; empty where that is 0, 1, 2...
    let order: [Int32]
    /// By rank: its index in `order`.
    let place: [Int32]
    /// Whether `order` is 0, 1, 2...
    let isInRankOrder: Bool
    /// By level: where each group begins in `order`; one entry more than groups.
    let starts: [[Int32]]
    /// By level and place in `order`: the group's number.
    let numbers: [[Int32]]
    /// By level: the members of the group with the fewest, and with the most.
    let sizes: [ClosedRange<Int>]
    /// By level: its groups as ranks, in the groups of the levels outside of it; nil where there are none.
    let outer: [Grouping?]

    init(
      rankCount: Int, order: [Int32] = [], place: [Int32] = [], starts: [[Int32]] = [[]], numbers: [[Int32]] = [[]],
      sizes: [ClosedRange<Int>]
    ) {
      self.rankCount = rankCount
      self.order = order
      self.place = place
      isInRankOrder = order.indices.allSatisfy { order[$0] == $0 }
      self.starts = starts
      self.numbers = numbers
      self.sizes = sizes
      outer = Grouping.outer(starts, numbers)
    }
  }

  private let table: Table

  /// The largest number of ranks that is supported.
  public static let rankCountMax = Int(Int32.max)

  /// Puts all ranks into one group, without further levels. Takes no memory for each rank.
  ///
  /// - Parameter rankCount: At least 1.
  public init(rankCount: Int) {
    precondition((1...Grouping.rankCountMax).contains(rankCount), "\(rankCount) ranks: there must be at least one")
    table = Table(rankCount: rankCount, sizes: [rankCount...rankCount])
  }

  /// - Parameters:
  ///   - levels: One array for each level below "all ranks", the outermost first. It holds a number for each rank, equal for
  ///     the ranks of one group.
  ///   - inOrderOfNumbers: Whether the groups inside a group of an outer level come in the order of their numbers. Otherwise
  ///     numbers only tell groups apart, and the group with the lowest rank comes first.
  /// - Throws: ``GroupingError`` where there are no ranks or too many, where a level has another number of ranks than the
  ///   first, or where one of its groups has ranks of different groups of the level before it.
  public init(_ levels: [[Int]], inOrderOfNumbers: Bool = false) throws(GroupingError) {
    guard let rankCount = levels.first?.count, rankCount > 0 else { throw .noRanks }
    guard rankCount <= Grouping.rankCountMax else { throw .tooManyRanks(rankCount) }
    for (index, numbers) in levels.enumerated() where numbers.count != rankCount {
      throw .unequalLengths(level: index + 1, found: numbers.count, expected: rankCount)
    }
    // By rank: the lowest rank of its group, from level to level; ranks sorted by these lie group by group.
    var lowest: [[Int32]] = []
    for (index, numbers) in levels.enumerated() {
      lowest.append(try Grouping.lowestRanks(numbers, outer: lowest.last, level: index + 1))
    }
    let keys = inOrderOfNumbers ? levels : lowest.map { $0.map(Int.init) }
    let order = (0..<Int32(rankCount)).sorted { a, b in
      for key in keys where key[Int(a)] != key[Int(b)] { return key[Int(a)] < key[Int(b)] }
      return a < b
    }
    var place = [Int32](repeating: 0, count: rankCount)
    for (index, rank) in order.enumerated() { place[Int(rank)] = Int32(index) }
    var starts: [[Int32]] = [[]]
    var numbers: [[Int32]] = [[]]
    var sizes = [rankCount...rankCount]
    for key in keys {
      let cut = Grouping.cut(order, by: key)
      starts.append(cut.starts)
      numbers.append(cut.numbers)
      let counts = zip(cut.starts.dropFirst(), cut.starts).map { Int($0 - $1) }
      sizes.append(counts.min()!...counts.max()!)
    }
    table = Table(rankCount: rankCount, order: order, place: place, starts: starts, numbers: numbers, sizes: sizes)
  }

  /// By rank: the lowest rank of its group. Groups must lie within those of the outer level.
  private static func lowestRanks(_ numbers: [Int], outer: [Int32]?, level: Int) throws(GroupingError) -> [Int32] {
    var lowest: [Int: Int32] = [:]
    var result: [Int32] = []
    result.reserveCapacity(numbers.count)
    for (rank, number) in numbers.enumerated() {
      let first = lowest[number] ?? Int32(rank)
      lowest[number] = first
      if let outer, outer[rank] != outer[Int(first)] {
        throw .crossingGroups(level: level, number: number, ranks: Int(first), rank)
      }
      result.append(first)
    }
    return result
  }

  /// Where each group begins in the order, and the number of each place's group.
  private static func cut(_ order: [Int32], by key: [Int]) -> (starts: [Int32], numbers: [Int32]) {
    var starts: [Int32] = []
    var numbers: [Int32] = []
    numbers.reserveCapacity(order.count)
    for (index, rank) in order.enumerated() {
      if index == 0 || key[Int(rank)] != key[Int(order[index - 1])] { starts.append(Int32(index)) }
      numbers.append(Int32(starts.count - 1))
    }
    return (starts + [Int32(order.count)], numbers)
  }

  // MARK: Groups

  /// How many ranks there are.
  public var rankCount: Int { table.rankCount }
  /// How many levels there are: 1 where all ranks are one group and nothing else is known.
  public var levelCount: Int { table.sizes.count }
  /// The number of groups at a level.
  public func groupCount(at level: Int) -> Int { level == 0 ? 1 : table.starts[level].count - 1 }
  /// The members of the smallest and of the largest group at a level.
  public func groupSizes(at level: Int) -> ClosedRange<Int> { table.sizes[level] }

  /// A group of a level, by its number in `0..<groupCount(at: level)`.
  public func group(_ number: Int, at level: Int) -> RankGroup {
    if level == 0 { return RankGroup(grouping: self, level: 0, number: 0, places: 0..<rankCount) }
    let starts = table.starts[level]
    return RankGroup(
      grouping: self, level: level, number: number, places: Int(starts[number])..<Int(starts[number + 1]))
  }

  /// The group of a level that a rank is in.
  public func group(of rank: Int, at level: Int) -> RankGroup {
    group(level == 0 ? 0 : Int(table.numbers[level][place(of: rank)]), at: level)
  }

  /// The members of a group as ranks of their own, numbered in the group's order, in the groups of the levels inside of it.
  ///
  /// - Complexity: O(members) where there are such levels.
  public func members(of group: RankGroup) -> Grouping {
    let inner = (group.level + 1..<levelCount).map { level in group.map { self.group(of: $0, at: level).number } }
    guard !inner.isEmpty, let members = try? Grouping(inner) else { return Grouping(rankCount: group.count) }
    return members
  }

  /// The groups of a level as ranks, numbered as they are, in the groups of the levels outside of it.
  public func groups(at level: Int) -> Grouping {
    table.outer[level] ?? Grouping(rankCount: groupCount(at: level))
  }

  /// By level: its groups as ranks, in the groups of the levels outside of it; nil where there are none.
  private static func outer(_ starts: [[Int32]], _ numbers: [[Int32]]) -> [Grouping?] {
    starts.indices.map { level in
      guard level > 1 else { return nil }
      let firsts = starts[level].dropLast()
      return try? Grouping((1..<level).map { outer in firsts.map { Int(numbers[outer][Int($0)]) } })
    }
  }

  /// The rank at an index of the order in which the groups of every level lie one after the other: the *topology order*.
  public func rank(at place: Int) -> Int { table.order.isEmpty ? place : Int(table.order[place]) }

  /// The index of a rank in the topology order.
  public func place(of rank: Int) -> Int { table.place.isEmpty ? rank : Int(table.place[rank]) }

  /// Whether the topology order is the order of the ranks' numbers.
  public var isInRankOrder: Bool { table.isInRankOrder }

  /// The position of a rank.
  ///
  /// - Parameters:
  ///   - rank: In `0..<rankCount`.
  ///   - root: In `0..<rankCount`; 0, and without meaning, for collectives that have no root.
  /// - Complexity: O(1).
  public func position(of rank: Int, root: Int = 0) -> Position { Position(rank: rank, root: root, grouping: self) }

  /// Whether both share one table; two groupings made apart do not, even with equal groups.
  static func isSame(_ a: Grouping, _ b: Grouping) -> Bool { a.table === b.table }
}

/// The members of a group, in their order.
public struct RankGroup: RandomAccessCollection, Sendable {
  fileprivate let grouping: Grouping
  /// The level it is a group of.
  public let level: Int
  /// Its number among the groups of its level.
  public let number: Int
  fileprivate let places: Range<Int>

  public var startIndex: Int { 0 }
  public var endIndex: Int { places.count }
  /// The rank of a member.
  public subscript(index: Int) -> Int {
    precondition(index >= 0 && index < places.count, "member \(index) of a group of \(places.count)")
    return grouping.rank(at: places.lowerBound + index)
  }

  /// The index of a rank among the members; nil if it is not one of them.
  public func index(of rank: Int) -> Int? {
    guard (0..<grouping.rankCount).contains(rank) else { return nil }
    let place = grouping.place(of: rank)
    return places.contains(place) ? place - places.lowerBound : nil
  }
}

/// Why numbers do not describe groups.
public enum GroupingError: Error, Hashable, Sendable, CustomStringConvertible {
  /// No level, or one without ranks.
  case noRanks
  case tooManyRanks(Int)
  /// A level does not say the group of every rank.
  case unequalLengths(level: Int, found: Int, expected: Int)
  /// Two ranks are in one group, but were in different ones at the level before.
  case crossingGroups(level: Int, number: Int, ranks: Int, Int)

  public var description: String {
    switch self {
    case .noRanks: "groups of no ranks: give the number of a group for each rank, for one level at least"
    case .tooManyRanks(let count): "groups of \(count) ranks: \(Grouping.rankCountMax) is the most"
    case .unequalLengths(let level, let found, let expected):
      "level \(level) has the groups of \(found) ranks, level 1 those of \(expected): give every rank's at every level"
    case .crossingGroups(let level, let number, let first, let second):
      "group \(number) of level \(level) has ranks \(first) and \(second), which are in different groups at level \(level - 1): "
        + "give the outermost level first, and let each divide the groups of the one before"
    }
  }
}
