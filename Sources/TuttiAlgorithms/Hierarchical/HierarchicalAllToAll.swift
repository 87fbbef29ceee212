import TuttiSchedule

/// An all-to-all over groups of ranks: inside each group by the column of the destination, then across, one message for
/// each pair of groups and column.
///
/// Of m members in each of g groups, a rank sends g - 1 messages to other groups, each of m blocks, instead of (g - 1) m
/// of one block. Member c of a group collects what its group has for column c of all groups, and sends each group its
/// part. Members beyond the smallest group's size get theirs from the member of their own group whose column they belong
/// to. Blocks pass through scratch, so that they have to be of equal sizes.
///
/// - SeeAlso: Kühnemann, Rauber & Rünger, *Optimizing MPI collective communication by orthogonal structures*, Cluster
///   Computing 9(3), 2006.
public struct HierarchicalAllToAll: Algorithm {
  public let name: String
  public var collective: Collective { .allToAll }
  private let level: Int

  /// - Parameter level: The level whose groups are meant, from 1 on.
  public init(name: String, level: Int = 1) {
    self.name = name
    self.level = level
  }

  public func isDefined(for grouping: Grouping) -> Bool { level > 0 && level < grouping.levelCount }

  public func schedule(for position: Position) -> Schedule {
    let columns = GroupColumns(position.grouping, at: level)
    let (group, index) = (position.group(at: level), position.index(at: level))
    let extras = columns.members(of: index % columns.count, inGroup: group.number).dropFirst()
    let isExtra = index >= columns.count
    // By member of the own group: what it has for this column of all groups. Then by further member of the column: what is
    // for it.
    var program = ScheduleBuilder(
      .allToAll, for: position, chunkCount: position.rankCount, scratchCount: isExtra ? 0 : group.count + extras.count,
      equalBlocks: true)
    collect(&program, position, columns)
    if isExtra {
      receiveFromColumn(&program, position, columns)
    } else {
      exchange(&program, position, columns, Array(extras))
      deliver(&program, columns, Array(extras), firstScratch: group.count)
    }
    return program.finish()
  }

  /// Everyone's blocks go to the members of its group that carry their columns.
  private func collect(_ program: inout ScheduleBuilder, _ position: Position, _ columns: GroupColumns) {
    let (group, index) = (position.group(at: level), position.index(at: level))
    for distance in 0..<group.count {
      let column = (index + distance) % group.count
      if column >= columns.count { continue }
      let blocks = columns.blocks(of: column).map(ChunkRange.input)
      if column == index {
        program.copy(places(blocks.indices, ofMember: index), from: blocks)
      } else {
        program.send(blocks, to: group[column])
      }
    }
    guard index < columns.count else { return }
    let blocks = columns.blocks(of: index).indices
    for distance in 1..<max(group.count, 1) {
      let member = (index - distance).wrapped(group.count)
      program.receive(places(blocks, ofMember: member), from: group[member])
    }
  }

  /// Where the blocks that a member of the own group has for this column lie: one by one, as they do everywhere else.
  private func places(_ blocks: Range<Int>, ofMember index: Int) -> [ChunkRange] {
    blocks.map { .scratch(index, $0..<$0 + 1) }
  }

  /// Each group's part of a column goes there, and what arrives lies where it belongs, or waits for its owner.
  private func exchange(
    _ program: inout ScheduleBuilder, _ position: Position, _ columns: GroupColumns, _ extras: [Int]
  ) {
    let (group, index) = (position.group(at: level), position.index(at: level))
    var firsts: [Int] = [0]
    for number in 0..<columns.groupCount { firsts.append(firsts[number] + columns.blocks(of: index, inGroup: number).count) }
    /// What this group has for another, member by member.
    func part(_ number: Int) -> [ChunkRange] {
      group.indices.flatMap { places(firsts[number]..<firsts[number + 1], ofMember: $0) }
    }
    /// Where the blocks of another group's members go: for each of them to this rank, then to the further ones.
    func destinations(_ number: Int) -> [ChunkRange] {
      columns.grouping.group(number, at: level).flatMap { source in
        [ChunkRange.output(source)] + extras.indices.map { .scratch(group.count + $0, source..<source + 1) }
      }
    }
    for distance in 1..<max(columns.groupCount, 1) {
      let number = (group.number + distance) % columns.groupCount
      program.send(part(number), to: columns.rank(index, inGroup: number))
    }
    program.copy(destinations(group.number), from: part(group.number))
    for distance in 1..<max(columns.groupCount, 1) {
      let number = (group.number - distance).wrapped(columns.groupCount)
      program.receive(destinations(number), from: columns.rank(index, inGroup: number))
    }
  }

  /// Further members of the column get all blocks for them at once.
  private func deliver(_ program: inout ScheduleBuilder, _ columns: GroupColumns, _ extras: [Int], firstScratch: Int) {
    for (number, extra) in extras.enumerated() {
      program.send([.scratch(firstScratch + number, 0..<columns.grouping.rankCount)], to: extra)
    }
  }

  private func receiveFromColumn(_ program: inout ScheduleBuilder, _ position: Position, _ columns: GroupColumns) {
    let (group, index) = (position.group(at: level), position.index(at: level))
    program.receive([.output(0..<position.rankCount)], from: group[index % columns.count])
  }

  /// Exact for groups of equal sizes.
  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let columns = GroupColumns(grouping, at: level)
    let (groups, members) = (columns.groupCount, columns.largestGroup.rankCount)
    let others = Double(groups - 1)
    var levels = [
      AlgorithmCost.Level(
        rounds: min(groups - 1, 1), messages: groups - 1, volume: others / Double(groups),
        totalMessages: (groups - 1) * groups * columns.count, totalVolume: others * Double(columns.count))
    ]
    while levels.count < level { levels.append(.nothing) }
    levels.append(
      AlgorithmCost.Level(
        rounds: min(members - 1, 1), messages: members - 1, volume: Double(members - 1) / Double(members),
        totalMessages: (members - 1) * members * groups, totalVolume: Double((members - 1) * groups)))
    return AlgorithmCost(levels: levels)
  }
}
