import TuttiSchedule

/// A broadcast over groups of ranks by leaders, composed of any two: from the root to a leader of each group, then inside
/// each group.
///
/// The leader is the root in its own group, and in others the member of the root's index, or the last one where there is
/// none: so different roots load different members.
public struct LeaderBroadcast: Algorithm {
  public let name: String
  public var collective: Collective { .broadcast }
  private let level: Int
  private let across: any Algorithm
  private let inside: any Algorithm

  /// - Parameters:
  ///   - level: The level whose groups are meant, from 1 on.
  ///   - inside: The broadcast inside.
  ///   - across: The broadcast across.
  public init(name: String, level: Int = 1, inside: any Algorithm, across: any Algorithm) {
    precondition(
      inside.collective == .broadcast && across.collective == .broadcast, "\(name) is composed of two broadcasts")
    self.name = name
    self.level = level
    self.inside = inside
    self.across = across
  }

  public func isDefined(for grouping: Grouping) -> Bool {
    GroupColumns.serve(grouping, at: level, inside: [inside], across: across)
  }

  public func schedule(for position: Position) -> Schedule {
    let leaders = GroupLeaders(position, at: level)
    let inside = inside.schedule(for: leaders.positionInside)
    let parts = GroupColumns(position.grouping, at: level).chunkCount(of: [self.inside])
    let chunkCount = across.schedule(for: leaders.groups.position(of: 0)).chunkCount * parts
    var program = ScheduleBuilder(.broadcast, for: position, chunkCount: chunkCount)
    if let positionAcross = leaders.positionAcross {
      program.append(
        across.schedule(for: positionAcross),
        Embedding(ranks: leaders.leader, chunks: { $0 * parts..<($0 + 1) * parts }))
    }
    // The leader of another group has the data in its output; so has the root, once it has copied it there.
    program.append(
      inside,
      Embedding(
        ranks: { leaders.group[$0] }, chunks: cut(inside.chunkCount, into: chunkCount),
        input: position.rank == position.root ? .input : .output))
    return program.finish()
  }

  /// The outer algorithm's cost and the inner one's, of the largest group.
  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let columns = GroupColumns(grouping, at: level)
    return .composed(
      across: across.cost(for: grouping.groups(at: level)), columnCount: 1,
      inside: [inside.cost(for: columns.largestGroup)], columns)
  }
}

/// One member of each group, near the root: the root itself in its own group.
struct GroupLeaders {
  let group: RankGroup
  let groups: Grouping
  /// The rank's position among the leaders; nil if it is none of them.
  let positionAcross: Position?
  /// The rank's position among the members of its group, with the leader as the root.
  let positionInside: Position
  private let grouping: Grouping
  private let level: Int
  private let rootIndex: Int

  init(_ position: Position, at level: Int) {
    grouping = position.grouping
    self.level = level
    group = position.group(at: level)
    groups = grouping.groups(at: level)
    let rootGroup = grouping.group(of: position.root, at: level)
    rootIndex = rootGroup.index(of: position.root)!
    let (index, leader) = (position.index(at: level), min(rootIndex, group.count - 1))
    positionAcross = index == leader ? groups.position(of: group.number, root: rootGroup.number) : nil
    positionInside = grouping.members(of: group).position(of: index, root: leader)
  }

  /// The rank that leads a group.
  func leader(ofGroup number: Int) -> Int {
    let group = grouping.group(number, at: level)
    return group[min(rootIndex, group.count - 1)]
  }
}
