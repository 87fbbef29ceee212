import TuttiBootstrap
import TuttiChoice
import TuttiEngine
import TuttiSchedule
import TuttiSystem
import TuttiTopology
import TuttiTransport

/// A rank that is a thread of the same process as all others.
final class InProcessMember: CommunicatorMember, SplittingMember, @unchecked Sendable {
  // @unchecked: adds immutable state and a mutex to its superclass.

  let group: InProcessGroup
  let links: InProcessLinks

  init(
    rank: Int, controlPlane: any ControlPlane, group: InProcessGroup, layout: JobLayout, policy: AlgorithmPolicy
  ) throws(FailureReport) {
    self.group = group
    links = try InProcessLinks(rank: rank, group)
    super.init(rank: rank, controlPlane: controlPlane, layout: layout, policy: policy)
  }

  /// Aborts the engines of all peers, and returns once none of them is inside its loop: they read this rank's memory
  /// directly. The peers report that this rank has closed: it may have left already, and reports nothing then.
  override func revokeMemory() {
    guard var failure = engine.failure else { return }
    if failure.code == .closed {
      failure = FailureReport(
        .peerLost, rank: rank, peer: rank, "rank \(rank) closed its communicator during an operation",
        advice: "All ranks must make the same calls before any of them closes", transport: "inprocess")
    }
    for member in group.others(than: rank) {
      member.giveUp(failure)
      member.engine.awaitAbort()
    }
  }

  // MARK: Splitting

  /// Whoever comes first makes all members of a group, or none.
  var sharesOutcomes: Bool { false }

  func makeSplitOffer() -> SplitOffer { SplitOffer() }

  func split(
    _ offer: SplitOffer, _ split: SplitGroup, deadline: UInt64
  ) throws(FailureReport) -> any SplittingMember {
    guard let member = try group.takeMember(of: split) else { throw closedReport() }
    return member
  }

  override func closeTransports() {
    links.arrivals.close()
    group.abandon(rank)
  }
}

/// The links of one rank: both ends of one are made by whichever rank needs it first.
final class InProcessLinks: LinkSource {
  let doorbell: Doorbell
  let arrivals = LinkArrivals()
  private let rank: Int
  private let group: InProcessGroup

  init(rank: Int, _ group: InProcessGroup) throws(FailureReport) {
    self.rank = rank
    self.group = group
    doorbell = try Doorbell()
  }

  func openLink(to peer: Int, deadline: UInt64, giveUp: () -> FailureReport?) throws(FailureReport) {
    try group.connect(rank, peer)
  }

  func takeLinks() -> [Link] { arrivals.take() }

  /// Always nil: whichever rank needs a link makes both its ends, and waits for nobody.
  func absence(of peer: Int) -> FailureReport? { nil }
}

/// The ranks of one in-process communicator, and the links between them.
final class InProcessGroup: Sendable {
  static let segmentBytesMax = 256 << 10

  private let layout: JobLayout
  private let faults: InProcessFaults?
  private let catalog: AlgorithmCatalog
  private let tuning: Tuning
  /// The load of the ranks that compete for the processors; those of the group that this one was split from are among them.
  private let load: HostLoad
  private struct State {
    var members: [WeakMember] = []
    var connected: Set<[Int]> = []
    /// Groups split from this one whose members have not all been taken, by the number that is theirs alone.
    var children: [CommunicatorID: Children] = [:]
    /// The ranks that have closed.
    var closed: Set<Int> = []
  }
  /// The members of a new group, by this group's ranks, until they are taken; or why there are none, for each to hear.
  private struct Children {
    var members: [Int: Result<InProcessMember, FailureReport>]
  }
  private struct WeakMember { weak var member: InProcessMember? }
  private let state = Lock(State())

  private init(
    _ layout: JobLayout, catalog: AlgorithmCatalog, tuning: Tuning, faults: InProcessFaults?, load: HostLoad
  ) {
    self.tuning = tuning
    self.layout = layout
    self.catalog = catalog
    self.faults = faults
    self.load = load
  }

  /// Makes a group and its members, in rank order.
  ///
  /// - Parameters:
  ///   - layout: The ranks, in groups.
  ///   - tuning: Returns what is known of the machine, for ranks of a shape.
  ///   - load: The load of the group that this one is split from; nil where it is split from none.
  static func makeMembers(
    _ layout: JobLayout, catalog: AlgorithmCatalog, tuning: (JobShape) -> Tuning, faults: InProcessFaults?,
    load: HostLoad? = nil
  ) throws(FailureReport) -> [InProcessMember] {
    // The ranks' threads will inherit what this one may use.
    let rankCount = layout.grouping.rankCount
    let load = load ?? HostLoad(Array(repeating: .current(), count: rankCount))
    let known = tuning(JobShape(layout.grouping, medium: .sharedMemory, processors: load.running))
    let group = InProcessGroup(layout, catalog: catalog, tuning: known, faults: faults, load: load)
    let policy = AlgorithmPolicy(
      grouping: layout.grouping, medium: .sharedMemory, processors: load.running,
      segmentBytesMax: segmentBytesMax, catalog: catalog, tuning: known)
    var members: [InProcessMember] = []
    for (rank, controlPlane) in InProcessControlPlane.makeGroup(rankCount: rankCount).enumerated() {
      members.append(
        try InProcessMember(rank: rank, controlPlane: controlPlane, group: group, layout: layout, policy: policy))
    }
    group.admit(members)
    for member in members {
      member.activate(links: member.links, doorbell: member.links.doorbell, load: load)
    }
    return members
  }

  /// Takes in the members, in rank order, so that ranks find each other.
  private func admit(_ members: [InProcessMember]) {
    state.withLock { $0.members = members.map { WeakMember(member: $0) } }
  }

  func others(than rank: Int) -> [InProcessMember] {
    state.withLock { $0.members.compactMap(\.member).filter { $0.rank != rank } }
  }

  /// Makes the link between two ranks, unless the other one has made it already.
  func connect(_ rank: Int, _ peer: Int) throws(FailureReport) {
    let pair = [min(rank, peer), max(rank, peer)]
    let (ends, isNew) = state.withLock { state in
      (pair.map { state.members[$0].member }, state.connected.insert(pair).inserted)
    }
    guard isNew else { return }
    guard let low = ends[0], let high = ends[1] else {
      throw FailureReport(
        .peerLost, rank: rank, peer: peer, "rank \(peer) of this process has closed its communicator",
        advice: "Keep every rank's communicator alive until all have made their last call", transport: "inprocess")
    }
    let links = try InProcessLink.makePair(
      rankA: low.rank, rankB: high.rank, doorbells: (low.links.doorbell, high.links.doorbell),
      segmentBytesMax: Self.segmentBytesMax, faults: faults)
    low.links.arrivals.add(links.0)
    high.links.arrivals.add(links.1)
    low.links.doorbell.ring()
    high.links.doorbell.ring()
  }

  // MARK: Splitting

  /// This rank's member of a group split from this one. Whoever comes first makes them all; the last to come leaves nothing
  /// behind.
  ///
  /// - Returns: nil when the rank has closed.
  func takeMember(of split: SplitGroup) throws(FailureReport) -> InProcessMember? {
    let (result, unwanted) = state.withLock { state in
      var unwanted: [InProcessMember] = []
      var children = state.children[split.number] ?? makeChildren(split)
      for rank in state.closed {
        if case .success(let member) = children.members.removeValue(forKey: rank) { unwanted.append(member) }
      }
      let result = children.members.removeValue(forKey: split.ranks[split.rank])
      state.children[split.number] = children.members.isEmpty ? nil : children
      return (result, unwanted)
    }
    for member in unwanted { member.close() }
    return try result?.get()
  }

  private func makeChildren(_ split: SplitGroup) -> Children {
    do throws(FailureReport) {
      let members = try Self.makeMembers(
        layout.restricted(to: split.ranks), catalog: catalog, tuning: { [tuning] _ in tuning }, faults: faults, load: load)
      return Children(members: Dictionary(uniqueKeysWithValues: zip(split.ranks, members.map { .success($0) })))
    } catch {
      return Children(members: Dictionary(uniqueKeysWithValues: split.ranks.map { ($0, .failure(error)) }))
    }
  }

  /// Notes that a rank has closed, and closes the members that it was to take, so that their peers do not wait for it.
  func abandon(_ rank: Int) {
    let unwanted = state.withLock { state in
      state.closed.insert(rank)
      var unwanted: [InProcessMember] = []
      for (number, var children) in state.children {
        if case .success(let member) = children.members.removeValue(forKey: rank) { unwanted.append(member) }
        state.children[number] = children.members.isEmpty ? nil : children
      }
      return unwanted
    }
    for member in unwanted { member.close() }
  }
}
