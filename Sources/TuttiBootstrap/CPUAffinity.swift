import TuttiSystem
import TuttiTopology

/// `TUTTI_CPU_AFFINITY`: the processors that ranks confine themselves to when they join. They are always processors that the
/// rank inherited.
package enum CPUAffinity: Hashable, Sendable {
  /// Nothing is changed: the variable is unset or `none`.
  case inherited
  /// The ranks of a host divide what they inherited: `auto`.
  case divided
  /// A list for each rank of the host, or one for all: `0-3;4-7`.
  case listed([ProcessorSet])

  package static let variable = "TUTTI_CPU_AFFINITY"

  /// - Parameter processors: What this process may use, for the message about a number that no set holds.
  /// - Throws: `.configuration` naming the variable, its value and what to set.
  package static func read(
    _ environment: [String: String], processors: ProcessorSet = .ofCallingThread()
  ) throws(FailureReport) -> CPUAffinity {
    guard let text = EnvironmentReader(environment)[variable], text != "none" else { return .inherited }
    if text == "auto" { return .divided }
    var lists: [ProcessorSet] = []
    for part in text.filter({ $0 != " " }).split(separator: ";", omittingEmptySubsequences: false) {
      guard !part.isEmpty, let ranges = ProcessorSet.ranges(list: part) else {
        throw FailureReport(
          .configuration, "\(variable)=\"\(text)\" is not auto, none or lists of processors",
          advice: "Write a list for each rank of the host, such as 0-3;4-7, or one for all, such as 0-3,8")
      }
      if let large = ranges.map(\.upperBound).max(), large >= ProcessorSet.numbersMax {
        throw notInherited("this process", text, "\(large)", processors)
      }
      lists.append(ProcessorSet(ranges.joined()))
    }
    return .listed(lists)
  }

  private static func notInherited(
    _ who: String, _ value: String, _ outside: String, _ inherited: ProcessorSet, rank: Int = -1, peer: Int = -1
  ) -> FailureReport {
    FailureReport(
      .configuration, rank: rank, peer: peer,
      "\(variable)=\"\(value)\" names processor \(outside) for \(who), which may use \(inherited) only",
      advice:
        "Name processors that it inherits, or have it inherit more where it is started (taskset, cpuset, the launcher's binding)"
    )
  }

  /// The value as it is set, with lists as the kernel writes them.
  package var text: String {
    switch self {
    case .inherited: "none"
    case .divided: "auto"
    case .listed(let lists): lists.map(\.description).joined(separator: ";")
    }
  }

  /// What must be equal on all ranks: the text, or a digest of one that is too long for the settings.
  package var agreement: String {
    let text = text
    guard text.utf8.count > JoinRequest.settingBytesMax, case .listed(let lists) = self else { return text }
    // FNV-1a, 64 bits.
    let digest = text.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    return "\(lists.count) lists, digest \(String(digest, radix: 16))"
  }
}

/// What a rank does about its processors, and what it logs.
package struct Confinement: Hashable, Sendable {
  /// The processors that it confines itself to; nil to change nothing.
  package var processors: ProcessorSet?
  /// Why `auto` changes nothing, for the log; for the first rank of a host only, so that it is said once.
  package var notice: String?
}

extension CPUAffinity {
  /// What one of the members does, from what all of them know. All throw the same error when it is impossible for one of
  /// them.
  ///
  /// - Parameter topology: Gives the topology of this host for some processors; called only where they are divided.
  /// - Throws: `.configuration`: a host has more ranks than there are lists, or a list names a processor that its rank did
  ///   not inherit.
  package func confinement(
    of rank: Int, among members: [MemberRecord], _ topology: (ProcessorSet) -> ProcessorTopology
  ) throws(FailureReport) -> Confinement {
    switch self {
    case .inherited: return Confinement()
    case .listed: return Confinement(processors: try allowances(of: members, seenBy: rank)[rank].inherited)
    case .divided: return divide(members[rank], among: members.filter { $0.host == members[rank].host }, topology)
    }
  }

  private func divide(
    _ member: MemberRecord, among local: [MemberRecord], _ topology: (ProcessorSet) -> ProcessorTopology
  ) -> Confinement {
    if local.count == 1 { return Confinement() }
    let own = member.processors.inherited
    let load = HostLoad(local.map(\.processors))
    func unchanged(_ reason: String) -> Confinement {
      let isFirst = member.rank == local[0].rank
      return Confinement(
        notice: isFirst ? "\(Self.variable)=auto changes nothing on host \(member.host.name): \(reason)" : nil)
    }
    if let other = local.first(where: { $0.processors.inherited != local[0].processors.inherited }) {
      return unchanged(
        "its ranks did not inherit the same processors (rank \(local[0].rank) \(local[0].processors.inherited), "
          + "rank \(other.rank) \(other.processors.inherited)), so whatever started them has bound them already")
    }
    if load.isOversubscribed {
      return unchanged(
        "\(load.ranks) ranks share \(load.running) processor\(load.running == 1 ? "" : "s"), and the scheduler divides those better"
      )
    }
    let shares = topology(own).divide(own, among: local.count)
    return Confinement(processors: local.firstIndex { $0.rank == member.rank }.map { shares[$0] })
  }

  /// The processors that each member may use once all are confined, by rank; equal on all ranks. The shares of `auto`
  /// together are all that was inherited, so `auto` changes nothing here.
  package func allowances(of members: [MemberRecord], seenBy rank: Int) throws(FailureReport) -> [ProcessorAllowance] {
    var allowances = members.map(\.processors)
    guard case .listed(let lists) = self else { return allowances }
    var places: [HostIdentity: Int] = [:]
    for member in members {
      let place = places[member.host, default: 0]
      places[member.host] = place + 1
      guard lists.count == 1 || place < lists.count else {
        throw FailureReport(
          .configuration, rank: rank, peer: member.rank,
          "\(Self.variable)=\"\(text)\" has \(lists.count) lists, but host \(member.host.name) has more ranks: \(member.description) has none",
          advice: "Write a list for each rank of the host with the most, or one for all")
      }
      let list = lists.count == 1 ? lists[0] : lists[place]
      let inherited = member.processors.inherited
      if let outside = list.subtracting(inherited).numbers.first {
        throw Self.notInherited(member.description, text, "\(outside)", inherited, rank: rank, peer: member.rank)
      }
      allowances[member.rank].inherited = list
    }
    return allowances
  }
}

extension HostLoad {
  /// The load of each machine, by its identity, from what all ranks know: containers of one machine are hosts of their own,
  /// and compete for its processors.
  ///
  /// - Parameter allowances: The members' allowances, once they are confined.
  package static func ofMachines(_ members: [MemberRecord], _ allowances: [ProcessorAllowance]) -> [Substring: HostLoad] {
    Dictionary(grouping: members, by: \.host.machine).mapValues { HostLoad($0.map { allowances[$0.rank] }) }
  }
}
