import Testing
import TuttiSchedule

@Suite struct GroupingTests {
  @Test("ranks of whom no groups are known are one group") func flat() {
    let position = Position.flat(rank: 3, rankCount: 5, root: 2)
    #expect(position.rank == 3 && position.rankCount == 5 && position.root == 2 && position.levelCount == 1)
    #expect(Array(position.group(at: 0)) == [0, 1, 2, 3, 4] && position.index(at: 0) == 3)
    #expect(position.grouping.groupCount(at: 0) == 1 && position.grouping.groupSizes(at: 0) == 5...5)
    #expect(position.group(at: 0).index(of: 5) == nil && position.group(at: 0).index(of: -1) == nil)
  }

  @Test("groups of any sizes, of ranks in any order") func uneven() throws {
    let grouping = try Grouping([[9, 4, 9, 4, 9, -1]])
    #expect(grouping.levelCount == 2 && grouping.groupCount(at: 1) == 3 && grouping.groupSizes(at: 1) == 1...3)
    #expect((0..<3).map { Array(grouping.group($0, at: 1)) } == [[0, 2, 4], [1, 3], [5]])
    #expect(Array(grouping.group(0, at: 0)) == [0, 2, 4, 1, 3, 5])
    #expect((0..<6).map { grouping.position(of: $0).index(at: 1) } == [0, 0, 1, 1, 2, 0])
    #expect((0..<6).map { grouping.group(of: $0, at: 1).number } == [0, 1, 0, 1, 0, 2])
    #expect(grouping.group(0, at: 1).index(of: 3) == nil)
  }

  @Test("groups come in the order of their numbers where that is asked for") func ordered() throws {
    let grouping = try Grouping([[9, 4, 9, 4, 9, -1]], inOrderOfNumbers: true)
    #expect((0..<3).map { Array(grouping.group($0, at: 1)) } == [[5], [1, 3], [0, 2, 4]])
    #expect(!grouping.isInRankOrder && grouping.groupSizes(at: 1) == 1...3)
    let nested = try Grouping([[1, 0, 1, 0], [3, 1, 2, 0]], inOrderOfNumbers: true)
    #expect((0..<4).map { nested.rank(at: $0) } == [3, 1, 2, 0])
    #expect(nested.groups(at: 2).groupCount(at: 1) == 2)
    #expect(Array(nested.members(of: nested.group(1, at: 1)).group(0, at: 0)) == [0, 1])
    #expect(throws: GroupingError.self) { try Grouping([[0, 1, 0], [5, 5, 6]], inOrderOfNumbers: true) }
  }

  @Test("levels within levels are contiguous") func nested() throws {
    let racks = [0, 1, 0, 1, 0, 1, 0, 1]
    let hosts = [0, 1, 2, 3, 0, 1, 2, 3]
    let grouping = try Grouping([racks, hosts])
    #expect(Array(grouping.group(0, at: 0)) == [0, 4, 2, 6, 1, 5, 3, 7])
    #expect((0..<2).map { Array(grouping.group($0, at: 1)) } == [[0, 4, 2, 6], [1, 5, 3, 7]])
    #expect((0..<4).map { Array(grouping.group($0, at: 2)) } == [[0, 4], [2, 6], [1, 5], [3, 7]])
    #expect(grouping.position(of: 6).index(at: 1) == 3 && grouping.position(of: 6).index(at: 2) == 1)
  }

  @Test("what is no grouping is refused") func refusals() {
    #expect(throws: GroupingError.noRanks) { try Grouping([]) }
    #expect(throws: GroupingError.noRanks) { try Grouping([[]]) }
    #expect(throws: GroupingError.unequalLengths(level: 2, found: 1, expected: 2)) { try Grouping([[0, 0], [0]]) }
    // Ranks 0 and 1 share a host, but no rack.
    let crossing = #expect(throws: GroupingError.self) { try Grouping([[0, 1, 0], [5, 5, 6]]) }
    #expect(crossing == .crossingGroups(level: 2, number: 5, ranks: 0, 1))
    #expect(crossing?.description.contains("ranks 0 and 1") == true)
  }

  @Test("65,536 ranks and more share one table") func many() throws {
    let rankCount = 1 << 17
    let grouping = try Grouping([(0..<rankCount).map { $0 % 1024 }])
    for rank in [0, 1, 65_535, 65_536, rankCount - 1] {
      let position = grouping.position(of: rank, root: rankCount - 1)
      #expect(position.root == rankCount - 1 && position.group(at: 1).count == 128)
      #expect(position.group(at: 1)[position.index(at: 1)] == rank)
      #expect(position.group(at: 1).number == rank % 1024)
    }
    #expect(MemoryLayout<Position>.size <= 24)
  }
}
