import Testing
import TuttiAlgorithms
import TuttiSchedule

@testable import TuttiChoice

/// What is read from the programs of some ranks, against the programs of all.
@Suite struct TrafficTests {
  private static let shapes = [
    Hosts(2, by: 2), Hosts(4, by: 2), Hosts(2, by: 4), Hosts(8, by: 4), Hosts(3, by: 3), Hosts(5, by: 8),
  ]

  /// Exits and messages by level, counted on every rank.
  private func whole(_ algorithm: any Algorithm, _ grouping: Grouping) -> (exits: [Double], messages: [Double]) {
    let representatives = Representatives(grouping)
    let levels = 0..<grouping.levelCount
    let traffic = (0..<grouping.rankCount).map {
      RankTraffic(
        algorithm.schedule(for: grouping.position(of: $0)), representatives, levelCount: grouping.levelCount)
    }
    let exits = levels.dropLast().map { level in
      (0..<grouping.groupCount(at: level + 1)).map { number in
        let members = grouping.group(number, at: level + 1).map { traffic[$0] }
        func sum(_ value: (RankTraffic.Level) -> Double) -> Double {
          members.reduce(0) { $0 + $1.levels[...level].reduce(0) { $0 + value($1) } }
        }
        return max(sum(\.sent), sum(\.received))
      }.max() ?? 0
    }
    return (exits, levels.map { level in Double(traffic.map { $0.levels[level].messages }.max() ?? 0) })
  }

  private func read(_ algorithm: any Algorithm, _ grouping: Grouping) -> Traffic? {
    guard algorithm.isDefined(for: grouping), let cost = algorithm.cost(for: grouping) else { return nil }
    return Traffic(algorithm, cost, grouping, Representatives(grouping), hostLevel: 1)
  }

  private func expectEqual(_ algorithm: any Algorithm, _ grouping: Grouping, _ shape: String) {
    guard let traffic = read(algorithm, grouping) else { return }
    let whole = whole(algorithm, grouping)
    let label = "\(algorithm.collective.name) \(algorithm.name), \(shape)"
    for level in traffic.levels.indices {
      #expect(traffic.levels[level].messages == whole.messages[level], "\(label), level \(level)")
      if level < whole.exits.count {
        #expect(abs(traffic.levels[level].exit - whole.exits[level]) < 1e-9, "\(label), level \(level)")
      }
    }
  }

  @Test(arguments: shapes, [false, true]) func fewRanksAreReadOneAndAll(_ shape: Hosts, _ isRoundRobin: Bool) throws {
    let grouping = try Hosts(shape.hosts, by: shape.ranks, isRoundRobin: isRoundRobin).grouping()
    for algorithm in everything { expectEqual(algorithm, grouping, "\(shape)") }
  }

  /// Of 16 x 8 ranks 40 are read, of the rings of 40 x 4, 3.
  @Test(arguments: [Hosts(16, by: 8), Hosts(40, by: 4)], [false, true])
  func someRanksStandForAll(_ shape: Hosts, _ isRoundRobin: Bool) throws {
    let grouping = try Hosts(shape.hosts, by: shape.ranks, isRoundRobin: isRoundRobin).grouping()
    #expect(Representatives(grouping).members(for: try program(of: "binomial", grouping)).count < grouping.rankCount / 2)
    let names: Set = ["ring", "ring-2", "two-shot", "one-shot", "recursive-doubling", "hierarchical", "leader", "direct"]
    for algorithm in everything where names.contains(algorithm.name) && algorithm.collective != .barrier {
      // Hosts whose number is no power of two fold their ranks unevenly.
      if shape.hosts == 40, algorithm.name == "recursive-doubling" || algorithm.name == "leader" { continue }
      expectEqual(algorithm, grouping, "\(shape)")
    }
  }

  /// Racks of hosts of ranks: a rank on the border of a rack is one of many.
  @Test func ringsLeaveARackOnce() throws {
    let (racks, hosts, ranks) = (3, 5, 6)
    let grouping = try Grouping([
      (0..<racks * hosts * ranks).map { $0 / (hosts * ranks) }, (0..<racks * hosts * ranks).map { $0 / ranks },
    ])
    let ring = try #require(AlgorithmRegistry.algorithm(.allReduce, named: "ring"))
    let traffic = try #require(read(ring, grouping))
    let share = 2 * Double(grouping.rankCount - 1) / Double(grouping.rankCount)
    #expect(abs(traffic.levels[0].exit - share) < 1e-9)
    #expect(abs(traffic.levels[1].exit - share) < 1e-9)
    #expect(abs(traffic.levels[2].volume - share) < 1e-9)
    expectEqual(ring, grouping, "racks")
    // Each rank read stands for others of its rack.
    expectEqual(TwoShotAllReduce(), grouping, "racks")
  }

  private func program(of name: String, _ grouping: Grouping) throws -> Schedule {
    try #require(AlgorithmRegistry.algorithm(.allReduce, named: name)).schedule(for: grouping.position(of: 0))
  }

  // MARK: Rounds

  @Test(arguments: [
    // A ring's data crosses from host to host twice, not at each of its 14 rounds.
    ("ring", false, 3.5), ("ring", true, 14), ("recursive-doubling", false, 1), ("recursive-doubling", true, 1),
    ("binomial", false, 2), ("two-shot", false, 2), ("one-shot", true, 1), ("hierarchical", false, 2), ("leader", true, 1),
  ]) func roundsFallOnLevels(_ name: String, _ isRoundRobin: Bool, _ across: Double) throws {
    let grouping = try Hosts(2, by: 4, isRoundRobin: isRoundRobin).grouping()
    let algorithm = try #require(everything.first { $0.collective == .allReduce && $0.name == name })
    let traffic = try #require(read(algorithm, grouping))
    #expect(abs(traffic.levels[0].rounds - across) < 1e-9)
    let all = try #require(algorithm.cost(for: grouping)).levels.reduce(0) { $0 + $1.rounds }
    #expect(traffic.levels.reduce(0) { $0 + $1.rounds } <= Double(all))
  }

  /// Both say what a composition sends at each level, if all groups are equal. Costs add up what phases send, so that the
  /// leaders' two directions are one after the other there.
  @Test(arguments: shapes) func compositionsCostWhatIsRead(_ shape: Hosts) throws {
    let grouping = try shape.grouping()
    for algorithm in compositions where algorithm.name.hasPrefix("hierarchical") {
      let traffic = try #require(read(algorithm, grouping))
      let cost = try #require(algorithm.cost(for: grouping))
      #expect(cost.levels.count == 2)
      for (own, read) in zip(cost.levels, traffic.levels) {
        #expect(Double(own.messages) == read.messages, "\(algorithm.name), \(shape)")
        #expect(abs(own.volume - read.volume) < 1e-9, "\(algorithm.name), \(shape)")
      }
    }
  }

  @Test func barriersCarryNothing() throws {
    let grouping = try Hosts(4, by: 2).grouping()
    for algorithm in everything where algorithm.collective == .barrier {
      let traffic = try #require(read(algorithm, grouping))
      #expect(traffic.levels.allSatisfy { $0.volume == 0 && $0.exit == 0 } && traffic.combined == 0)
      #expect(traffic.levels[0].messages > 0)
    }
  }
}
