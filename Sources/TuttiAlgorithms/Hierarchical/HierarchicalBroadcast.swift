import TuttiSchedule

/// A broadcast over groups of ranks, composed of any three algorithms: a scatter inside the root's group, a broadcast of
/// each shard across the groups, an all-gather inside each group.
///
/// As in ``HierarchicalAllReduce`` there are as many shards as the smallest group has members, so that all members of a
/// group send to other groups, and each shard crosses once. For long data; ``LeaderBroadcast`` is for short.
public struct HierarchicalBroadcast: Algorithm {
  public let name: String
  public var collective: Collective { .broadcast }
  private let level: Int
  private let scatter: any Algorithm
  private let broadcast: any Algorithm
  private let allGather: any Algorithm

  /// - Parameters:
  ///   - level: The level whose groups are meant, from 1 on.
  ///   - scatter: The algorithm inside the root's group; one that serves blocks of any sizes.
  ///   - broadcast: The algorithm across.
  ///   - allGather: The algorithm inside, last; one that serves blocks of any sizes.
  public init(
    name: String, level: Int = 1, scatter: any Algorithm, broadcast: any Algorithm, allGather: any Algorithm
  ) {
    precondition(
      scatter.collective == .scatter && broadcast.collective == .broadcast && allGather.collective == .allGather,
      "\(name) is composed of a scatter, a broadcast and an all-gather")
    self.name = name
    self.level = level
    self.scatter = scatter
    self.broadcast = broadcast
    self.allGather = allGather
  }

  public func isDefined(for grouping: Grouping) -> Bool {
    GroupColumns.serve(grouping, at: level, inside: [scatter, allGather], across: broadcast)
  }

  public func schedule(for position: Position) -> Schedule {
    let (grouping, root) = (position.grouping, position.root)
    let (group, index) = (position.group(at: level), position.index(at: level))
    let columns = GroupColumns(grouping, at: level)
    let (groups, members) = (grouping.groups(at: level), grouping.members(of: group))
    let rootGroup = grouping.group(of: root, at: level)
    let across = broadcast.schedule(for: groups.position(of: group.number, root: rootGroup.number))
    let perShard = broadcast.schedule(for: groups.position(of: 0)).chunkCount
    var program = ScheduleBuilder(.broadcast, for: position, chunkCount: columns.count * perShard)
    if group.number == rootGroup.number {
      let scattered = scatter.schedule(for: members.position(of: index, root: rootGroup.index(of: root)!))
      program.append(
        scattered,
        Embedding(ranks: { group[$0] }, chunks: shards(of: scattered, count: columns.count, perShard: perShard)))
    }
    if index < columns.count {
      let first = index * perShard
      program.append(
        across,
        Embedding(
          ranks: { columns.rank(index, inGroup: $0) }, chunks: { first + $0..<first + $0 + 1 }, input: .output))
    }
    let gathered = allGather.schedule(for: members.position(of: index))
    program.append(
      gathered,
      Embedding(
        ranks: { group[$0] }, chunks: shards(of: gathered, count: columns.count, perShard: perShard), input: .output,
        channel: 1))
    return program.finish()
  }

  /// The outer algorithm's cost, of a shard, and the inner ones', of the largest group.
  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let columns = GroupColumns(grouping, at: level)
    let members = columns.largestGroup
    return .composed(
      across: broadcast.cost(for: grouping.groups(at: level)), columnCount: columns.count,
      inside: [allGather.cost(for: members)], once: scatter.cost(for: members), columns)
  }
}
