import CTuttiLinux
import Glibc
import TuttiSystem

/// Rank 0's side of the join: collects everyone's request, compares them, and tells everyone the table or why there is none.
///
/// Runs on the joining thread. Strangers are turned away and remembered for the message, authenticated ranks that do not fit
/// end the join for all. Its deadline is the earliest of all ranks', so that everyone still hears the reason.
final class RendezvousLeader {
  private struct Guest {
    let connection: FramedConnection
    var request: JoinRequest?
    var isAttached = false
  }

  private let identity: LaunchIdentity
  private let started = monotonicNanoseconds()
  private var deadline: UInt64
  private let acceptor: HandshakeAcceptor
  private var guests: [Guest] = []
  private var turnedAway: [String] = []
  private var own: JoinRequest?
  private var hasRefused = false
  /// Accepts on all of this host's addresses, so that the others do not know yet which one is good.
  let isEverywhere: Bool

  private static let turnedAwayMax = 4

  init(identity: LaunchIdentity, secret: JobSecret, deadline: UInt64, version: UInt16) throws(FailureReport) {
    self.identity = identity
    self.deadline = deadline
    var limit = rlimit()
    let needed = identity.rankCount + 64
    if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0, limit.rlim_cur < needed {
      throw FailureReport(
        .resources, rank: 0, "rank 0 may open \(limit.rlim_cur) files, too few to meet \(identity.rankCount) ranks",
        advice: "Raise the limit (ulimit -n) to at least \(needed)")
    }
    let listener = try RendezvousListener.open(identity.rendezvous, deadline: deadline)
    isEverywhere = listener.everywhere
    acceptor = try HandshakeAcceptor(
      policy: ListenerPolicy(
        rank: 0, communicator: .meeting, key: secret.handshakeKey(for: .meeting),
        judge: { $0.role == .rendezvous ? .fine : .wrongRank }, version: version),
      listeners: [listener.0])
  }

  // MARK: The three phases

  /// Waits until every rank has sent its request. Returns them by rank, `own` first.
  func gather(own: JoinRequest) throws(FailureReport) -> [JoinRequest] {
    self.own = own
    while true {
      let requests = guests.compactMap(\.request)
      if requests.count == identity.rankCount - 1 {
        let all = ([own] + requests).sorted { $0.member.rank < $1.member.rank }
        if let problem = SettingsAgreement.problem(all.map(\.settings)) { try refuseAll(problem) }
        return all
      }
      guard try pump(until: deadline) else { try refuseAll(missingReport()) }
    }
  }

  /// The local addresses that connections came in on, the commonest first, without loopback unless there is nothing else.
  var addressesSeen: [SocketAddress] {
    var counts: [SocketAddress: Int] = [:]
    for guest in guests {
      if let address = Sockets.localAddress(guest.connection.descriptor) { counts[address.withPort(0), default: 0] += 1 }
    }
    let ordered = counts.sorted { ($0.value, $1.key.description) > ($1.value, $0.key.description) }.map(\.key)
    let outside = ordered.filter { !$0.isLoopback }
    return outside.isEmpty ? ordered : outside
  }

  func announce(_ communicator: CommunicatorID, _ members: [MemberRecord]) {
    let table = RendezvousMessage.table(communicator, members).bytes
    for guest in guests { guest.connection.queue(table) }
  }

  /// Waits until every rank, and `ownIsAttached`, has its control connections; then lets all begin.
  func begin(members: [MemberRecord], ownIsAttached: () -> Bool) throws(FailureReport) {
    while true {
      let isOwnAttached = ownIsAttached()
      if isOwnAttached, guests.allSatisfy({ $0.isAttached || $0.request == nil }) { break }
      // This rank's own children attach on the service thread, which this loop cannot poll.
      let pause = isOwnAttached ? deadline : min(deadline, monotonicNanoseconds() + Clock.millisecond)
      let isOnTime = try pump(until: pause)
      if !isOnTime, monotonicNanoseconds() >= deadline {
        let silent = guests.filter { !$0.isAttached && $0.request != nil }.map(\.connection.peer).sorted()
        try refuseAll(
          FailureReport(
            .rendezvous, rank: 0, peer: silent.count == 1 ? silent[0] : -1,
            silent.isEmpty
              ? "the control connections of rank 0 were not complete within \(elapsedText())"
              : "\(rankListText(silent)) of \(identity.rankCount) joined but did not set up control connections within "
                + elapsedText(),
            advice: silent.first.map { "Look at \(members[$0].description): stopped, or cut off from other ranks" } ?? ""))
      }
    }
    for guest in guests { guest.connection.queue(RendezvousMessage.begin.bytes) }
    flushAll(until: min(deadline, monotonicNanoseconds() + Clock.second))
  }

  /// Tells everyone why there will be no communicator, and throws it. Ranks still on their way are waited for a moment,
  /// unless time is up.
  func refuseAll(_ report: FailureReport) throws(FailureReport) -> Never {
    if hasRefused { throw report }
    hasRefused = true
    let refusal = RendezvousMessage.refusal(report).bytes
    for guest in guests { guest.connection.queue(refusal) }
    let lingering = min(deadline, monotonicNanoseconds() + 2 * Clock.second)
    while Set(guests.map(\.connection.peer)).count < identity.rankCount - 1, monotonicNanoseconds() < lingering {
      let known = guests.count
      _ = waitForNews(until: lingering)
      acceptGuests()
      for guest in guests[known...] { guest.connection.queue(refusal) }
      for guest in guests {
        // What they still say no longer matters, but unread bytes would turn the close into a reset.
        guest.connection.fill()
        while guest.connection.nextFrame() != nil {}
        guest.connection.flush()
      }
      guests.removeAll { $0.connection.state != .open && $0.request == nil }
    }
    flushAll(until: monotonicNanoseconds() + Clock.second)
    close()
    throw report
  }

  func close() {
    for guest in guests { guest.connection.close() }
    guests = []
    acceptor.close()
  }

  // MARK: One round of the loop

  /// Waits for news and takes it in. False when `limit` passed without any.
  private func pump(until limit: UInt64) throws(FailureReport) -> Bool {
    guard waitForNews(until: limit) else { return false }
    acceptGuests()
    for index in guests.indices {
      guests[index].connection.flush()
      guests[index].connection.fill()
      while let frame = guests[index].connection.nextFrame() { try take(frame, from: index) }
      if guests[index].connection.state != .open { try refuseLost(index) }
    }
    return true
  }

  private func waitForNews(until limit: UInt64) -> Bool {
    var entries = [pollfd(fd: acceptor.descriptor, events: Int16(POLLIN), revents: 0)]
    for guest in guests where guest.connection.state == .open {
      let events = POLLIN | (guest.connection.queuedBytes > 0 ? POLLOUT : 0)
      entries.append(pollfd(fd: guest.connection.descriptor, events: Int16(events), revents: 0))
    }
    // A signal counts as news: only a time-out may look like one.
    return poll(&entries, nfds_t(entries.count), Clock.pollTimeout(until: limit)) != 0
  }

  private func acceptGuests() {
    for outcome in acceptor.service() {
      switch outcome {
      case .authenticated(let hello, let descriptor):
        let connection = FramedConnection(
          peer: hello.from, descriptor: descriptor, frameBytesMax: RendezvousMessage.tableBytesMax)
        // A few more than can be right, so that duplicates are named; not without end.
        if guests.count < 2 * identity.rankCount + 16 { guests.append(Guest(connection: connection)) }
      case .refused(let why):
        turnedAway.append(why)
        if turnedAway.count > Self.turnedAwayMax { turnedAway.removeFirst() }
      }
    }
  }

  private func take(_ frame: [UInt8], from index: Int) throws(FailureReport) {
    let peer = guests[index].connection.peer
    guard frame.count <= RendezvousMessage.requestBytesMax, let message = try? RendezvousMessage(frame) else {
      try refuseAll(garbled(peer))
    }
    switch message {
    case .request(let request):
      guard let own, guests[index].request == nil, request.member.rank == peer else { try refuseAll(garbled(peer)) }
      try check(request, own: own)
      guests[index].request = request
      let patience = monotonicNanoseconds() + UInt64(request.patienceMilliseconds) * Clock.millisecond
      deadline = min(deadline, patience)
    case .attached:
      guests[index].isAttached = true
    case .failed(let report):
      try refuseAll(report)
    case .table, .refusal, .begin:
      try refuseAll(garbled(peer))
    }
  }

  private func check(_ request: JoinRequest, own: JoinRequest) throws(FailureReport) {
    let member = request.member
    guard request.rankCount == identity.rankCount else {
      try refuseAll(
        FailureReport(
          .configuration, rank: 0, peer: member.rank,
          "\(member.description) counts \(request.rankCount) ranks, rank 0 counts \(identity.rankCount)",
          advice: "Set TUTTI_SIZE or WORLD_SIZE to the same number on every rank"))
    }
    guard member.rank < identity.rankCount else { try refuseAll(garbled(member.rank)) }
    let others = [own] + guests.compactMap(\.request)
    if let other = others.first(where: { $0.member.rank == member.rank }) {
      try refuseAll(
        FailureReport(
          .configuration, rank: 0, peer: member.rank,
          "two processes are rank \(member.rank): pid \(other.member.process.pid) on \(other.member.host.name) and pid "
            + "\(member.process.pid) on \(member.host.name)",
          advice: "Give every process a rank of its own in TUTTI_RANK or RANK, and check that no earlier run is left over"))
    }
  }

  private func flushAll(until limit: UInt64) {
    for guest in guests { _ = guest.connection.flush(until: limit) }
  }

  // MARK: Words

  private func elapsedText() -> String {
    let seconds = Double(monotonicNanoseconds() - started) / 1e9
    return "\(secondsText((seconds * 10).rounded() / 10)) s"
  }

  private func garbled(_ peer: Int) -> FailureReport {
    FailureReport(
      .rendezvous, rank: 0, peer: peer, "rank \(peer) sent a message that cannot be read while joining",
      advice: "Check that all ranks run the same build of the library")
  }

  private func refuseLost(_ index: Int) throws(FailureReport) {
    let guest = guests[index]
    let who = guest.request.map(\.member.description) ?? "rank \(guest.connection.peer)"
    try refuseAll(
      FailureReport(
        .peerLost, rank: 0, peer: guest.connection.peer, "\(who) ended while the ranks were joining",
        advice: "Look at that rank's own output"))
  }

  private func missingReport() -> FailureReport {
    let here = Set(guests.filter { $0.request != nil }.map(\.connection.peer))
    let missing = (1..<identity.rankCount).filter { !here.contains($0) }
    let silent = Set(guests.filter { $0.request == nil }.map(\.connection.peer)).intersection(missing)
    var message = "\(rankListText(missing)) of \(identity.rankCount) \(missing.count == 1 ? "has" : "have") not joined "
    message += "at \(identity.rendezvous) within \(elapsedText())"
    if !silent.isEmpty { message += "; \(rankListText(silent.sorted())) connected but said nothing" }
    if !turnedAway.isEmpty { message += "; turned away: \(turnedAway.joined(separator: ", "))" }
    return FailureReport(
      .rendezvous, rank: 0, peer: missing.count == 1 ? missing[0] : -1, message,
      advice:
        "Check that they were started with the same rendezvous and secret, look at their own output, or raise TUTTI_TIMEOUT")
  }
}

/// Whether all ranks have the same settings.
enum SettingsAgreement {
  /// What differs, by the first setting that does; nil when all agree. `settings` is by rank.
  static func problem(_ settings: [[String: String]]) -> FailureReport? {
    for name in Set(settings.flatMap(\.keys)).sorted() {
      let groups = Dictionary(grouping: settings.indices) { settings[$0][name] }
      guard groups.count > 1 else { continue }
      // The larger group is taken to be right; among equals the one with the lowest rank.
      let ordered = groups.sorted { ($0.value.count, $1.value[0]) > ($1.value.count, $0.value[0]) }
      let words = ordered.prefix(4).map { value, ranks in
        "\(rankListText(ranks)) \(ranks.count == 1 ? "has" : "have") \(value.map { "\"\($0)\"" } ?? "no value")"
      }
      let odd = ordered.dropFirst().flatMap(\.value)
      return FailureReport(
        .configuration, rank: 0, peer: odd.count == 1 ? odd[0] : -1,
        "setting \(name) must be equal on all ranks: \(words.joined(separator: ", "))",
        advice: "Set \(name) to the same value on \(rankListText(odd.sorted())) as on the others")
    }
    return nil
  }
}
