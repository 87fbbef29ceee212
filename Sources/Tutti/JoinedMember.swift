import CTuttiLinux
import Glibc
import TuttiBootstrap
import TuttiEngine
import TuttiSharedMemory
import TuttiTCP
import TuttiTransport

/// A rank that found the others through the rendezvous: links are opened when a plan first needs them, by the higher of the two ranks.
final class JoinedMember: CommunicatorMember, @unchecked Sendable {
  // @unchecked: adds immutable state and a mutex to its superclass.

  static let tcpSegmentBytesMax = 256 << 10

  private let membership: Membership
  /// nil where no other rank shares this host, or the choice is TCP.
  private let endpoint: SharedMemoryEndpoint?
  /// The ranks this one shares memory with, and their places among the ranks of the host.
  private let sharedMemoryPeers: [Int: Int]
  let doorbell: Doorbell

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
    membership: Membership, endpoint: SharedMemoryEndpoint?, sharedMemoryPeers: [Int: Int], policy: AlgorithmPolicy
  ) throws(FailureReport) {
    self.membership = membership
    self.endpoint = endpoint
    self.sharedMemoryPeers = sharedMemoryPeers
    if let endpoint { doorbell = endpoint.doorbell } else { doorbell = try Doorbell() }
    super.init(rank: membership.rank, rankCount: membership.rankCount, controlPlane: membership, policy: policy)
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
