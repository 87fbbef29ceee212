import Logging
import TuttiBootstrap
import TuttiSystem
import TuttiTopology

/// A rank's place on its host: the processors it runs on, the memory near them, and who else competes for them. See
/// `docs/decisions/0012-processors.md`.
///
/// It is made when ranks join. Communicators that are split from theirs have the same, because how to wait depends on all
/// ranks of a host, not on those of one communicator.
struct HostPlace: Sendable {
  /// The load of every machine of the job, by its identity: equal on all ranks.
  let loads: [Substring: HostLoad]
  /// The processors that this rank confined itself to; nil when it changed nothing.
  let processors: ProcessorSet?
  /// The NUMA node for this rank's memory; nil to leave each page on the node of the thread that touches it first.
  let memoryNode: Int?

  /// Says how a rank comes by its place.
  enum Origin {
    /// The calling thread, and those it starts later, are confined as this says.
    case affinity(CPUAffinity)
    /// It is that of the communicator from which this one is split.
    case parent(HostPlace)
  }

  /// Finds this rank's place.
  ///
  /// - Throws: As ``take(_:_:)``.
  static func find(_ membership: Membership, _ origin: Origin) throws(FailureReport) -> HostPlace {
    switch origin {
    case .affinity(let affinity): try take(membership, affinity)
    case .parent(let place): place
    }
  }

  /// Confines the calling thread as `affinity` says, and logs why where it does not.
  ///
  /// - Throws: `.configuration`, the same on all ranks: the lists do not fit the ranks, or what they inherited.
  ///   `.transport`: the kernel refused.
  private static func take(_ membership: Membership, _ affinity: CPUAffinity) throws(FailureReport) -> HostPlace {
    let (rank, members) = (membership.rank, membership.members)
    let confinement = try affinity.confinement(of: rank, among: members) { ProcessorTopology.read(of: $0) }
    if let notice = confinement.notice { Logger(label: "tutti").notice("\(notice)") }
    if let processors = confinement.processors {
      let code = processors.confineCallingThread()
      guard code == 0 else {
        throw FailureReport(
          .transport, rank: rank, "the thread could not be confined to processors \(processors) (sched_setaffinity)",
          advice: "A seccomp filter or a changed cpuset may forbid it; unset \(CPUAffinity.variable)", systemError: code)
      }
    }
    let used = confinement.processors ?? members[rank].processors.inherited
    return HostPlace(
      loads: HostLoad.ofMachines(members, try affinity.allowances(of: members, seenBy: rank)),
      processors: confinement.processors, memoryNode: ProcessorTopology.readNodes().memoryNode(of: used))
  }

  /// How many ranks compete for the processors of a host; nil where that is not known.
  func load(of host: HostIdentity) -> HostLoad? { loads[host.machine] }

  /// How many ranks can run at the same time on whichever of the hosts has room for the fewest: equal on all ranks.
  func runningMin(_ members: [MemberRecord]) -> Int {
    Set(members.map(\.host.machine)).compactMap { loads[$0]?.running }.min() ?? 1
  }

  /// How many processors each host has for its ranks, on the machine where that is least: equal on all ranks.
  func hostProcessors(_ members: [MemberRecord]) -> Double {
    Dictionary(grouping: Set(members.map(\.host)), by: \.machine).compactMap { machine, hosts in
      loads[machine].map { Double($0.running) / Double(hosts.count) }
    }.min() ?? 1
  }
}
