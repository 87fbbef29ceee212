import CTuttiLinux
import Glibc
import TuttiBootstrap
import TuttiEngine
import TuttiSharedMemory
import TuttiSystem
import TuttiTCP
import TuttiTransport

/// A rank that found the others through the rendezvous, or in a communicator that was split: links are opened when a plan first needs them, by the higher of the two ranks.
final class JoinedMember: CommunicatorMember, SplittingMember, @unchecked Sendable {
  // @unchecked: adds immutable state and a mutex to its superclass.

  static let tcpSegmentBytesMax = 256 << 10

  private let membership: Membership
  /// Which transport leads to which rank.
  private let choice: LinkChoice
  /// nil where no other rank shares memory with this one.
  private let sharedMemory: SharedMemoryEndpoint?
  /// The ranks this one shares memory with, and their places among the ranks of the host.
  private let sharedMemoryPeers: [Int: Int]
  /// nil where this rank has no links over RDMA.
  private let rdma: RDMAEnd?
  let doorbell: Doorbell
  private let place: HostPlace

  private struct Links {
    /// Made and not yet taken by the engine.
    var arrivals: [PassedLink] = []
    /// Unix sockets of dialers whose introduction has not come yet, by rank.
    var introductions: [Int: Int32] = [:]
    /// Peers whose link exists or is being made.
    var known: Set<Int> = []
    var failure: FailureReport?
    var isClosed = false
  }
  private let links = Lock(Links())

  init(membership: Membership, choice: LinkChoice, ends: LinkEnds, policy: AlgorithmPolicy, place: HostPlace) {
    self.membership = membership
    self.choice = choice
    sharedMemory = ends.sharedMemory
    sharedMemoryPeers = Dictionary(uniqueKeysWithValues: zip(choice.sharedMemory.sharing, 0...))
    rdma = ends.rdma
    doorbell = ends.doorbell
    self.place = place
    super.init(
      rank: membership.rank, rankCount: membership.rankCount, controlPlane: membership, policy: policy,
      registeredMemory: ends.memory, registrationFailure: ends.registrationFailure)
  }

  override var usesRDMA: Bool { rdma != nil }

  // MARK: Dialing

  override func openLink(to peer: Int, deadline: UInt64) throws(FailureReport) {
    guard rank > peer, links.withLock({ $0.known.insert(peer).inserted }) else { return }
    do throws(FailureReport) { try dial(peer, deadline) } catch { throw error.about(rank: rank, peer: peer) }
  }

  private func dial(_ peer: Int, _ deadline: UInt64) throws(FailureReport) {
    let link: Link
    switch choice.transport(to: peer) {
    case .sharedMemory:
      let socket = try membership.connect(to: peer, role: .sharedMemoryLink, deadline: deadline)
      defer { tutti_close(socket) }
      guard let sharedMemory, let place = sharedMemoryPeers[peer] else { preconditionFailure("shared memory with nobody") }
      try sharedMemory.introduce(over: socket)
      link = try awaitIntroduction(sharedMemory, socket, peer, place, deadline)
    case .rdma:
      let socket = try membership.connect(to: peer, role: .rdmaLink, deadline: deadline)
      defer { tutti_close(socket) }
      guard let rdma else { preconditionFailure("RDMA with nobody") }
      link = try rdma.endpoint.connect(
        over: socket, to: peer, rails: membership.members[peer].rails, deadline: deadline, giveUp: { engine.failure })
    case .tcp, .inProcess:
      let socket = try membership.connect(to: peer, role: .tcpLink, deadline: deadline)
      link = try TCPLink(socket: socket, peer: peer, rank: rank, segmentBytesMax: Self.tcpSegmentBytesMax)
    }
    let passed = PassedLink(link: link)
    links.withLock { $0.arrivals.append(passed) }
  }

  /// The peer answers from its service thread, so this takes microseconds, or until the deadline when the peer is stopped.
  private func awaitIntroduction(
    _ endpoint: SharedMemoryEndpoint, _ socket: Int32, _ peer: Int, _ place: Int, _ deadline: UInt64
  ) throws(FailureReport) -> SharedMemoryLink {
    while true {
      let now = monotonicNanoseconds()
      if now >= deadline {
        throw FailureReport(
          .timeout, rank: rank, peer: peer, "rank \(peer) did not answer while a shared memory link to it was opened",
          advice: "Check whether its process is stopped", transport: "shm")
      }
      if let failure = engine.failure { throw failure }
      var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
      if tutti_poll(&entry, 1, min(deadline - now, 100_000_000)) > 0,
        let link = try endpoint.acceptIntroduction(over: socket, from: peer, place: place)
      {
        return link
      }
    }
  }

  // MARK: Being dialed

  override func accept(from peer: Int, _ role: ConnectionRole, _ descriptor: Int32) {
    // Both ends know from the table of ranks which transport it is.
    guard peer > rank, role == expectedRole(of: peer) else { return tutti_close(descriptor) }
    let isNew = links.withLock { $0.known.insert(peer).inserted && !$0.isClosed }
    guard isNew else { return tutti_close(descriptor) }
    do throws(FailureReport) {
      if let rdma, role == .rdmaLink {
        // The link comes when the peer has connected.
        try rdma.endpoint.invite(over: descriptor, from: peer)
      } else if let sharedMemory, role == .sharedMemoryLink {
        do throws(FailureReport) { try sharedMemory.introduce(over: descriptor) } catch {
          tutti_close(descriptor)
          throw error
        }
        let isKept = links.withLock { links in
          if !links.isClosed { links.introductions[peer] = descriptor }
          return !links.isClosed
        }
        if !isKept { tutti_close(descriptor) }
      } else {
        let link = try TCPLink(socket: descriptor, peer: peer, rank: rank, segmentBytesMax: Self.tcpSegmentBytesMax)
        let passed = PassedLink(link: link)
        links.withLock { $0.arrivals.append(passed) }
      }
    } catch {
      let report = error.about(rank: rank, peer: peer)
      links.withLock { $0.failure = $0.failure ?? report }
    }
    doorbell.ring()
  }

  private func expectedRole(of peer: Int) -> ConnectionRole {
    switch choice.transport(to: peer) {
    case .sharedMemory: .sharedMemoryLink
    case .rdma: .rdmaLink
    case .tcp, .inProcess: .tcpLink
    }
  }

  override func takeLinks() throws(FailureReport) -> [Link] {
    let (arrived, waiting, failure) = links.withLock { links in
      defer { links.arrivals = [] }
      return (links.arrivals, links.introductions, links.failure)
    }
    if let failure { throw failure }
    var result = arrived.map(\.link)
    for (peer, socket) in waiting {
      guard let sharedMemory, let place = sharedMemoryPeers[peer],
        let link = try sharedMemory.acceptIntroduction(over: socket, from: peer, place: place)
      else { continue }
      links.withLock { $0.introductions[peer] = nil }
      tutti_close(socket)
      result.append(link)
    }
    if let rdma { result += try rdma.endpoint.takeLinks() }
    return result
  }

  // MARK: Splitting

  func makeSplitOffer() throws(FailureReport) -> SplitOffer { try membership.makeSplitOffer() }

  func split(
    _ offer: SplitOffer, _ group: SplitGroup, _ options: CommunicatorOptions, deadline: UInt64
  ) throws(FailureReport) -> CommunicatorMember {
    let child = try membership.split(offer, ranks: group.ranks, places: group.places, deadline: deadline)
    // The catalog knows what it has proven.
    return try Self.make(child, options, planner.policy.catalog, registered: registeredMemory, isChecked: false) {
      place
    } fabric: {
      () throws(FailureReport) in
      // The ranks of a split that use RDMA used it before.
      guard let rdma else { preconditionFailure("a split cannot bring RDMA") }
      return rdma.fabric
    }
  }

  // MARK: The end

  override func closeTransports() {
    let (sockets, unused) = links.withLock { links in
      links.isClosed = true
      defer {
        links.introductions = [:]
        links.arrivals = []
      }
      return (Array(links.introductions.values), links.arrivals)
    }
    for socket in sockets { tutti_close(socket) }
    for passed in unused { passed.link.close() }
    rdma?.close()
  }
}

extension FailureReport {
  /// The same failure, saying which link it is about where a lower layer could not.
  fileprivate func about(rank: Int, peer: Int) -> FailureReport {
    if self.peer >= 0 { return self }
    return with(rank: rank, peer: peer, message: "opening the link to rank \(peer) failed: \(message)")
  }
}
