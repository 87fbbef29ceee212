import TuttiSchedule

/// An all-reduce over groups of ranks by leaders, composed of any three algorithms: a reduce to member 0 of each group, an
/// all-reduce of these, a broadcast inside each group.
///
/// The fewest messages from group to group, for short data; ``HierarchicalAllReduce`` has all members of a group work
/// across.
///
/// All results are folded inside groups first, in the order of the inner algorithm, then across, in the order of the groups.
public struct LeaderAllReduce: Algorithm {
  public let name: String
  public var collective: Collective { .allReduce }
  private let level: Int
  private let reduce: any Algorithm
  private let allReduce: any Algorithm
  private let broadcast: any Algorithm

  /// - Parameters:
  ///   - level: The level whose groups are meant, from 1 on.
  ///   - reduce: The algorithm inside, first.
  ///   - allReduce: The algorithm across.
  ///   - broadcast: The algorithm inside, last.
  public init(
    name: String, level: Int = 1, reduce: any Algorithm, allReduce: any Algorithm, broadcast: any Algorithm
  ) {
    precondition(
      reduce.collective == .reduce && allReduce.collective == .allReduce && broadcast.collective == .broadcast,
      "\(name) is composed of a reduce, an all-reduce and a broadcast")
    self.name = name
    self.level = level
    self.reduce = reduce
    self.allReduce = allReduce
    self.broadcast = broadcast
  }

  public func isDefined(for grouping: Grouping) -> Bool {
    GroupColumns.serve(grouping, at: level, inside: [reduce, broadcast], across: allReduce)
  }

  public func schedule(for position: Position) -> Schedule {
    let grouping = position.grouping
    let (group, index) = (position.group(at: level), position.index(at: level))
    let groups = grouping.groups(at: level)
    let across = allReduce.schedule(for: groups.position(of: group.number))
    let inside = grouping.members(of: group).position(of: index)
    let (up, down) = (reduce.schedule(for: inside), broadcast.schedule(for: inside))
    let parts = GroupColumns(grouping, at: level).chunkCount(of: [reduce, broadcast])
    let chunkCount = across.chunkCount * parts
    var program = ScheduleBuilder(.allReduce, for: position, chunkCount: chunkCount)
    program.append(
      up,
      Embedding(
        ranks: { group[$0] }, chunks: cut(up.chunkCount, into: chunkCount), completes: groups.rankCount == 1))
    if index == 0 {
      program.append(
        across,
        Embedding(
          ranks: { grouping.group($0, at: level)[0] }, chunks: { $0 * parts..<($0 + 1) * parts }, input: .output,
          completes: true))
    }
    program.append(
      down,
      Embedding(
        ranks: { group[$0] }, chunks: cut(down.chunkCount, into: chunkCount), input: .output, channel: 1))
    return program.finish()
  }

  /// The outer algorithm's cost and the inner ones', of the largest group.
  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let columns = GroupColumns(grouping, at: level)
    let members = columns.largestGroup
    return .composed(
      across: allReduce.cost(for: grouping.groups(at: level)), columnCount: 1,
      inside: [reduce.cost(for: members), broadcast.cost(for: members)], columns)
  }

  /// The trees of the groups' members, and over them the one across.
  public func foldTree(of operands: [FoldTree], in grouping: Grouping) -> FoldTree? {
    GroupColumns(grouping, at: level).foldTree(of: operands, inside: reduce, across: allReduce)
  }
}
