import CTuttiLinux
import Glibc
import TuttiBootstrap
import TuttiEngine
import TuttiSharedMemory
import TuttiTCP
import TuttiTransport

/// A rank that found the others through the rendezvous, or in a communicator that was split: links are opened when a plan first needs them, by the higher of the two ranks.
final class JoinedMember: CommunicatorMember, SplittingMember, @unchecked Sendable {
  // @unchecked: adds immutable state and a mutex to its superclass.

  static let tcpSegmentBytesMax = 256 << 10

  private let membership: Membership
  /// nil where no other rank shares this host, or the choice is TCP.
  private let endpoint: SharedMemoryEndpoint?
  /// The ranks this one shares memory with, and their places among the ranks of the host.
  private let sharedMemoryPeers: [Int: Int]
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

  init(
    membership: Membership, endpoint: SharedMemoryEndpoint?, sharedMemoryPeers: [Int: Int], policy: AlgorithmPolicy,
    place: HostPlace, registrationFailure: FailureReport?
  ) throws(FailureReport) {
    self.membership = membership
    self.endpoint = endpoint
    self.sharedMemoryPeers = sharedMemoryPeers
    self.place = place
    if let endpoint { doorbell = endpoint.doorbell } else { doorbell = try Doorbell() }
    super.init(
      rank: membership.rank, rankCount: membership.rankCount, controlPlane: membership, policy: policy,
      registeredMemory: endpoint?.registered, registrationFailure: registrationFailure)
  }

  // MARK: Making

  /// Makes the member that communicates as `membership`, and owns it from here on: when this throws, all its ranks have heard why.
  ///
  /// - Parameters:
  ///   - registered: The memory that this rank has registered before; nil to make the arena for it.
  ///   - isChecked: Whether the join has made sure that the choice of transports can be met.
  ///   - place: Takes this rank's place on its host.
  static func make(
    _ membership: Membership, _ options: CommunicatorOptions, _ catalog: AlgorithmCatalog,
    registered: RegisteredMemory? = nil, isChecked: Bool = true, place: () throws(FailureReport) -> HostPlace
  ) throws(FailureReport) -> JoinedMember {
    do throws(FailureReport) {
      if !isChecked {
        try SharedMemoryChoice(rank: membership.rank, members: membership.members, choice: options.transport).check(
          .current())
      }
      return try activated(membership, options, catalog, place(), registered)
    } catch {
      membership.report(error)
      membership.leave()
      throw error
    }
  }

  private static func activated(
    _ membership: Membership, _ options: CommunicatorOptions, _ catalog: AlgorithmCatalog, _ place: HostPlace,
    _ registered: RegisteredMemory?
  ) throws(FailureReport) -> JoinedMember {
    let rank = membership.rank
    let local = (0..<membership.rankCount).filter { membership.isSameHost($0) }
    let choice = SharedMemoryChoice(rank: rank, members: membership.members, choice: options.transport)
    let sharing = choice.sharing
    let isSharing = !sharing.isEmpty
    var registered = registered
    var registrationFailure: FailureReport?
    if isSharing && registered == nil {
      // Nothing but `allocate` needs it.
      do throws(FailureReport) { registered = try RegisteredMemory(ranksOnHost: sharing.count) } catch {
        registrationFailure = error
      }
    }
    let endpoint =
      isSharing
      ? try SharedMemoryEndpoint(
        rank: rank, localIndex: sharing.firstIndex(of: rank)!, geometry: SharedMemoryGeometry(rankCount: sharing.count),
        registered: registered, memoryNode: place.memoryNode)
      : nil
    let policy = AlgorithmPolicy(
      rankCount: membership.rankCount,
      medium: local.count < membership.rankCount
        ? .network : isSharing && sharing.count == membership.rankCount ? .sharedMemory : .loopback,
      processors: place.runningMin(membership.members),
      segmentBytesMax: smallestSegment(choice), catalog: catalog)
    let member = try JoinedMember(
      membership: membership, endpoint: endpoint,
      sharedMemoryPeers: isSharing ? Dictionary(uniqueKeysWithValues: zip(sharing, 0...)) : [:],
      policy: policy, place: place, registrationFailure: registrationFailure)
    member.activate(
      doorbell: member.doorbell, isOversubscribed: place.isOversubscribed(membership.members[rank].host),
      processors: place.processors)
    return member
  }

  /// The largest segment that every link of the communicator carries: from what all ranks know, so equal on all of them.
  private static func smallestSegment(_ choice: SharedMemoryChoice) -> Int {
    choice.groupSizes.map { SharedMemoryGeometry(rankCount: $0).windowBytes }.reduce(tcpSegmentBytesMax, min)
  }

  // MARK: Dialing

  override func openLink(to peer: Int, deadline: UInt64) throws(FailureReport) {
    guard rank > peer, links.withLock({ $0.known.insert(peer).inserted }) else { return }
    do throws(FailureReport) { try dial(peer, deadline) } catch { throw error.about(rank: rank, peer: peer) }
  }

  private func dial(_ peer: Int, _ deadline: UInt64) throws(FailureReport) {
    let link: Link
    if let endpoint, let place = sharedMemoryPeers[peer] {
      let socket = try membership.connect(to: peer, role: .sharedMemoryLink, deadline: deadline)
      defer { tutti_close(socket) }
      try endpoint.introduce(over: socket)
      link = try awaitIntroduction(endpoint, socket, peer, place, deadline)
    } else {
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
    let isExpected = role == .sharedMemoryLink ? endpoint != nil && sharedMemoryPeers[peer] != nil : true
    let isNew = links.withLock { $0.known.insert(peer).inserted && !$0.isClosed }
    guard peer > rank, isExpected, isNew else { return tutti_close(descriptor) }
    do throws(FailureReport) {
      if role == .sharedMemoryLink, let endpoint {
        do throws(FailureReport) { try endpoint.introduce(over: descriptor) } catch {
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

  override func takeLinks() throws(FailureReport) -> [Link] {
    let (arrived, waiting, failure) = links.withLock { links in
      defer { links.arrivals = [] }
      return (links.arrivals, links.introductions, links.failure)
    }
    if let failure { throw failure }
    var result = arrived.map(\.link)
    for (peer, socket) in waiting {
      guard let endpoint, let place = sharedMemoryPeers[peer],
        let link = try endpoint.acceptIntroduction(over: socket, from: peer, place: place)
      else { continue }
      links.withLock { $0.introductions[peer] = nil }
      tutti_close(socket)
      result.append(link)
    }
    return result
  }

  // MARK: Splitting

  func makeSplitOffer() throws(FailureReport) -> SplitOffer { try membership.makeSplitOffer() }

  func split(
    _ offer: SplitOffer, _ group: SplitGroup, _ options: CommunicatorOptions, deadline: UInt64
  ) throws(FailureReport) -> CommunicatorMember {
    let child = try membership.split(offer, ranks: group.ranks, places: group.places, deadline: deadline)
    // The catalog knows what it has proven.
    return try Self.make(child, options, policy.catalog, registered: registeredMemory, isChecked: false) { place }
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
  }
}

extension FailureReport {
  /// The same failure, saying which link it is about where a lower layer could not.
  fileprivate func about(rank: Int, peer: Int) -> FailureReport {
    if self.peer >= 0 { return self }
    return FailureReport(
      code, rank: rank, peer: peer, "opening the link to rank \(peer) failed: \(message)", advice: advice,
      transport: transport,
      systemError: systemError)
  }
}
