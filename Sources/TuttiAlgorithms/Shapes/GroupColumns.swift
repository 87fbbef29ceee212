import TuttiSchedule

/// The columns of a level's groups: column s has member s of each group, and carries the shard of the data that is
/// numbered s.
///
/// There are as many columns as the smallest group has members. A member beyond that owns no shard; where blocks have
/// owners, its block belongs to the column of its index modulo the number of columns.
struct GroupColumns {
  let grouping: Grouping
  let level: Int
  let groupCount: Int
  let count: Int

  init(_ grouping: Grouping, at level: Int) {
    self.grouping = grouping
    self.level = level
    groupCount = grouping.groupCount(at: level)
    count = grouping.groupSizes(at: level).lowerBound
  }

  /// The rank in a column that is in a group.
  func rank(_ column: Int, inGroup number: Int) -> Int { grouping.group(number, at: level)[column] }

  /// The members of a group whose blocks belong to a column, in order: the column's own one first.
  func members(of column: Int, inGroup number: Int) -> [Int] {
    let group = grouping.group(number, at: level)
    return stride(from: column, to: group.count, by: count).map { group[$0] }
  }

  /// The blocks of a group's members that belong to a column; none beyond the last column.
  func blocks(of column: Int, inGroup number: Int) -> [Range<Int>] {
    guard column < count else { return [] }
    return members(of: column, inGroup: number).map { $0..<$0 + 1 }
  }

  /// The blocks of all ranks that belong to a column; none beyond the last column.
  func blocks(of column: Int) -> [Range<Int>] { (0..<groupCount).flatMap { blocks(of: column, inGroup: $0) } }

  /// The blocks of all ranks by column, for programs that ask for each many times.
  var blocksByColumn: (Int) -> [Range<Int>] {
    let blocks = (0..<count).map { self.blocks(of: $0) }
    return { $0 < blocks.count ? blocks[$0] : [] }
  }

  /// Whether a composition of these algorithms serves the groups of a level, which have to be there. Blocks, inside and
  /// across, are of any sizes.
  static func serve(
    _ grouping: Grouping, at level: Int, inside: [any Algorithm], across: any Algorithm
  ) -> Bool {
    /// Whether an algorithm serves these ranks, with blocks of any sizes where its collective has any.
    func serves(_ ranks: Grouping, _ algorithm: any Algorithm, hasBlocks: Bool) -> Bool {
      algorithm.isDefined(for: ranks) && !(hasBlocks && algorithm.schedule(for: ranks.position(of: 0)).equalBlocks)
    }
    guard level > 0, level < grouping.levelCount,
      serves(grouping.groups(at: level), across, hasBlocks: across.collective.hasBlocks)
    else { return false }
    return GroupColumns(grouping, at: level).distinctGroups.allSatisfy { members in
      inside.allSatisfy { serves(members, $0, hasBlocks: true) }
    }
  }

  /// The groups, as ranks of their own; where nothing is known of them but their sizes, one of each size.
  private var distinctGroups: [Grouping] {
    let groups = (0..<groupCount).lazy.map { grouping.group($0, at: level) }
    if level + 1 < grouping.levelCount { return groups.map(grouping.members) }
    return Set(groups.map(\.count)).map(Grouping.init(rankCount:))
  }

  /// The tree of a composition that reduces inside each group, and what comes of that across; nil where a part has none.
  func foldTree(
    of operands: [FoldTree], inside: any Algorithm, across: any Algorithm
  ) -> FoldTree? {
    var sums: [FoldTree] = []
    for number in 0..<groupCount {
      let group = grouping.group(number, at: level)
      guard let sum = inside.foldTree(of: group.map { operands[$0] }, in: grouping.members(of: group)) else { return nil }
      sums.append(sum)
    }
    return across.foldTree(of: sums, in: grouping.groups(at: level))
  }

  /// Into how many chunks the algorithms inside cut the data of the largest group, at most.
  func chunkCount(of algorithms: [any Algorithm]) -> Int {
    let first = largestGroup.position(of: 0)
    return algorithms.map { $0.schedule(for: first).chunkCount }.max()!
  }

  /// The members of the largest group, which costs are computed for.
  var largestGroup: Grouping {
    let groups = (0..<groupCount).lazy.map { grouping.group($0, at: level) }
    return grouping.members(of: groups.max { $0.count < $1.count }!)
  }
}

/// Maps a chunk of an algorithm inside a group, whose blocks are shards, to chunks of the whole: its part of its block's
/// shard, and nothing where the block's member owns none.
func shards(of inner: Schedule, count: Int, perShard: Int) -> (Int) -> Range<Int> {
  let perBlock = max(1, inner.chunkCount / inner.rankCount)
  return { chunk in
    let (block, part) = chunk.quotientAndRemainder(dividingBy: perBlock)
    guard block < count else { return 0..<0 }
    let share = cut(perBlock, into: perShard)(part)
    return block * perShard + share.lowerBound..<block * perShard + share.upperBound
  }
}

/// Maps a chunk to the chunks that it becomes where the same data is cut into another number of them.
func cut(_ chunkCount: Int, into otherCount: Int) -> (Int) -> Range<Int> {
  { $0 * otherCount / chunkCount..<($0 + 1) * otherCount / chunkCount }
}

extension AlgorithmCost {
  /// The cost of an algorithm that works inside groups, in all of them at the same time, and across.
  ///
  /// - Parameters:
  ///   - across: What is done across, by each column.
  ///   - columnCount: How many columns share the data.
  ///   - inside: What is done in each group, one after the other.
  ///   - once: What is done in one group only.
  ///   - columns: The groups.
  static func composed(
    across: AlgorithmCost?, columnCount: Int, inside: [AlgorithmCost?], once: AlgorithmCost? = .nothing,
    _ columns: GroupColumns
  ) -> AlgorithmCost? {
    guard let across, let once else { return nil }
    var outer = across.levels.map { level in
      Level(
        rounds: level.rounds, messages: level.messages, volume: level.volume / Double(columnCount),
        totalMessages: level.totalMessages * columnCount, totalVolume: level.totalVolume)
    }
    while outer.count < columns.level { outer.append(.nothing) }
    var inner = AlgorithmCost.nothing
    for part in inside {
      guard let part else { return nil }
      inner = inner.followed(by: part)
    }
    for level in inner.levels.indices {
      inner.levels[level].totalMessages *= columns.groupCount
      inner.levels[level].totalVolume *= Double(columns.groupCount)
    }
    return AlgorithmCost(levels: outer + inner.followed(by: once).levels)
  }

  /// Nothing is sent.
  static var nothing: AlgorithmCost { AlgorithmCost(levels: [.nothing]) }

  /// One after the other, level by level.
  private func followed(by other: AlgorithmCost) -> AlgorithmCost {
    var sum = levels
    for (level, cost) in other.levels.enumerated() {
      if level < sum.count { sum[level] = sum[level] + cost } else { sum.append(cost) }
    }
    return AlgorithmCost(levels: sum)
  }
}

extension AlgorithmCost.Level {
  static var nothing: Self { Self(rounds: 0, messages: 0, volume: 0, totalMessages: 0, totalVolume: 0) }
}
