/// A rank's position in the job, which is all that an algorithm is told.
///
/// Two machine words and a reference to the ``Grouping`` that all positions of a communicator share: making one costs
/// nothing that grows with the number of ranks.
public struct Position: Sendable {
  /// Whose position it is, in `0..<rankCount`.
  public let rank: Int
  /// The root, in `0..<rankCount`; 0, and without meaning, for collectives that have none.
  public let root: Int
  /// All ranks, in groups.
  public let grouping: Grouping

  init(rank: Int, root: Int, grouping: Grouping) {
    precondition((0..<grouping.rankCount).contains(rank), "rank \(rank) of \(grouping.rankCount)")
    precondition((0..<grouping.rankCount).contains(root), "root \(root) of \(grouping.rankCount) ranks")
    self.rank = rank
    self.root = root
    self.grouping = grouping
  }

  /// The position of a rank where no groups are known.
  ///
  /// - Parameters:
  ///   - rank: In `0..<rankCount`.
  ///   - rankCount: At least 1.
  ///   - root: In `0..<rankCount`.
  public static func flat(rank: Int, rankCount: Int, root: Int = 0) -> Position {
    Grouping(rankCount: rankCount).position(of: rank, root: root)
  }

  /// How many ranks there are.
  public var rankCount: Int { grouping.rankCount }
  /// How many levels there are; level 0 is one group of all ranks.
  public var levelCount: Int { grouping.levelCount }

  /// The group the rank is in, at a level.
  public func group(at level: Int) -> RankGroup { grouping.group(of: rank, at: level) }

  /// The rank's index among the members of that group.
  public func index(at level: Int) -> Int { group(at: level).index(of: rank)! }
}
