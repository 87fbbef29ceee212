import TuttiSystem
import TuttiTransport
import TuttiTopology
import Testing

@testable import TuttiBootstrap

/// Who competes with whom, who gets which processors, and `TUTTI_CPU_AFFINITY`.
@Suite struct CPUAffinityTests {
  // MARK: Load

  struct Load: Sendable, CustomTestStringConvertible {
    /// What each rank may use: a list, and the quota of its group, as `0-3`, `0-3 2@7`.
    let ranks: [String]
    let running: Int
    var testDescription: String { ranks.joined(separator: " | ") }
  }

  static let loads: [Load] = [
    Load(ranks: ["0"], running: 1), Load(ranks: ["0-1", "0-1"], running: 2),
    // One processor for both, as under taskset; one for each, as a launcher binds.
    Load(ranks: ["0", "0"], running: 1), Load(ranks: ["0", "1"], running: 2),
    Load(ranks: ["0-1", "0-1", "0-1", "0-1"], running: 2), Load(ranks: ["0-3", "0-3", "4-7", "4-7"], running: 4),
    // Two are bound to one, however many there are besides.
    Load(ranks: ["0", "0", "0-63"], running: 2), Load(ranks: ["0-1", "0-1", "0-1", "0-7", "0-7"], running: 4),
    Load(ranks: ["0", "1", "0-1"], running: 2), Load(ranks: ["0", "1", "0-2"], running: 3),
    // A quota is shared within a group; each container has its own.
    Load(ranks: Array(repeating: "0-63 2@7", count: 4), running: 2), Load(ranks: ["0-63 2@7", "0-63 2@7"], running: 2),
    Load(ranks: (1...4).map { "0-63 1@\($0)" }, running: 4),
    Load(ranks: ["0-63 1@7", "0-63 1@7", "0-63", "0-63"], running: 3),
    Load(ranks: ["0 9@1", "0 9@1"], running: 1),
  ]

  @Test(arguments: loads) func load(_ example: Load) {
    let allowances = example.ranks.map { text in
      let parts = text.split { " @".contains($0) }.map(String.init)
      let quota =
        parts.count == 1
        ? nil
        : ProcessorQuota(quotaMicroseconds: UInt64(parts[1])! * 1000 - 1, periodMicroseconds: 1000, group: UInt64(parts[2])!)
      return ProcessorAllowance(inherited: processors(parts[0]), quota: quota)
    }
    let load = HostLoad(allowances)
    #expect(load.ranks == example.ranks.count && load.running == example.running)
    #expect(load.isOversubscribed == (example.running < example.ranks.count))
    #expect(HostLoad(allowances.reversed()) == load)
  }

  // MARK: Division

  struct Division: Sendable, CustomTestStringConvertible {
    var nodes: [String] = []
    var cores: [String] = []
    let mask: String
    let shares: [String]
    var testDescription: String { "\(mask) among \(shares.count) on \(nodes) \(cores)" }

    var topology: ProcessorTopology {
      ProcessorTopology(
        nodes: nodes.enumerated().map { .init(number: $0, processors: processors($1), hasMemory: true) },
        cores: cores.map(processors))
    }
  }

  static let twoNodes = ["0-3,8-11", "4-7,12-15"]
  static let twoThreads = (0..<8).map { "\($0),\($0 + 8)" }
  static let divisions: [Division] = [
    Division(mask: "0-1", shares: ["0", "1"]), Division(mask: "0-7", shares: ["0-7"]),
    Division(mask: "0-7", shares: ["0-1", "2-4", "5-7"]), Division(mask: "1,3,5,7", shares: ["1,3", "5,7"]),
    Division(mask: "0-6", shares: ["0-2", "3-6"]),
    // Nodes first, then cores.
    Division(nodes: twoNodes, cores: twoThreads, mask: "0-15", shares: twoNodes),
    Division(nodes: twoNodes, cores: twoThreads, mask: "0-15", shares: ["0-1,8-9", "2-3,10-11", "4-5,12-13", "6-7,14-15"]),
    Division(nodes: twoNodes, cores: twoThreads, mask: "0-15", shares: ["0-1,8-9", "2-3,10-11", "4-7,12-15"]),
    Division(
      nodes: twoNodes, cores: twoThreads, mask: "0-15", shares: ["0,8", "1,9", "2-3,10-11", "4-5,12-13", "6-7,14-15"]),
    // Where there are fewer cores than ranks, siblings part.
    Division(cores: ["0,2", "1,3"], mask: "0-3", shares: ["0", "2", "1,3"]),
    Division(cores: ["0,2", "1,3"], mask: "0-3", shares: ["0", "2", "1", "3"]),
    Division(cores: ["0,2", "1,3"], mask: "0-3", shares: ["0,2", "1,3"]),
    // The mask leaves out a node, most of one, a sibling, all that has a node.
    Division(nodes: twoNodes, cores: twoThreads, mask: "4-7", shares: ["4-5", "6-7"]),
    Division(nodes: twoNodes, cores: twoThreads, mask: "0-3,8-11,4-5,12-13", shares: ["0-1,8-9", "2-3,10-11", "4-5,12-13"]),
    Division(nodes: ["0-5", "6-7"], mask: "0-7", shares: ["0-1", "2-3", "4-5", "6-7"]),
    Division(nodes: ["0-7", "8"], mask: "0-8", shares: ["0-3", "4-7"]),
    Division(cores: ["0,8", "1"], mask: "0-1,8", shares: ["0,8", "1"]),
    Division(nodes: twoNodes, mask: "40-43", shares: ["40-41", "42-43"]),
    // More nodes than ranks: whole nodes.
    Division(nodes: ["0-1", "2-3", "4-5", "6-7"], mask: "0-7", shares: ["0-3", "4-7"]),
    Division(nodes: ["0-1", "2-3", "4-5", "6-7"], mask: "0-7", shares: ["0-1", "2-3", "4-7"]),
    Division(nodes: ["0-1", "", "2-3"], mask: "0-3", shares: ["0-1", "2-3"]),
  ]

  @Test(arguments: divisions) func divides(_ example: Division) {
    let shares = example.topology.divide(processors(example.mask), among: example.shares.count)
    #expect(shares.map(\.description) == example.shares.map { processors($0).description })
  }

  /// On any machine: a share for every rank, none in common, none beyond the mask, equal on equal nodes, and no core or node
  /// cut without need.
  @Test func sharesAreSound() {
    let seed = SeededGenerator.seed()
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<600 {
      let nodeCount = Int.random(in: 1...5, using: &generator)
      let (coresEach, threads) = (Int.random(in: 1...9, using: &generator), Int.random(in: 1...2, using: &generator))
      let coreCount = nodeCount * coresEach
      let cores = (0..<coreCount).map { core in ProcessorSet((0..<threads).map { core + $0 * coreCount }) }
      let nodes = (0..<nodeCount).map { node in
        cores[node * coresEach..<(node + 1) * coresEach].reduce(ProcessorSet([])) { $0.union($1) }
      }
      let topology = ProcessorTopology(
        nodes: nodes.enumerated().map { .init(number: $0, processors: $1, hasMemory: true) }, cores: cores)
      let all = ProcessorSet(0..<coreCount * threads)
      let isWhole = Bool.random(using: &generator)
      let mask = isWhole ? all : ProcessorSet(all.numbers.filter { _ in Int.random(in: 0..<4, using: &generator) > 0 })
      if mask.isEmpty { continue }
      let ranks = Int.random(in: 1...mask.count, using: &generator)
      let shares = topology.divide(mask, among: ranks)
      let context: Comment = "seed \(seed): \(mask) among \(ranks), \(nodeCount) nodes of \(coresEach) cores of \(threads)"
      #expect(shares.count == ranks && shares.allSatisfy { !$0.isEmpty && $0.isSubset(of: mask) }, context)
      #expect(shares.map(\.count).reduce(0, +) == shares.reduce(ProcessorSet([])) { $0.union($1) }.count, context)
      let crossing = shares.filter { share in !nodes.contains { share.isSubset(of: $0) } }
      #expect(crossing.isEmpty || ranks < nodeCount, context)
      guard isWhole, ranks.isMultiple(of: nodeCount) else { continue }
      #expect(shares.map(\.count).reduce(0, +) == all.count, context)
      let perNode = ranks / nodeCount
      let unit = perNode <= coresEach ? threads : 1
      #expect(shares.map(\.count).max()! - shares.map(\.count).min()! <= unit, context)
      if unit == threads { #expect(shares.allSatisfy { $0.count.isMultiple(of: threads) }, context) }
    }
  }

  // MARK: The variable

  private func read(_ text: String?) throws(FailureReport) -> CPUAffinity {
    try CPUAffinity.read(text.map { [CPUAffinity.variable: $0] } ?? [:], processors: processors("0-3"))
  }

  @Test func values() throws {
    for text in [nil, "", "none"] { #expect(try read(text) == .inherited) }
    #expect(try read("auto") == .divided)
    #expect(try read("0-3") == .listed([processors("0-3")]))
    #expect(try read("0,1; 2-3") == .listed([processors("0-1"), processors("2-3")]))
    #expect(try read("0,1; 2-3").agreement == "0-1;2-3" && read(nil).agreement == "none" && read("auto").agreement == "auto")
  }

  @Test(arguments: ["garbage", "AUTO", "0;", ";", ";;0", "0;;1", "1-0", "-1", "0-", "0x1", "0:1", "auto;0", "0-3;none"])
  func malformed(text: String) throws {
    let report = #expect(throws: FailureReport.self) { try read(text) }
    #expect(report?.code == .configuration)
    #expect(
      report?.description.contains("TUTTI_CPU_AFFINITY=\"\(text)\"") == true && report?.advice.contains("0-3;4-7") == true)
  }

  @Test func numbersThatNoSetHolds() {
    let report = #expect(throws: FailureReport.self) { try read("0;0-9999") }
    #expect(report?.description.contains("names processor 9999 for this process, which may use 0-3 only") == true)
  }

  @Test func longTextsAreAgreedOnByDigest() throws {
    let long = (0..<200).map { "\(2 * $0)" }.joined(separator: ";")
    let agreement = try read(long).agreement
    #expect(agreement.utf8.count <= JoinRequest.settingBytesMax && agreement.hasPrefix("200 lists, digest "))
    #expect(try read(long + ";1").agreement != agreement && read(long + " ").agreement == agreement)
  }

  // MARK: Ranks

  /// Members on hosts named by the first letter of each text, and what they inherited: `a 0-3`.
  private func members(_ texts: [String]) -> [MemberRecord] {
    texts.enumerated().map { rank, text in
      MemberRecord(
        facts: RankFacts(
          rank: rank, process: ProcessIdentity(pid: Int32(100 + rank), startTime: 1, namespace: 1),
          host: HostIdentity(name: "host-\(text.prefix(1))", identity: String(text.prefix(1))),
          abilities: HostAbilities(user: 0, userNamespace: 0), offers: []),
        addresses: [], listenerNumber: .meeting,
        processors: ProcessorAllowance(inherited: processors(String(text.dropFirst(2)))))
    }
  }

  private func confinements(_ affinity: CPUAffinity, _ texts: [String]) throws(FailureReport) -> [Confinement] {
    var result: [Confinement] = []
    for rank in texts.indices {
      result.append(
        try affinity.confinement(of: rank, among: members(texts)) { _ in ProcessorTopology(nodes: [], cores: []) })
    }
    return result
  }

  @Test func nothingIsChangedByDefault() throws {
    #expect(try confinements(.inherited, ["a 0-3", "a 0-3"]) == [Confinement(), Confinement()])
    #expect(try confinements(.divided, ["a 0-3", "b 0-3"]) == [Confinement(), Confinement()], "alone on its host")
  }

  @Test func dividesWithinAHost() throws {
    let done = try confinements(.divided, ["a 0-3", "b 0-1", "a 0-3", "b 0-1"])
    #expect(done.map(\.processors) == ["0-1", "0", "2-3", "1"].map(processors))
    #expect(done.allSatisfy { $0.notice == nil })
  }

  @Test func leavesAloneWhatALauncherBound() throws {
    let done = try confinements(.divided, ["b 0-7", "a 0", "b 0-7", "a 1"])
    #expect(done.map(\.processors) == [processors("0-3"), nil, processors("4-7"), nil])
    // Said once.
    #expect(done.map { $0.notice == nil } == [true, false, true, true])
    #expect(done[1].notice?.contains("host-a") == true && done[1].notice?.contains("rank 3 1)") == true, "\(done)")
  }

  @Test func leavesAloneMoreRanksThanProcessors() throws {
    let done = try confinements(.divided, ["a 0-1", "a 0-1", "a 0-1"])
    #expect(done.allSatisfy { $0.processors == nil })
    #expect(done[0].notice?.contains("3 ranks share 2 processors") == true && done[1].notice == nil)
  }

  @Test func listsGoByTheRankOnItsHost() throws {
    let each = try confinements(.listed(["0", "2-3"].map(processors)), ["a 0-3", "b 0-3", "a 0-3", "b 0-3"])
    #expect(each.map(\.processors) == ["0", "0", "2-3", "2-3"].map(processors))
    let one = try confinements(.listed([processors("1")]), ["a 0-3", "a 1"])
    #expect(one.map(\.processors) == ["1", "1"].map(processors))
    // Both have to share it now, and all ranks know.
    let members = members(["a 0-3", "a 1", "b 0-3"])
    let loads = HostLoad.ofMachines(members, try CPUAffinity.listed([processors("1")]).allowances(of: members, seenBy: 0))
    let machines = members.map(\.host.machine)
    #expect(loads[machines[0]]?.isOversubscribed == true && loads[machines[2]]?.isOversubscribed == false)
  }

  /// Two containers are two hosts, and take turns on the processors of one machine.
  @Test func containersShareTheirMachine() {
    var members = members(["a 0-1", "a 0-1", "b 0-1", "b 0-1"])
    let allowances = members.map(\.processors)
    for rank in members.indices { members[rank].host = HostIdentity(name: "", identity: "boot/\(rank / 2)") }
    #expect(HostLoad.ofMachines(members, allowances).values.map(\.isOversubscribed) == [true])
    for rank in members.indices { members[rank].host = HostIdentity(name: "", identity: "boot\(rank / 2)/1") }
    #expect(HostLoad.ofMachines(members, allowances).values.map(\.isOversubscribed) == [false, false])
  }

  @Test func neverBeyondWhatWasInherited() throws {
    let texts = ["a 0-3", "a 0-1", "b 0-3"]
    for rank in texts.indices {
      let report = #expect(throws: FailureReport.self) {
        try CPUAffinity.listed(["0", "1-2"].map(processors)).confinement(of: rank, among: members(texts)) { _ in
          ProcessorTopology(nodes: [], cores: [])
        }
      }
      #expect(report?.rank == rank && report?.peer == 1 && report?.code == .configuration)
      #expect(
        report?.message
          == "TUTTI_CPU_AFFINITY=\"0;1-2\" names processor 2 for rank 1 (pid 101 on host-a), which may use 0-1 only")
    }
    let few = #expect(throws: FailureReport.self) {
      try confinements(.listed(["0", "1"].map(processors)), ["b 0-3", "a 0-3", "a 0-3", "a 0-3"])
    }
    #expect(few?.peer == 3 && few?.message.contains("has 2 lists, but host host-a has more ranks") == true)
  }
}
