import TuttiSchedule

/// The ranks whose programs are read, and what each of them stands for.
///
/// In a small job they are all ranks. In a large one that would take too long, and they are ranks of three groups of each
/// level: the first, where trees have their roots; one in the middle; and the last, whose ranks reach out of the group
/// around it where the first's do not. Of an innermost group they are eight ranks. They are the same on all ranks.
///
/// Programs that grow with the number of ranks, as those of rings and direct algorithms, are alike on all ranks but a root:
/// of these, fewer are read.
struct Representatives {
  struct Member {
    let rank: Int
    /// By level: how many ranks of its group at that level it stands for.
    var weights: [Double]
    /// By level: the number of its group.
    let groups: [Int]
  }

  private let many: [Member]
  private let few: [Member]
  /// By level from 1 on, then rank: the number of the group that the rank is in.
  private let numbers: [[Int32]]

  /// In jobs of up to this many ranks, the programs of all are read.
  private static let allMax = 64
  private static let innermostMax = 8
  /// A program with more steps, or with more ranges of chunks in its messages, grows with the number of ranks.
  private static let stepsMax = 256
  private static let rangesMax = 1024

  init(_ grouping: Grouping) {
    numbers = (0..<grouping.levelCount).dropFirst().map { level in
      var numbers = [Int32](repeating: 0, count: grouping.rankCount)
      for number in 0..<grouping.groupCount(at: level) {
        for rank in grouping.group(number, at: level) { numbers[rank] = Int32(number) }
      }
      return numbers
    }
    let all = grouping.group(0, at: 0)
    many = Representatives.members(of: all, grouping, groups: [0], reads: .many)
    few = Representatives.members(of: all, grouping, groups: [0], reads: .few)
  }

  /// The ranks whose programs are read, for an algorithm whose program for rank 0 is this one.
  func members(for program: Schedule) -> [Member] {
    program.stepCount > Self.stepsMax || program.ranges.count > Self.rangesMax ? few : many
  }

  /// The level that a message between two ranks crosses.
  func crossing(_ a: Int, _ b: Int) -> Int {
    var level = 0
    while level < numbers.count, numbers[level][a] == numbers[level][b] { level += 1 }
    return level
  }

  private enum Reads { case many, few }

  private static func members(
    of group: RankGroup, _ grouping: Grouping, groups: [Int], reads: Reads
  ) -> [Member] {
    let isSmall = grouping.rankCount <= allMax
    let inner = group.level + 1
    guard inner < grouping.levelCount else {
      return sample(group.count, most: isSmall ? allMax : reads == .many ? innermostMax : 3).map { index, weight in
        Member(rank: group[index], weights: Array(repeating: weight, count: groups.count), groups: groups)
      }
    }
    // Groups of a level are numbered so that those of one outer group follow one another.
    let first = grouping.group(of: group[0], at: inner).number
    let count = grouping.group(of: group[group.count - 1], at: inner).number - first + 1
    let chosen =
      group.level > 0 || isSmall
      ? sample(count, most: isSmall ? allMax : 3) : reads == .many ? outermost(grouping, count) : [(0, Double(count))]
    return chosen.flatMap { index, weight in
      members(of: grouping.group(first + index, at: inner), grouping, groups: groups + [first + index], reads: reads).map {
        member in
        var member = member
        for level in 0...group.level { member.weights[level] *= weight }
        return member
      }
    }
  }

  /// The first two groups, where trees have their roots; one in the middle; the last; the first of the largest ones.
  /// There is no group around them to reach out of, so that each may stand for as many as the others.
  private static func outermost(_ grouping: Grouping, _ count: Int) -> [(index: Int, weight: Double)] {
    let most = grouping.groupSizes(at: 1).upperBound
    let largest = (0..<count).first { grouping.group($0, at: 1).count == most } ?? 0
    let chosen = Set([0, min(1, count - 1), count / 2, count - 1, largest]).sorted()
    return chosen.map { ($0, Double(count) / Double(chosen.count)) }
  }

  /// At most `most` of so many in a row. The first and the last stand for themselves, those between them for all the others.
  private static func sample(_ count: Int, most: Int) -> [(index: Int, weight: Double)] {
    guard count > most else { return (0..<count).map { ($0, 1) } }
    let between = most - 2
    return [(0, 1)]
      + (1...between).map { (1 + ($0 * 2 - 1) * (count - 2) / (between * 2), Double(count - 2) / Double(between)) }
      + [(count - 1, 1)]
  }
}
