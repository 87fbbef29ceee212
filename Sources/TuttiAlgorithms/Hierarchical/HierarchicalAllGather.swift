import TuttiSchedule

/// An all-gather over groups of ranks, composed of any two: across the groups, in each column, then inside each group, of
/// whole columns.
///
/// The mirror image of ``HierarchicalReduceScatter``: a rank sends its own block to other groups, once, and all blocks
/// reach its group once. A member beyond the smallest group's size gives its block to the one of its own group whose
/// column it belongs to.
public struct HierarchicalAllGather: Algorithm {
  public let name: String
  public var collective: Collective { .allGather }
  private let level: Int
  private let across: any Algorithm
  private let inside: any Algorithm

  /// - Parameters:
  ///   - level: The level whose groups are meant, from 1 on.
  ///   - inside: The all-gather inside; one that serves blocks of any sizes.
  ///   - across: The all-gather across; likewise.
  public init(name: String, level: Int = 1, inside: any Algorithm, across: any Algorithm) {
    precondition(
      inside.collective == .allGather && across.collective == .allGather, "\(name) is composed of two all-gathers")
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
    var program = ScheduleBuilder(.allGather, for: position, chunkCount: position.rankCount)
    if index < columns.count {
      let others = columns.members(of: index, inGroup: group.number).dropFirst()
      // Blocks of others arrive in the output, and the own one joins them there.
      if !others.isEmpty { program.copy([.output(rank)], from: [.input(rank)]) }
      for member in others { program.receive([.output(member)], from: member) }
      program.append(
        across.schedule(for: grouping.groups(at: level).position(of: group.number)),
        Embedding(
          ranks: { columns.rank(index, inGroup: $0) }, scattered: { columns.blocks(of: index, inGroup: $0) },
          input: others.isEmpty ? .input : .output))
    } else {
      program.send([.input(rank)], to: group[index % columns.count])
    }
    program.append(
      inside.schedule(for: grouping.members(of: group).position(of: index)),
      Embedding(ranks: { group[$0] }, scattered: columns.blocksByColumn, input: .output))
    return program.finish()
  }

  /// The outer algorithm's cost, of a column, and the inner one's, of the largest group.
  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let columns = GroupColumns(grouping, at: level)
    return .composed(
      across: across.cost(for: grouping.groups(at: level)), columnCount: columns.count,
      inside: [inside.cost(for: columns.largestGroup)], columns)
  }
}
