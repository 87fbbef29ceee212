import TuttiSystem
import TuttiTransport

// How ranks meet: at rank 0, which collects who they are. It tells each its parent in the control tree, and the table of
// ranks comes down the tree.

extension Meeting {
  /// Meets the other ranks of the job. Returns when every rank has come and this one knows them all.
  ///
  /// - Parameters:
  ///   - identity: Who this rank is, and where the ranks meet.
  ///   - secret: What every connection proves; nil for a secret that rank 0 draws and leaves in the store where they meet.
  ///   - settings: Names and values that must be equal on all ranks; at most 64, each text at most 256 bytes.
  ///   - offers: What each transport that this rank may use tells the other ranks.
  ///   - note: Bytes that the caller's layer gives to the same layer on the other ranks; at most 64 KiB, and 4 MiB on
  ///     rank 0.
  ///   - abilities: What this process may do on its host.
  ///   - deadline: Nanoseconds of `clock`, for the whole join; the earliest of all ranks' counts. Rank 0's reason may come a
  ///     second later.
  ///   - notify: Told, on rank 0, whom it waits for when that takes long.
  ///   - version: The protocol version to speak; tests pass another.
  /// - Throws: `.rendezvous` (rank 0 unreachable, ranks missing, port in use), `.authentication`, `.version`,
  ///   `.configuration` (two processes with one rank, differing settings, unknown interface), `.peerLost`, `.resources`.
  ///   When ranks do not fit together, all get the same report.
  package static func attend(
    identity: LaunchIdentity, secret: JobSecret?, settings: [String: String] = [:], offers: [TransportOffer],
    note: [UInt8] = [], abilities: HostAbilities = .current(), network: NetworkSettings = NetworkSettings(),
    deadline: UInt64,
    notify: @escaping (String) -> Void = { _ in }, version: UInt16 = protocolVersion, clock: MonotonicClock = .system
  ) throws(FailureReport) -> Meeting {
    precondition(secret != nil || identity.rendezvous == nil, "only a store can tell a secret")
    try checkBounds(settings, identity.rank)
    try checkNote(note, identity.rank)
    precondition(offers.count <= TransportOffer.countMax, "more than \(TransportOffer.countMax) transports are offered")
    let facts = RankFacts(
      rank: identity.rank, process: .current(), host: .current(), abilities: abilities, offers: offers)
    var record = MemberRecord(facts: facts, addresses: [], listenerNumber: .meeting, processors: .current())
    record.note = note
    if identity.rankCount == 1 {
      return Meeting(
        rank: 0, members: [record], communicator: .random(), secret: secret ?? .random(), role: .alone, service: nil,
        listening: nil, listeners: [], deadline: deadline, patience: network.linkPatience, clock: clock)
    }
    let now = clock.now()
    let request = JoinRequest(
      rankCount: identity.rankCount, member: record, settings: settings,
      patienceMilliseconds: UInt32(clamping: (max(deadline, now) - now) / Clock.millisecond))
    let way = MeetingWay(
      identity: identity, secret: secret, network: network, deadline: deadline, clock: clock, version: version,
      notify: notify, service: try ServiceThread.shared())
    return identity.rank == 0 ? try way.lead(request) : try way.follow(request)
  }

  private static func checkBounds(_ settings: [String: String], _ rank: Int) throws(FailureReport) {
    let longest = settings.flatMap { [$0.key, $0.value] }.map(\.utf8.count).max() ?? 0
    guard settings.count <= JoinRequest.settingsMax, longest <= JoinRequest.settingBytesMax else {
      throw FailureReport(
        .configuration, rank: rank, "too many settings to agree on, or one is too long",
        advice: "At most \(JoinRequest.settingsMax) settings of \(JoinRequest.settingBytesMax) bytes each")
    }
  }

  private static func checkNote(_ note: [UInt8], _ rank: Int) throws(FailureReport) {
    let most = rank == 0 ? MemberRecord.noteBytesMax : MemberRecord.requestNoteBytesMax
    if note.count <= most { return }
    throw FailureReport(
      .configuration, rank: rank,
      "rank \(rank) has a note of \(note.count) bytes for the other ranks, and at most \(most) can be sent",
      advice: "Give the other ranks less to read, such as a shorter tuning profile")
  }
}

/// One rank's way to a meeting.
struct MeetingWay {
  let identity: LaunchIdentity
  /// nil for the one that rank 0 draws, and leaves in the store.
  let secret: JobSecret?
  let network: NetworkSettings
  let deadline: UInt64
  let clock: MonotonicClock
  let version: UInt16
  let notify: (String) -> Void
  let service: ServiceThread

  func lead(_ own: JoinRequest) throws(FailureReport) -> Meeting {
    let (leader, secret) = try openMeeting()
    do throws(FailureReport) {
      var own = own
      let requests = try leader.gather(own: own, notify: notify)
      let listening = settings(try place(of: leader))
      let listeners = try MemberListeners(rank: 0, listening)
      own.member.addresses = listeners.addresses
      own.member.listenerNumber = listeners.number
      let others = inOrder(requests.dropFirst().map(\.member), of: leader)
      return Meeting(
        rank: 0, members: [own.member] + others, communicator: .random(), secret: secret,
        role: .leader(leader), service: service, listening: listening, listeners: listeners.handOver(), deadline: deadline,
        patience: network.linkPatience, clock: clock)
    } catch {
      throw leader.refused(error)
    }
  }

  /// Listens, and tells the others where, or why there will be no communicator.
  private func openMeeting() throws(FailureReport) -> (RendezvousLeader, JobSecret) {
    let secret = secret ?? .random()
    var store: StoreAccess?
    if case .store(let space, let key) = identity.place {
      store = StoreAccess(store: space, key: key, rank: 0, clock: clock)
    }
    let meeting: MeetingListeners
    let leader: RendezvousLeader
    do throws(FailureReport) {
      try RendezvousLeader.checkLimits(identity.rankCount)
      meeting = try .open(
        identity.place, network, isAuthenticated: secret.isAuthenticated, publishedSecret: self.secret == nil ? secret : nil,
        deadline: deadline, clock: clock)
      leader = try RendezvousLeader(
        identity: identity, listeners: meeting.sockets, number: meeting.number, secret: secret, deadline: deadline,
        version: version, clock: clock)
    } catch {
      // Whether this can be told or not, the reason is the same.
      let limit = min(deadline, clock.now() + 2 * Clock.second)
      try? store?.put(MeetingWord.refusal(error).bytes(version: version), deadline: limit)
      throw error
    }
    if let store, let point = meeting.point {
      try store.put(MeetingWord.point(point).bytes(version: version), deadline: deadline)
    }
    return (leader, secret)
  }

  func follow(_ own: JoinRequest) throws(FailureReport) -> Meeting {
    let guest = try RendezvousGuest.meet(identity, secret: secret, deadline: deadline, version: version, clock: clock)
    do throws(FailureReport) {
      let listening = settings(try place(of: guest))
      let listeners = try MemberListeners(rank: identity.rank, listening)
      var request = own
      request.member.addresses = listeners.addresses
      request.member.listenerNumber = listeners.number
      guest.send(.request(request))
      guard case .parent(let communicator, let parent) = try guest.receive() else {
        throw FailureReport(.rendezvous, rank: identity.rank, peer: 0, "rank 0 sent something other than this rank's parent")
      }
      let dialer = MemberDialer(
        request.member.facts, rankCount: identity.rankCount, communicator: communicator, secret: guest.secret,
        scope: listening.scope, clock: clock)
      let edge = try guest.dial(parent, dialer)
      let (table, members) = try guest.receiveTable(over: edge, from: parent)
      return Meeting(
        rank: identity.rank, members: members, communicator: communicator, secret: guest.secret,
        role: .guest(guest, parent: edge, table: table), service: service, listening: listening,
        listeners: listeners.handOver(), deadline: deadline, patience: network.linkPatience, clock: clock)
    } catch {
      throw guest.refused(error)
    }
  }
}
