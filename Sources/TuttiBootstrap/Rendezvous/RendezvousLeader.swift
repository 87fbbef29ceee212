import CTuttiLinux
import Glibc
import TuttiSystem

/// Rank 0's side of the join: collects everyone's request, compares them, and tells everyone the table or why there is none.
///
/// Runs on the joining thread. Strangers are turned away and remembered for the message, authenticated ranks that do not fit
/// end the join for all. Its deadline is the earliest of all ranks', so that everyone still hears the reason.
final class RendezvousLeader {
  struct Guest {
    let connection: FramedConnection
    var isAttached = false
  }

  let identity: LaunchIdentity
  let clock: MonotonicClock
  let started: UInt64
  private(set) var deadline: UInt64
  private let acceptor: HandshakeAcceptor
  /// Tells which connections have news: looking at all of them for each would take n rounds of n looks.
  private let epoll: OwnedDescriptor
  /// By their token there.
  var guests: [UInt64: Guest] = [:]
  private var nextToken: UInt64 = 1
  /// This rank's, and those of all that have sent theirs, by rank.
  var requests: [Int: JoinRequest] = [:]
  private var attachedCount = 0
  var turnedAway: [String] = []
  private var own: JoinRequest?
  private var hasRefused = false
  /// Why a rank of this job cannot take part.
  private var disagreement: FailureReport?
  private var isClosed = false
  /// What was said over connections that are closed.
  private var pastTraffic = ControlTraffic()

  private static let turnedAwayMax = 4
  private static let acceptorToken: UInt64 = 0

  /// - Parameters:
  ///   - listeners: Listening sockets; owned from here on, also when this throws.
  ///   - number: The meeting's, which the others know from the rendezvous.
  init(
    identity: LaunchIdentity, listeners: [PassedDescriptor], number: CommunicatorID, secret: JobSecret, deadline: UInt64,
    version: UInt16, clock: MonotonicClock
  ) throws(FailureReport) {
    self.clock = clock
    started = clock.now()
    self.identity = identity
    self.deadline = deadline
    acceptor = try HandshakeAcceptor(
      policy: ListenerPolicy(
        rank: 0, expected: identity.rankCount, communicator: number, key: secret.handshakeKey(for: number),
        tls: secret.tlsKey(for: number),
        judge: { $0.role == .rendezvous ? .fine : .wrongRank }, version: version),
      listeners: listeners, clock: clock)
    epoll = OwnedDescriptor(tutti_epoll())
    var failure = epoll.raw < 0 ? errno : 0
    if failure == 0, tutti_epoll_watch(epoll.raw, acceptor.descriptor, UInt32(POLLIN), Self.acceptorToken) < 0 {
      failure = errno
    }
    guard failure == 0 else {
      throw FailureReport(
        .resources, rank: 0, "cannot watch the rendezvous", advice: "Raise the limit of open files (ulimit -n)",
        systemError: failure)
    }
  }

  deinit { close() }

  /// Throws when this process may not open as many files as rank 0 needs. Called before the others hear where rank 0 is.
  static func checkLimits(_ rankCount: Int) throws(FailureReport) {
    let limit = Sockets.openFilesMax
    let needed = rankCount + 64
    if limit < needed {
      throw FailureReport(
        .resources, rank: 0, "rank 0 may open \(limit) files, too few to meet \(rankCount) ranks",
        advice: "Raise the limit (ulimit -n) to at least \(needed)")
    }
  }

  // MARK: The three phases

  /// The time until rank 0 first tells people which ranks have not come, and then between one notice and the next.
  static let noticeInterval = 10 * Clock.second

  /// Waits until every rank has sent its request. Returns them by rank, `own` first.
  ///
  /// - Parameter notify: Told whom it waits for, every ten seconds.
  func gather(own: JoinRequest, notify: (String) -> Void) throws(FailureReport) -> [JoinRequest] {
    self.own = own
    requests[0] = own
    var noticeTime = started + Self.noticeInterval
    while requests.count < identity.rankCount {
      if try pump(until: min(deadline, noticeTime)) { continue }
      if clock.now() >= deadline { try refuseAll(missingReport()) }
      notify(missingNotice())
      noticeTime += Self.noticeInterval
    }
    let all = requests.values.sorted { $0.member.rank < $1.member.rank }
    if let problem = SettingsAgreement.problem(all.map(\.settings)) { try refuseAll(problem) }
    return all
  }

  /// The local addresses that connections came in on, the commonest first, without loopback unless there is nothing else.
  /// Those of other hosts tell which one other hosts reach; a rank of this host reaches every one.
  var addressesSeen: [SocketAddress] {
    var fromElsewhere: [SocketAddress: Int] = [:]
    var fromHere: [SocketAddress: Int] = [:]
    for guest in guests.values {
      guard let address = Sockets.localAddress(guest.connection.descriptor)?.withPort(0) else { continue }
      let isHere = Sockets.remoteAddress(guest.connection.descriptor)?.withPort(0) == address
      if isHere { fromHere[address, default: 0] += 1 } else { fromElsewhere[address, default: 0] += 1 }
    }
    let counts = fromElsewhere.isEmpty ? fromHere : fromElsewhere
    let ordered = counts.sorted { ($0.value, $1.key.description) > ($1.value, $0.key.description) }.map(\.key)
    let outside = ordered.filter { !$0.isLoopback }
    return outside.isEmpty ? ordered : outside
  }

  /// The table of all ranks, as it travels down the control tree.
  func table(_ members: [MemberRecord]) throws(FailureReport) -> [UInt8] {
    let table = RendezvousMessage.table(members).bytes
    guard table.count <= RendezvousMessage.tableBytesMax else {
      try refuseAll(
        FailureReport(
          .resources, rank: 0,
          "the table of \(members.count) ranks has \(table.count) bytes, and at most "
            + "\(RendezvousMessage.tableBytesMax) can be told to all", advice: "Start fewer ranks"))
    }
    return table
  }

  /// Tells every rank its parent in the control tree, which it waits for.
  func announce(_ communicator: CommunicatorID, _ members: [MemberRecord]) {
    let tree = ControlTree(rankCount: members.count)
    for (token, guest) in guests where requests[guest.connection.peer] != nil {
      guard var parent = tree.parent(of: guest.connection.peer).map({ members[$0] }) else { continue }
      parent.note = []
      send(RendezvousMessage.parent(communicator, parent).bytes, to: token)
    }
  }

  /// Readable when there is news of the others.
  var descriptor: Int32 { epoll.raw }

  /// Whether every rank has its control connections.
  ///
  /// - Parameter isOwnAttached: Whether this rank has its own. They come on the service thread.
  func haveAllAttached(isOwnAttached: Bool) -> Bool { isOwnAttached && attachedCount == identity.rankCount - 1 }

  /// Takes in what the others have said of their control connections. Refuses the join where that is nothing, and its
  /// deadline has passed.
  func takeAttached(_ members: [MemberRecord]) throws(FailureReport) {
    let hasNews = try pump(until: clock.now())
    if !hasNews, clock.now() >= deadline { try refuseAll(unattachedReport(members)) }
  }

  /// Lets all begin.
  func begin() {
    for token in guests.keys { send(RendezvousMessage.begin.bytes, to: token) }
    flushAll(until: min(deadline, clock.now() + Clock.second))
  }

  /// Tells everyone why there will be no communicator, and throws it. Ranks still on their way are waited for a moment,
  /// unless time is up.
  func refuseAll(_ report: FailureReport) throws(FailureReport) -> Never {
    if hasRefused { throw report }
    hasRefused = true
    let refusal = RendezvousMessage.refusal(report).bytes
    for token in guests.keys { send(refusal, to: token) }
    let lingering = min(deadline, clock.now() + 2 * Clock.second)
    var told = Set(requests.keys.filter { $0 != 0 })
    while told.union(guests.values.map(\.connection.peer)).count < identity.rankCount - 1,
      clock.now() < lingering
    {
      for token in waitForNews(until: lingering) {
        if token == Self.acceptorToken {
          for newcomer in acceptGuests() { send(refusal, to: newcomer) }
        } else if let guest = guests[token] {
          // What they still say no longer matters, but unread bytes would turn the close into a reset.
          guest.connection.fill()
          while guest.connection.nextFrame() != nil {}
          guest.connection.flush()
          watchForRoom(token)
          if guest.connection.state != .open {
            guest.connection.close()
            guests[token] = nil
            if requests[guest.connection.peer] != nil { told.insert(guest.connection.peer) }
          }
        }
      }
    }
    flushAll(until: clock.now() + Clock.second)
    close()
    throw report
  }

  /// Tells everyone as ``refuseAll(_:)`` does, and returns what to throw: the reason that was told first.
  func refused(_ report: FailureReport) -> FailureReport {
    do throws(FailureReport) { try refuseAll(report) } catch { return error }
  }

  /// What has been said to all the others, and heard of them.
  var traffic: ControlTraffic { guests.values.reduce(pastTraffic) { $0 + $1.connection.traffic } }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    pastTraffic = traffic
    for guest in guests.values { guest.connection.close() }
    guests = [:]
    acceptor.close()
  }

  // MARK: One round of the loop

  /// Waits for news and takes it in. False when `limit` passed without any.
  private func pump(until limit: UInt64) throws(FailureReport) -> Bool {
    let news = waitForNews(until: limit)
    for token in news {
      if token == Self.acceptorToken {
        // What came with the last bytes of a handshake is there already.
        let newcomers = acceptGuests()
        if let disagreement { try refuseAll(disagreement) }
        for newcomer in newcomers { try hear(newcomer) }
      } else {
        try hear(token)
      }
    }
    return !news.isEmpty
  }

  private func hear(_ token: UInt64) throws(FailureReport) {
    guard let guest = guests[token] else { return }
    guest.connection.flush()
    watchForRoom(token)
    guest.connection.fill()
    while let frame = guest.connection.nextFrame() { try take(frame, from: token) }
    switch guest.connection.state {
    case .open: break
    case .malformed: try refuseAll(garbled(guest.connection.peer))
    case .ended: try refuseLost(guest.connection.peer)
    }
  }

  private func waitForNews(until limit: UInt64) -> [UInt64] {
    var tokens = [UInt64](repeating: 0, count: 64)
    var events = [UInt32](repeating: 0, count: 64)
    let count = clock.poll(until: limit) { tutti_epoll_wait(epoll.raw, &tokens, &events, 64, $0) }
    return Array(tokens.prefix(max(Int(count), 0)))
  }

  /// Takes in those who have proven themselves. Returns their tokens.
  private func acceptGuests() -> [UInt64] {
    var newcomers: [UInt64] = []
    for outcome in acceptor.service() {
      switch outcome {
      case .authenticated(let hello, let accepted):
        let connection = FramedConnection(
          peer: hello.from, accepted.take(), frameBytesMax: RendezvousMessage.requestBytesMax,
          sentFrameBytesMax: RendezvousMessage.tableBytesMax, clock: clock)
        // A few more than can be right, so that duplicates are named; not without end.
        guard guests.count < 2 * identity.rankCount + 16,
          tutti_epoll_watch(epoll.raw, connection.descriptor, UInt32(POLLIN), nextToken) == 0
        else { continue }
        guests[nextToken] = Guest(connection: connection)
        newcomers.append(nextToken)
        nextToken += 1
      case .differs(let hello):
        disagreement = disagreement ?? encryptionReport(hello)
      case .refused(let why):
        turnedAway.append(why)
        if turnedAway.count > Self.turnedAwayMax { turnedAway.removeFirst() }
      }
    }
    return newcomers
  }

  private func send(_ message: [UInt8], to token: UInt64) {
    guests[token]?.connection.queue(message)
    guests[token]?.connection.flush()
    watchForRoom(token)
  }

  /// Watches a guest for room to send exactly as long as something is queued for it.
  private func watchForRoom(_ token: UInt64) {
    guard let connection = guests[token]?.connection, connection.state == .open else { return }
    let isQueued = connection.queuedBytes > 0
    guard connection.isWatchedForRoom != isQueued else { return }
    connection.isWatchedForRoom = isQueued
    _ = tutti_epoll_watch(epoll.raw, connection.descriptor, UInt32(isQueued ? POLLIN | POLLOUT : POLLIN), token)
  }

  private func take(_ frame: [UInt8], from token: UInt64) throws(FailureReport) {
    guard let peer = guests[token]?.connection.peer else { return }
    guard let message = try? RendezvousMessage(frame) else { try refuseAll(garbled(peer)) }
    switch message {
    case .request(let request):
      guard own != nil, request.member.rank == peer else { try refuseAll(garbled(peer)) }
      try check(request)
      requests[peer] = request
      let patience = clock.now() + UInt64(request.patienceMilliseconds) * Clock.millisecond
      deadline = min(deadline, patience)
    case .attached:
      guard requests[peer] != nil, guests[token]?.isAttached == false else { try refuseAll(garbled(peer)) }
      guests[token]?.isAttached = true
      attachedCount += 1
    case .failed(let report):
      if report.code == .peerLost, report.peer != peer { try hearReason(of: report.peer) }
      try refuseAll(report)
    case .parent, .table, .refusal, .begin:
      try refuseAll(garbled(peer))
    }
  }

  /// Hears a rank that another one has lost, if it says something within a moment: it may have given up for a reason of its
  /// own, which is the cause of the loss.
  private func hearReason(of lost: Int) throws(FailureReport) {
    guard let (token, guest) = guests.first(where: { $0.value.connection.peer == lost }) else { return }
    let limit = min(deadline, clock.now() + 200 * Clock.millisecond)
    if Sockets.wait(guest.connection.descriptor, for: POLLIN, until: limit, clock: clock) { try hear(token) }
  }

  private func check(_ request: JoinRequest) throws(FailureReport) {
    let member = request.member
    guard request.rankCount == identity.rankCount else {
      try refuseAll(
        FailureReport(
          .configuration, rank: 0, peer: member.rank,
          "\(member.description) counts \(request.rankCount) ranks, rank 0 counts \(identity.rankCount)",
          advice: "Set TUTTI_SIZE or WORLD_SIZE to the same number on every rank"))
    }
    guard member.rank < identity.rankCount else { try refuseAll(garbled(member.rank)) }
    if let other = requests[member.rank] {
      try refuseAll(
        FailureReport(
          .configuration, rank: 0, peer: member.rank,
          "two processes are rank \(member.rank): pid \(other.member.process.pid) on \(other.member.host.name) and pid "
            + "\(member.process.pid) on \(member.host.name)",
          advice: "Give every process a rank of its own in TUTTI_RANK or RANK, and check that no earlier run is left over"))
    }
  }

  private func flushAll(until limit: UInt64) {
    for guest in guests.values { _ = guest.connection.flush(until: limit) }
  }
}
