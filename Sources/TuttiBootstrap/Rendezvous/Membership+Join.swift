import CTuttiLinux
import Glibc
import TuttiSystem
import TuttiTopology
import TuttiTransport

// Joining: rendezvous at rank 0, the table of members, the control tree, and the word to begin.

extension Membership {
  /// What a rank checks when it knows all others.
  package typealias Preparation = ([MemberRecord]) throws(FailureReport) -> Void

  /// Joins the job. Returns when every rank has joined and the control tree stands.
  ///
  /// - Parameters:
  ///   - identity: Who this rank is, and where the ranks meet.
  ///   - secret: What every connection proves; nil for a secret that rank 0 draws and leaves in the store where they meet.
  ///   - settings: Names and values that must be equal on all ranks; at most 64, each text at most 256 bytes.
  ///   - offers: What the transports that this rank would use have to say about it.
  ///   - abilities: What this process may do on its host.
  ///   - prepare: Called with the table of ranks before any rank goes on. What it throws ends the join for all ranks.
  ///   - deadline: Monotonic nanoseconds; the earliest of all ranks' counts. Rank 0's reason may come a second later.
  ///   - version: The protocol version to speak; tests pass another.
  /// - Throws: `.rendezvous` (rank 0 unreachable, ranks missing, port in use), `.authentication`, `.version`,
  ///   `.configuration` (two processes with one rank, differing settings, unknown interface), `.peerLost`, `.resources`.
  ///   When ranks do not fit together, all get the same report.
  package static func join(
    identity: LaunchIdentity, secret: JobSecret?, settings: [String: String] = [:], offers: [TransportOffer],
    abilities: HostAbilities = .current(), network: NetworkSettings = NetworkSettings(),
    deadline: UInt64,
    version: UInt16 = protocolVersion, prepare: @escaping Preparation = { _ throws(FailureReport) in }
  ) throws(FailureReport) -> Membership {
    precondition(secret != nil || identity.rendezvous == nil, "only a store can tell a secret")
    try checkBounds(settings, identity.rank)
    precondition(offers.count <= TransportOffer.countMax, "more than \(TransportOffer.countMax) transports are offered")
    let facts = RankFacts(
      rank: identity.rank, process: .current(), host: .current(), abilities: abilities, offers: offers)
    let record = MemberRecord(facts: facts, addresses: [], unixName: "", processors: .current())
    var request = JoinRequest(
      rankCount: identity.rankCount, member: record, settings: settings, patienceMilliseconds: UInt32.max)
    if identity.rankCount == 1 {
      try prepare([record])
      return Membership(
        rank: 0, members: [record], communicator: .random(), secret: secret ?? .random(), service: nil)
    }
    let now = monotonicNanoseconds()
    request.patienceMilliseconds = UInt32(clamping: (max(deadline, now) - now) / Clock.millisecond)
    let service = try ServiceThread.shared()
    let join = Join(
      identity: identity, secret: secret, network: network, deadline: deadline, service: service, prepare: prepare)
    return identity.rank == 0
      ? try join.lead(request, version: version) : try join.follow(request, version: version)
  }

  private static func checkBounds(_ settings: [String: String], _ rank: Int) throws(FailureReport) {
    let longest = settings.flatMap { [$0.key, $0.value] }.map(\.utf8.count).max() ?? 0
    guard settings.count <= JoinRequest.settingsMax, longest <= JoinRequest.settingBytesMax else {
      throw FailureReport(
        .configuration, rank: rank, "too many settings to agree on, or one is too long",
        advice: "At most \(JoinRequest.settingsMax) settings of \(JoinRequest.settingBytesMax) bytes each")
    }
  }
}

/// One rank's way through a join.
private struct Join {
  let identity: LaunchIdentity
  /// nil for the one that rank 0 draws, and leaves in the store.
  let secret: JobSecret?
  let network: NetworkSettings
  let deadline: UInt64
  let service: ServiceThread
  let prepare: Membership.Preparation

  func lead(_ own: JoinRequest, version: UInt16) throws(FailureReport) -> Membership {
    let (leader, secret) = try openMeeting(version)
    defer { leader.close() }
    do throws(FailureReport) {
      var own = own
      let requests = try leader.gather(own: own)
      let listening = MemberListeners.Settings(place: try leaderPlace(leader), portRange: network.portRange)
      let listeners = try MemberListeners(rank: 0, listening)
      own.member.addresses = listeners.addresses
      own.member.unixName = listeners.unixName
      let members = [own.member] + requests.dropFirst().map(\.member)
      try prepare(members)
      let membership = Membership(
        rank: 0, members: members, communicator: .random(), secret: secret, service: service, listening: listening)
      do throws(FailureReport) {
        try membership.makeBoard()
        try membership.startListening(listeners.handOver())
        try leader.announce(membership.communicator, members)
        try leader.begin(members: members) { membership.isAttached }
        try membership.establish()
        return membership
      } catch {
        membership.closeEverything()
        throw error
      }
    } catch {
      try leader.refuseAll(error)
    }
  }

  /// Listens, and tells the others where, or why there will be no communicator.
  private func openMeeting(_ version: UInt16) throws(FailureReport) -> (RendezvousLeader, JobSecret) {
    let secret = secret ?? .random()
    var store: StoreAccess?
    if case .store(let space, let key) = identity.place { store = StoreAccess(store: space, key: key, rank: 0) }
    let meeting: MeetingListeners
    let leader: RendezvousLeader
    do throws(FailureReport) {
      try RendezvousLeader.checkLimits(identity.rankCount)
      meeting = try .open(identity.place, network, publishedSecret: self.secret == nil ? secret : nil)
      leader = try RendezvousLeader(
        identity: identity, listeners: meeting.descriptors, number: meeting.number, secret: secret, deadline: deadline,
        version: version)
    } catch {
      // Whether this can be told or not, the reason is the same.
      let limit = min(deadline, monotonicNanoseconds() + 2 * Clock.second)
      try? store?.put(MeetingWord.refusal(error).bytes(version: version), deadline: limit)
      throw error
    }
    if let store, let point = meeting.point {
      try store.put(MeetingWord.point(point).bytes(version: version), deadline: deadline)
    }
    return (leader, secret)
  }

  func follow(_ own: JoinRequest, version: UInt16) throws(FailureReport) -> Membership {
    let guest = try RendezvousGuest.meet(identity, secret: secret, deadline: deadline, version: version)
    do throws(FailureReport) {
      return try follow(own, guest)
    } catch {
      // Rank 0 tells the others; a report that came from it is only heard again by nobody.
      guest.send(.failed(error))
      // A rank that this one could not reach may have given up because of a third one's failure.
      throw error.code == .peerLost ? guest.refusal() ?? error : error
    }
  }

  private func follow(_ own: JoinRequest, _ guest: RendezvousGuest) throws(FailureReport) -> Membership {
    let listening = MemberListeners.Settings(place: try guestPlace(guest), portRange: network.portRange)
    let listeners = try MemberListeners(rank: identity.rank, listening)
    var request = own
    request.member.addresses = listeners.addresses
    request.member.unixName = listeners.unixName
    guest.send(.request(request))
    guard case .table(let communicator, let members) = try guest.receive(), members.count == identity.rankCount else {
      throw FailureReport(.rendezvous, rank: identity.rank, peer: 0, "rank 0 sent something else than the table of ranks")
    }
    try prepare(members)
    let membership = Membership(
      rank: identity.rank, members: members, communicator: communicator, secret: guest.secret, service: service,
      listening: listening)
    do throws(FailureReport) {
      try membership.makeBoard()
      try membership.startListening(listeners.handOver())
      try membership.fetchBoard(deadline: deadline)
      try membership.attachToParent(deadline: deadline)
      try membership.awaitAttachment(deadline: deadline, guest: guest)
      guest.send(.attached)
      guard case .begin = try guest.receive() else {
        throw FailureReport(.rendezvous, rank: identity.rank, peer: 0, "rank 0 sent something else than the word to begin")
      }
      try membership.establish()
      return membership
    } catch {
      membership.closeEverything()
      throw error
    }
  }

  // MARK: Which address

  private func leaderPlace(_ leader: RendezvousLeader) throws(FailureReport) -> MemberListeners.Place {
    if let interface = network.interface { return .only(try Interfaces.choose(interface)) }
    let seen = leader.addressesSeen
    guard let address = identity.rendezvous else {
      // All came over the Unix socket: there is no network.
      return seen.isEmpty ? .only(loopback) : .everywhere(seen + Interfaces.reachable().filter { !seen.contains($0) })
    }
    guard case .tcp(let host, _) = address, !address.isLoopback else { return .only(loopback) }
    if let numeric = SocketAddress(numeric: host, port: 0), !numeric.isUnspecified { return .only(numeric) }
    return .everywhere(seen + Interfaces.reachable().filter { !seen.contains($0) })
  }

  private func guestPlace(_ guest: RendezvousGuest) throws(FailureReport) -> MemberListeners.Place {
    if let interface = network.interface { return .only(try Interfaces.choose(interface)) }
    guard identity.rendezvous?.isLoopback != true, let local = guest.localAddress else { return .only(loopback) }
    // Rank 0's host name led to a loopback address here: good for this host's ranks, not for those of others.
    if local.isLoopback { return .everywhere(Interfaces.reachable() + [local]) }
    // Rank 0 named all its addresses, and which one a rank of its own host took says nothing about the others.
    if identity.rendezvous == nil, guest.isOnHostOfRankZero {
      return .everywhere([local] + Interfaces.reachable().filter { $0 != local })
    }
    return .only(local)
  }

  private var loopback: SocketAddress {
    if case .tcp(let host, _)? = identity.rendezvous, let numeric = SocketAddress(numeric: host, port: 0) { return numeric }
    return .ipv4(0x7F00_0001, port: 0)
  }
}

extension Membership {
  /// Waits for the children's connections, and for a word of rank 0 that they will not come.
  fileprivate func awaitAttachment(deadline: UInt64, guest: RendezvousGuest) throws(FailureReport) {
    while !isAttached {
      if monotonicNanoseconds() >= deadline
        || Sockets.wait(
          guest.connection.descriptor, for: POLLIN, until: monotonicNanoseconds() + Clock.millisecond)
      {
        _ = try guest.receive()
        throw FailureReport(.rendezvous, rank: rank, peer: 0, "rank 0 sent something unexpected while ranks connected")
      }
    }
  }
}
