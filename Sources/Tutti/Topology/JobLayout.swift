// Which ranks belong together: from a description of the network, or from what the ranks of a job know of one another.

import TuttiChoice
import TuttiSchedule
import TuttiSystem
import TuttiTopology

/// The groups of a communicator's ranks, level by level, and what is known of the way between them. Equal on all ranks.
///
/// Ranks split from others keep what is known of them.
struct JobLayout: Sendable {
  /// A level of groups inside of all ranks.
  struct Level: Sendable {
    /// `host`, or what a description has: `region`, `leaf`, `socket`...
    let name: String
    /// By rank: a number, equal for the ranks of one group.
    var numbers: [Int]
  }

  let levels: [Level]
  let grouping: Grouping
  /// What was described; nil where the ranks know only of one another.
  let topology: Topology?
  /// What the description says of each step: from group to group of each level, then from rank to rank inside the innermost.
  /// Empty without one.
  let figures: [LevelFigures]
  /// By rank: the host of the description; empty without one.
  private let hosts: [Int32]
  /// Whether the numbers of groups say in which order they come; otherwise the one with the lowest rank comes first.
  private let isInTour: Bool
  /// The hash of the description, where it is one of these very ranks; otherwise that of the groups.
  let hash: String

  /// - Parameters:
  ///   - rankCount: At least 1.
  ///   - levels: The outermost first; each divides the groups of the one before.
  ///   - isInTour: Whether groups come in the order of their numbers.
  ///   - isWhole: Whether the ranks are all those of the description.
  private init(
    rankCount: Int, levels: [Level], topology: Topology? = nil, figures: [LevelFigures] = [], hosts: [Int32] = [],
    isInTour: Bool = false, isWhole: Bool = true
  ) {
    self.hosts = hosts
    self.isInTour = isInTour
    self.topology = topology
    var used: [Int] = []
    var groupCount = 1
    // The step inside the innermost groups: the last one, or the one to the level whose groups are one rank each.
    var innermost = levels.count
    for (index, level) in levels.enumerated() {
      let count = Set(level.numbers).count
      // A level that divides nothing is none: nobody goes from group to group of it.
      if count == groupCount { continue }
      if count == rankCount {
        innermost = index
        break
      }
      groupCount = count
      used.append(index)
    }
    self.levels = used.map { levels[$0] }
    self.figures = figures.count == levels.count + 1 ? (used + [innermost]).map { figures[$0] } : []
    hash = isWhole ? topology?.hash ?? Self.hash(self.levels, rankCount) : Self.hash(self.levels, rankCount)
    guard !used.isEmpty else {
      grouping = Grouping(rankCount: rankCount)
      return
    }
    do throws(GroupingError) { grouping = try Grouping(self.levels.map(\.numbers), inOrderOfNumbers: isInTour) } catch {
      preconditionFailure("the levels of a topology divide one another: \(error)")
    }
  }

  private static func hash(_ levels: [Level], _ rankCount: Int) -> String {
    var hash = ContentHash()
    hash.combine("tutti groups 1")
    hash.combine(rankCount)
    for level in levels {
      hash.combine(level.name)
      for number in level.numbers { hash.combine(number) }
    }
    return hash.text
  }

  /// Lays out ranks of one process: only a description puts them into groups.
  ///
  /// - Throws: `.configuration` where it has another number of ranks.
  init(_ topology: Topology?, rankCount: Int) throws(FailureReport) {
    guard let topology else {
      self.init(rankCount: rankCount, levels: [])
      return
    }
    try self.init(topology, ofAll: rankCount)
  }

  /// Lays out ranks on hosts: as they are described, or else by what they know of each other.
  ///
  /// - Parameter hosts: By rank.
  /// - Throws: `.configuration`, the same on all ranks, where the description is of another job.
  init(_ topology: Topology?, hosts: [HostIdentity]) throws(FailureReport) {
    guard let topology else {
      self.init(hosts: hosts)
      return
    }
    try self.init(topology, ofAll: hosts.count)
    try Self.check(topology, hosts)
  }

  /// Refuses a description that puts ranks on one host although they run on several. The reverse is no mistake: a test
  /// describes several hosts, and runs on one.
  private static func check(_ topology: Topology, _ hosts: [HostIdentity]) throws(FailureReport) {
    var first: [Int: Int] = [:]
    for rank in hosts.indices {
      let host = topology.location(of: rank).host
      guard let other = first[host] else {
        first[host] = rank
        continue
      }
      if hosts[other] != hosts[rank] {
        throw FailureReport(
          .configuration,
          "topology \(topology.name) has ranks \(other) and \(rank) on host \(topology.hostName(host)), "
            + "but they run on \(hosts[other].name) and \(hosts[rank].name)",
          advice: "Describe how ranks are numbered over the hosts (placement, in docs/TOPOLOGIES.md), "
            + "or start them as the file says")
      }
    }
  }

  private init(hosts: [HostIdentity]) {
    var numbers: [HostIdentity: Int] = [:]
    let level = hosts.map { host in
      let number = numbers[host] ?? numbers.count
      numbers[host] = number
      return number
    }
    self.init(rankCount: hosts.count, levels: [Level(name: "host", numbers: level)])
  }

  private init(_ topology: Topology, ofAll rankCount: Int) throws(FailureReport) {
    guard topology.rankCount == rankCount else {
      throw FailureReport(
        .configuration, "topology \(topology.name) has \(topology.rankCount) ranks, this job \(rankCount)",
        advice: "Describe the job's own hosts, with as many ranks on each as are started there")
    }
    let levels = topology.levels.map { Level(name: $0.name, numbers: $0.numbers) }
    let tour = GroupTour(topology, levels.map(\.numbers))
    self.init(
      rankCount: rankCount, levels: zip(levels, tour.levels).map { Level(name: $0.name, numbers: $1) }, topology: topology,
      figures: topology.levelFigures, hosts: topology.placement.hosts, isInTour: tour.isShorter)
  }

  /// The ranks of each of the innermost groups; empty where all ranks are one group.
  var innermostGroups: [RankGroup] {
    let level = grouping.levelCount - 1
    return level == 0 ? [] : (0..<grouping.groupCount(at: level)).map { grouping.group($0, at: level) }
  }

  /// What messages cost at each level of the groups, for the automatic choice.
  ///
  /// - Parameters:
  ///   - outer: The slowest medium of all; where nothing is described, that between hosts.
  ///   - inner: The slowest medium inside the innermost groups.
  ///   - processors: How many ranks can run at the same time on the machine with room for the fewest.
  ///   - hostProcessors: How many processors a host has for its ranks.
  ///   - profile: What is known of the machines.
  func terms(
    outer: Medium, inner: Medium, processors: Int, hostProcessors: Double,
    profile: TuningProfile = .generic
  ) -> ChoiceTerms {
    if Set(hosts).count > 1, !figures.isEmpty {
      return ChoiceTerms(
        DescribedRanks(levels: levels.map(\.numbers), figures: figures, hosts: hosts, hostProcessors: hostProcessors),
        profile)
    }
    // The ranks of one host share what the table of the medium was fitted on, whatever groups they are in.
    let isOneHost = outer == .sharedMemory || outer == .loopback
    if isOneHost {
      let facts = JobFacts(levels: [.init(name: "rank", medium: outer)], processors: processors)
      return ChoiceTerms(facts, profile)
    }
    var steps = levels.map { JobFacts.Level(name: $0.name, medium: outer) }
    steps.append(JobFacts.Level(name: "rank", medium: levels.isEmpty ? outer : inner))
    return ChoiceTerms(JobFacts(levels: steps, processors: processors, hostProcessors: hostProcessors), profile)
  }

  /// What is known of some of the ranks, in the order of their new numbers.
  func restricted(to ranks: [Int]) -> JobLayout {
    let own = levels.map { level in Level(name: level.name, numbers: ranks.map { level.numbers[$0] }) }
    let isWhole = topology.map { ranks.elementsEqual(0..<$0.rankCount) } ?? true
    return JobLayout(
      rankCount: ranks.count, levels: own, topology: topology, figures: figures,
      hosts: hosts.isEmpty ? [] : ranks.map { hosts[$0] }, isInTour: isInTour, isWhole: isWhole)
  }
}
