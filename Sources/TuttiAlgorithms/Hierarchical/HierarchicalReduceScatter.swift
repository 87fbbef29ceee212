import TuttiSchedule

/// A reduce-scatter over groups of ranks, composed of any two: inside each group, of columns of blocks, then across the
/// groups, in each column.
///
/// Column s has the blocks of member s of each group. Inside, member s gets what its group has for column s; across, the
/// members s of all groups reduce the column, and each gets its own block. A member beyond the smallest group's size gets
/// its block from the one of its own group whose column it belongs to. Of all data, only a column's part leaves a rank for
/// other groups.
///
/// All results are folded inside groups first, in the order of the members, then across, in the order of the groups.
public struct HierarchicalReduceScatter: Algorithm {
  public let name: String
  public var collective: Collective { .reduceScatter }
  private let level: Int
  private let inside: any Algorithm
  private let across: any Algorithm

  /// - Parameters:
  ///   - level: The level whose groups are meant, from 1 on.
  ///   - inside: The reduce-scatter inside; one that serves blocks of any sizes.
  ///   - across: The reduce-scatter across; likewise.
  public init(name: String, level: Int = 1, inside: any Algorithm, across: any Algorithm) {
    precondition(
      inside.collective == .reduceScatter && across.collective == .reduceScatter,
      "\(name) is composed of two reduce-scatters")
    self.name = name
    self.level = level
    self.inside = inside
    self.across = across
  }

  public func isDefined(for grouping: Grouping) -> Bool {
    GroupColumns.serve(grouping, at: level, inside: [inside], across: across)
  }

  public func schedule(for position: Position) -> Schedule {
    let grouping = position.grouping
    let (rank, group, index) = (position.rank, position.group(at: level), position.index(at: level))
    let columns = GroupColumns(grouping, at: level)
    // A column's sums of this group, and the blocks it has of others.
    let (sums, others) = (Buffer.scratch(0), Buffer.scratch(1))
    var program = ScheduleBuilder(.reduceScatter, for: position, chunkCount: position.rankCount, scratchCount: 2)
    program.append(
      inside.schedule(for: grouping.members(of: group).position(of: index)),
      Embedding(
        ranks: { group[$0] }, scattered: columns.blocksByColumn, output: sums, completes: columns.groupCount == 1))
    guard index < columns.count else {
      program.receive([.output(rank)], from: group[index % columns.count])
      return program.finish()
    }
    let members = columns.members(of: index, inGroup: group.number)
    let result = members.count == 1 ? Buffer.output : others
    program.append(
      across.schedule(for: grouping.groups(at: level).position(of: group.number)),
      Embedding(
        ranks: { columns.rank(index, inGroup: $0) }, scattered: { columns.blocks(of: index, inGroup: $0) }, input: sums,
        output: result, completes: true))
    if members.count > 1 { program.copy([.output(rank)], from: [ChunkRange(others, rank)]) }
    for member in members.dropFirst() { program.send([ChunkRange(others, member)], to: member) }
    return program.finish()
  }

  /// The outer algorithm's cost, of a column, and the inner one's, of the largest group.
  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let columns = GroupColumns(grouping, at: level)
    return .composed(
      across: across.cost(for: grouping.groups(at: level)), columnCount: columns.count,
      inside: [inside.cost(for: columns.largestGroup)], columns)
  }

  /// The trees of the groups' members, and over them the one across.
  public func foldTree(of operands: [FoldTree], in grouping: Grouping) -> FoldTree? {
    GroupColumns(grouping, at: level).foldTree(of: operands, inside: inside, across: across)
  }
}
