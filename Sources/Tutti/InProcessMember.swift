import TuttiBootstrap
import TuttiEngine
import TuttiTransport

/// A rank that is a thread of the same process as all others.
final class InProcessMember: CommunicatorMember, @unchecked Sendable {
  // @unchecked: adds immutable state and a mutex to its superclass.

  let group: InProcessGroup
  let doorbell: Doorbell
  /// Links made and not yet taken by the engine.
  let arrivals = Lock<[PassedLink]>([])

  init(rank: Int, controlPlane: any ControlPlane, group: InProcessGroup, policy: AlgorithmPolicy) throws(FailureReport) {
    self.group = group
    doorbell = try Doorbell()
    super.init(rank: rank, rankCount: group.rankCount, controlPlane: controlPlane, policy: policy)
  }

  override func openLink(to peer: Int, deadline: UInt64) throws(FailureReport) {
    try group.connect(rank, peer)
  }

  override func takeLinks() throws(FailureReport) -> [Link] {
    arrivals.withLock { links in
      defer { links = [] }
      return links
    }.map(\.link)
  }

  /// Peers read this rank's memory directly, so a failed call may only return once none of them is inside the loop.
  override func settle() {
    guard var failure = engine.failure else { return }
    if failure.code == .closed {
      failure = FailureReport(
        .peerLost, rank: rank, peer: rank, "rank \(rank) closed its communicator during an operation",
        advice: "All ranks must make the same calls before any of them closes", transport: "inprocess")
    }
    for member in group.others(than: rank) {
      member.engine.abort(failure)
      member.engine.quiesce()
    }
  }
}

/// The ranks of one in-process communicator, and the links between them.
final class InProcessGroup: Sendable {
  static let segmentBytesMax = 256 << 10

  let rankCount: Int
  private let faults: InProcessFaults?
  private struct State {
    var members: [WeakMember] = []
    var connected: Set<[Int]> = []
  }
  private struct WeakMember { weak var member: InProcessMember? }
  private let state = Lock(State())

  init(rankCount: Int, faults: InProcessFaults?) {
    self.rankCount = rankCount
    self.faults = faults
  }

  /// Makes known the members, in rank order.
  func admit(_ members: [InProcessMember]) {
    state.withLock { $0.members = members.map { WeakMember(member: $0) } }
  }

  func others(than rank: Int) -> [InProcessMember] {
    state.withLock { $0.members.compactMap(\.member).filter { $0.rank != rank } }
  }

  /// Makes the link between two ranks unless it is there; whichever rank needs it first.
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
      rankA: low.rank, rankB: high.rank, doorbells: (low.doorbell, high.doorbell),
      segmentBytesMax: Self.segmentBytesMax, faults: faults)
    let (lowEnd, highEnd) = (PassedLink(link: links.0), PassedLink(link: links.1))
    low.arrivals.withLock { $0.append(lowEnd) }
    high.arrivals.withLock { $0.append(highEnd) }
    low.doorbell.ring()
    high.doorbell.ring()
  }
}
