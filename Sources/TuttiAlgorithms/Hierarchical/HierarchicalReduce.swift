import TuttiSchedule

/// A reduce over groups of ranks, composed of any three algorithms: a reduce-scatter inside each group, a reduce of each
/// shard across, to the root's group, and a gather there.
///
/// The mirror image of ``HierarchicalBroadcast``. For long data; ``LeaderReduce`` is for short.
public struct HierarchicalReduce: Algorithm {
  public let name: String
  public var collective: Collective { .reduce }
  private let level: Int
  private let reduceScatter: any Algorithm
  private let reduce: any Algorithm
  private let gather: any Algorithm

  /// - Parameters:
  ///   - level: The level whose groups are meant, from 1 on.
  ///   - reduceScatter: The algorithm inside, first; one that serves blocks of any sizes.
  ///   - reduce: The algorithm across.
  ///   - gather: The algorithm inside the root's group; one that serves blocks of any sizes.
  public init(
    name: String, level: Int = 1, reduceScatter: any Algorithm, reduce: any Algorithm, gather: any Algorithm
  ) {
    precondition(
      reduceScatter.collective == .reduceScatter && reduce.collective == .reduce && gather.collective == .gather,
      "\(name) is composed of a reduce-scatter, a reduce and a gather")
    self.name = name
    self.level = level
    self.reduceScatter = reduceScatter
    self.reduce = reduce
    self.gather = gather
  }

  public func isDefined(for grouping: Grouping) -> Bool {
    GroupColumns.serve(grouping, at: level, inside: [reduceScatter, gather], across: reduce)
  }

  public func schedule(for position: Position) -> Schedule {
    let (grouping, root) = (position.grouping, position.root)
    let (group, index) = (position.group(at: level), position.index(at: level))
    let columns = GroupColumns(grouping, at: level)
    let (groups, members) = (grouping.groups(at: level), grouping.members(of: group))
    let rootGroup = grouping.group(of: root, at: level)
    let perShard = reduce.schedule(for: groups.position(of: 0)).chunkCount
    var program = ScheduleBuilder(
      .reduce, for: position, chunkCount: columns.count * perShard, channelCount: 2, scratchCount: 2)
    // A shard's sums: those of this group, and those of all. Only the root has an output, where its own shard may end at
    // once.
    let sums = Buffer.scratch(0)
    let results = position.rank == root ? Buffer.output : .scratch(1)
    let scattered = reduceScatter.schedule(for: members.position(of: index))
    program.append(
      scattered,
      Embedding(
        ranks: { group[$0] }, chunks: shards(of: scattered, count: columns.count, perShard: perShard), output: sums,
        completes: columns.groupCount == 1))
    if index < columns.count {
      let first = index * perShard
      program.append(
        reduce.schedule(for: groups.position(of: group.number, root: rootGroup.number)),
        Embedding(
          ranks: { columns.rank(index, inGroup: $0) }, chunks: { first + $0..<first + $0 + 1 }, input: sums,
          output: results, completes: true))
    }
    if group.number == rootGroup.number {
      let gathered = gather.schedule(for: members.position(of: index, root: rootGroup.index(of: root)!))
      program.append(
        gathered,
        Embedding(
          ranks: { group[$0] }, chunks: shards(of: gathered, count: columns.count, perShard: perShard), input: results,
          channel: 1))
    }
    return program.finish()
  }

  /// The outer algorithm's cost, of a shard, and the inner ones', of the largest group.
  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let columns = GroupColumns(grouping, at: level)
    let members = columns.largestGroup
    return .composed(
      across: reduce.cost(for: grouping.groups(at: level)), columnCount: columns.count,
      inside: [reduceScatter.cost(for: members)], once: gather.cost(for: members), columns)
  }

  /// The trees of the groups' members, and over them the one across.
  public func foldTree(of operands: [FoldTree], in grouping: Grouping) -> FoldTree? {
    GroupColumns(grouping, at: level).foldTree(of: operands, inside: reduceScatter, across: reduce)
  }
}
