import TuttiSchedule

/// A barrier over groups of ranks by leaders: member 0 of each group hears of all members, the leaders hold any barrier,
/// and each lets its group go on.
///
/// Between groups there are only the messages of that barrier.
public struct LeaderBarrier: Algorithm {
  public let name: String
  public var collective: Collective { .barrier }
  private let level: Int
  private let reduce: any Algorithm
  private let barrier: any Algorithm
  private let broadcast: any Algorithm

  /// - Parameters:
  ///   - level: The level whose groups are meant, from 1 on.
  ///   - reduce: How member 0 hears of all members of its group.
  ///   - barrier: The algorithm across.
  ///   - broadcast: How members hear of it.
  public init(name: String, level: Int = 1, reduce: any Algorithm, barrier: any Algorithm, broadcast: any Algorithm) {
    precondition(
      reduce.collective == .reduce && barrier.collective == .barrier && broadcast.collective == .broadcast,
      "\(name) is composed of a reduce, a barrier and a broadcast")
    self.name = name
    self.level = level
    self.reduce = reduce
    self.barrier = barrier
    self.broadcast = broadcast
  }

  public func isDefined(for grouping: Grouping) -> Bool {
    GroupColumns.serve(grouping, at: level, inside: [reduce, broadcast], across: barrier)
  }

  public func schedule(for position: Position) -> Schedule {
    let grouping = position.grouping
    let (group, index) = (position.group(at: level), position.index(at: level))
    let inside = grouping.members(of: group).position(of: index)
    let across = barrier.schedule(for: grouping.groups(at: level).position(of: group.number))
    let (up, down) = (reduce.schedule(for: inside), broadcast.schedule(for: inside))
    let parts = GroupColumns(grouping, at: level).chunkCount(of: [reduce, broadcast])
    let chunkCount = across.chunkCount * parts
    var program = ScheduleBuilder(.barrier, for: position, chunkCount: chunkCount)
    program.append(up, Embedding(ranks: { group[$0] }, chunks: cut(up.chunkCount, into: chunkCount)))
    if index == 0 {
      program.append(
        across,
        Embedding(ranks: { grouping.group($0, at: level)[0] }, chunks: { $0 * parts..<($0 + 1) * parts }, input: .output))
    }
    program.append(
      down, Embedding(ranks: { group[$0] }, chunks: cut(down.chunkCount, into: chunkCount), input: .output))
    return program.finish()
  }

  /// Messages of the inner algorithms carry nothing here.
  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let columns = GroupColumns(grouping, at: level)
    let members = columns.largestGroup
    var cost = AlgorithmCost.composed(
      across: barrier.cost(for: grouping.groups(at: level)), columnCount: 1,
      inside: [reduce.cost(for: members), broadcast.cost(for: members)], columns)
    for level in (cost?.levels ?? []).indices {
      cost?.levels[level].volume = 0
      cost?.levels[level].totalVolume = 0
    }
    return cost
  }
}
