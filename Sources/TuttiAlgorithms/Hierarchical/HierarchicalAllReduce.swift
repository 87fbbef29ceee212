import TuttiSchedule

/// An all-reduce over groups of ranks, composed of any three algorithms: a reduce-scatter inside each group, an all-reduce
/// of each shard across the groups, an all-gather inside each group.
///
/// The data is cut into as many shards as the smallest group has ranks. Shard s belongs to member s of each group: these
/// reduce it across. A member beyond that owns none: its block of the inner collectives has no data, so that it gives its
/// input, passes on what the inner algorithm has it pass on, and gets the result. Only a shard's part of the data crosses
/// from group to group, and what one group has reduced crosses while it reduces the rest.
///
/// All results are folded inside groups first, in the order of the members, then across, in the order of the groups.
public struct HierarchicalAllReduce: Algorithm {
  public let name: String
  public var collective: Collective { .allReduce }
  private let level: Int
  private let reduceScatter: any Algorithm
  private let allReduce: any Algorithm
  private let allGather: any Algorithm

  /// - Parameters:
  ///   - level: The level whose groups are meant, from 1 on.
  ///   - reduceScatter: The algorithm inside, first; one that serves blocks of any sizes.
  ///   - allReduce: The algorithm across.
  ///   - allGather: The algorithm inside, last; one that serves blocks of any sizes.
  public init(
    name: String, level: Int = 1, reduceScatter: any Algorithm, allReduce: any Algorithm, allGather: any Algorithm
  ) {
    precondition(
      reduceScatter.collective == .reduceScatter && allReduce.collective == .allReduce && allGather.collective == .allGather,
      "\(name) is composed of a reduce-scatter, an all-reduce and an all-gather")
    self.name = name
    self.level = level
    self.reduceScatter = reduceScatter
    self.allReduce = allReduce
    self.allGather = allGather
  }

  public func isDefined(for grouping: Grouping) -> Bool {
    GroupColumns.serve(grouping, at: level, inside: [reduceScatter, allGather], across: allReduce)
  }

  public func schedule(for position: Position) -> Schedule {
    let grouping = position.grouping
    let (group, index) = (position.group(at: level), position.index(at: level))
    let columns = GroupColumns(grouping, at: level)
    let shardCount = columns.count
    let outside = allReduce.schedule(for: grouping.groups(at: level).position(of: group.number))
    // The chunks of a shard are the outer algorithm's; a block of the inner ones is a shard.
    let perShard = outside.chunkCount
    func shard(_ index: Int) -> Range<Int> { index * perShard..<(index + 1) * perShard }

    var program = ScheduleBuilder(.allReduce, for: position, chunkCount: shardCount * perShard)
    let inside = grouping.members(of: group).position(of: index)
    let scattered = reduceScatter.schedule(for: inside)
    program.append(
      scattered,
      Embedding(
        ranks: { group[$0] }, chunks: shards(of: scattered, count: shardCount, perShard: perShard),
        completes: columns.groupCount == 1))
    if index < shardCount {
      program.append(
        outside,
        Embedding(
          ranks: { columns.rank(index, inGroup: $0) },
          chunks: { shard(index).lowerBound + $0..<shard(index).lowerBound + $0 + 1 }, input: .output, completes: true))
    }
    // On a channel of its own, so that what is complete leaves while the rest is still being reduced.
    let gathered = allGather.schedule(for: inside)
    program.append(
      gathered,
      Embedding(
        ranks: { group[$0] }, chunks: shards(of: gathered, count: shardCount, perShard: perShard), input: .output, channel: 1
      ))
    return program.finish()
  }

  /// The outer algorithm's cost, of a shard, and the inner ones', of the largest group.
  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let columns = GroupColumns(grouping, at: level)
    let members = columns.largestGroup
    return .composed(
      across: allReduce.cost(for: grouping.groups(at: level)), columnCount: columns.count,
      inside: [reduceScatter.cost(for: members), allGather.cost(for: members)], columns)
  }

  /// The trees of the groups' members, and over them the one across.
  public func foldTree(of operands: [FoldTree], in grouping: Grouping) -> FoldTree? {
    GroupColumns(grouping, at: level).foldTree(of: operands, inside: reduceScatter, across: allReduce)
  }
}
