// What rounds, messages and bytes cost on a described network: its own figures, and for what it does not say, those of the
// media that resemble it.

import TuttiTopology

/// Ranks in the groups of a described network, all of it or a part.
package struct DescribedRanks {
  /// By level inside of all ranks, the outermost first, and by rank: a number, equal for the ranks of one group.
  let levels: [[Int]]
  /// What it costs to go from group to group of each level, and last from rank to rank inside the innermost.
  let figures: [LevelFigures]
  /// By rank: the host.
  let hosts: [Int32]
  /// How many processors a host has for its ranks; nil for one each.
  let hostProcessors: Double?

  package init(levels: [[Int]], figures: [LevelFigures], hosts: [Int32], hostProcessors: Double? = nil) {
    self.hostProcessors = hostProcessors
    self.levels = levels
    self.figures = figures
    self.hosts = hosts
  }

  /// The level whose groups are hosts, among all ranks and then ``levels``: 0 where all ranks are on one host, and one
  /// beyond the last where each rank has its own.
  fileprivate var hostLevel: Int {
    if hosts.allSatisfy({ $0 == hosts[0] }) { return 0 }
    let onOneHost = levels.firstIndex { numbers in
      var known: [Int: Int32] = [:]
      for (rank, number) in numbers.enumerated() {
        if known.updateValue(hosts[rank], forKey: number) ?? hosts[rank] != hosts[rank] { return false }
      }
      return true
    }
    return (onOneHost ?? levels.count) + 1
  }
}

extension ChoiceTerms {
  /// A message that arrives sooner, in seconds, has not been through a kernel.
  private static let kernelSeconds = 5e-6
  /// What a rank takes to see a message and to act on it.
  private static let engineMicroseconds = 1.0

  /// Takes the terms of a described network, whose ranks are in the groups of its `levels`.
  ///
  /// Latencies, bandwidths and what leaves a group come from the description. It does not say what keeps processors busy:
  /// a message costs what it does over TCP where the description's latencies are a kernel's, and what it does over RDMA
  /// elsewhere; inside a host a rank copies as fast as one core does. Each rank has a processor of its own.
  package init(_ topology: Topology, _ profile: TuningProfile = .generic) {
    self.init(
      DescribedRanks(
        levels: topology.levels.map(\.numbers), figures: topology.levelFigures, hosts: topology.placement.hosts),
      profile)
  }

  /// Takes the terms of some ranks of a described network.
  package init(_ ranks: DescribedRanks, _ profile: TuningProfile = .generic) {
    let (figures, hostLevel) = (ranks.figures, ranks.hostLevel)
    let hosts = Set(ranks.hosts).count
    let ranksPerHost = (ranks.hosts.count + hosts - 1) / hosts
    let hostProcessors = min(Double(ranksPerHost), ranks.hostProcessors ?? .infinity)
    let terms = figures.enumerated().map { index, level -> LevelTerms in
      if index < hostLevel { return Self.across(level, hostProcessors: hostProcessors, profile) }
      // Each innermost group of a host has memory of its own.
      let memories = index > 0 ? max(1, Set(ranks.levels[index - 1]).count / hosts) : 1
      return Self.inside(level, memories: index == figures.count - 1 ? memories : nil, profile)
    }
    guard terms.isEmpty else {
      self.init(model: .levels(terms), processors: max(1, Int(hostProcessors)), hostLevel: hostLevel)
      return
    }
    // A rank alone sends nothing.
    self.init(
      model: .oneMedium(.sharedMemory, profile.terms(of: .sharedMemory)), processors: 1, hostLevel: 0)
  }

  /// What carries the messages of a level from host to host, as far as its latency tells.
  private static func medium(_ level: LevelFigures) -> Medium {
    level.latency.seconds < kernelSeconds ? .rdma : .network
  }

  /// The slowest medium that carries messages of the ranks of a described network.
  package static func medium(of topology: Topology) -> Medium {
    topology.hostCount == 1 ? .sharedMemory : topology.levelFigures.first.map(medium) ?? .network
  }

  /// The terms of a level whose messages go from host to host.
  private static func across(_ level: LevelFigures, hostProcessors: Double, _ profile: TuningProfile) -> LevelTerms {
    let kind = medium(level)
    let medium = profile.terms(of: kind)
    let byte = MediumTerms.byte(bitsPerSecond: Double(level.bandwidth.bitsPerSecond))
    return LevelTerms(
      name: level.name, round: level.latency.seconds * 1e6 + engineMicroseconds, message: medium.message,
      sharedMessage: profile.hostMessage(kind) / hostProcessors,
      byte: byte, exitByte: level.exit.map { MediumTerms.byte(bitsPerSecond: Double($0.bitsPerSecond)) } ?? 0,
      sharedByte: 0, copyByte: 0, firstByte: byte)
  }

  /// The terms of a level whose messages stay in a host.
  ///
  /// - Parameter memories: How many memories of this bandwidth the ranks of a host share; nil where others are in the way.
  private static func inside(_ level: LevelFigures, memories: Int?, _ profile: TuningProfile) -> LevelTerms {
    let shared = profile.terms(of: .sharedMemory)
    let byte = 1e6 / level.bandwidth.bytesPerSecond
    return LevelTerms(
      name: level.name, round: level.latency.seconds * 1e6 + engineMicroseconds, message: shared.message, sharedMessage: 0,
      byte: byte, exitByte: level.exit.map { 1e6 / $0.bytesPerSecond } ?? 0,
      sharedByte: memories.map { byte / Double($0) } ?? 0, copyByte: shared.anyByte, firstByte: max(byte, shared.anyByte))
  }
}
