import TuttiSchedule

/// A reduce over groups of ranks by leaders, composed of any two: inside each group to its leader, then from the leaders
/// to the root. The mirror image of ``LeaderBroadcast``.
public struct LeaderReduce: Algorithm {
  public let name: String
  public var collective: Collective { .reduce }
  private let level: Int
  private let inside: any Algorithm
  private let across: any Algorithm

  /// - Parameters:
  ///   - level: The level whose groups are meant, from 1 on.
  ///   - inside: The reduce inside.
  ///   - across: The reduce across.
  public init(name: String, level: Int = 1, inside: any Algorithm, across: any Algorithm) {
    precondition(inside.collective == .reduce && across.collective == .reduce, "\(name) is composed of two reduces")
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
    var program = ScheduleBuilder(.reduce, for: position, chunkCount: chunkCount, scratchCount: 1)
    let isAlone = leaders.groups.rankCount == 1
    // What a leader has of its group; only the root has an output.
    let sums = isAlone ? Buffer.output : .scratch(0)
    program.append(
      inside,
      Embedding(
        ranks: { leaders.group[$0] }, chunks: cut(inside.chunkCount, into: chunkCount), output: sums, completes: isAlone))
    if let position = leaders.positionAcross, !isAlone {
      program.append(
        across.schedule(for: position),
        Embedding(ranks: leaders.leader, chunks: { $0 * parts..<($0 + 1) * parts }, input: sums, completes: true))
    }
    return program.finish()
  }

  /// The outer algorithm's cost and the inner one's, of the largest group.
  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let columns = GroupColumns(grouping, at: level)
    return .composed(
      across: across.cost(for: grouping.groups(at: level)), columnCount: 1,
      inside: [inside.cost(for: columns.largestGroup)], columns)
  }

  /// The trees of the groups' members, and over them the one across.
  public func foldTree(of operands: [FoldTree], in grouping: Grouping) -> FoldTree? {
    GroupColumns(grouping, at: level).foldTree(of: operands, inside: inside, across: across)
  }
}
