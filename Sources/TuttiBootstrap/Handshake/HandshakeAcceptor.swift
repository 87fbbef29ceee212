import CTuttiLinux
import Glibc
import TuttiSystem

/// Owns listeners and the connections on them that have not proven themselves yet; strangers cost it a slot for a short
/// while.
///
/// Everything is behind one epoll descriptor, listeners, half-open connections and their timer, so that a service thread or
/// a joining thread watches a single descriptor and calls ``service()``. Not thread-safe: its owner's lock protects it.
///
/// Invariant: at most so many half-open connections, each for at most so long, as ``HalfOpenConnections`` says.
final class HandshakeAcceptor: @unchecked Sendable {
  // @unchecked: one owner at a time; rank 0's joining thread, or a membership, which uses it under its lock only.

  enum Outcome {
    /// The other side knows the secret.
    case authenticated(HandshakeHello, PassedConnection)
    /// A rank of this job speaks TLS and this one does not, or the other way round.
    case differs(HandshakeHello)
    /// A connection was turned away; `why` names where it came from and what was wrong.
    case refused(why: String)
  }

  private struct HalfOpen {
    let socket: PassedDescriptor
    let origin: String
    var handshake: ListenerHandshake
    /// Who has proven the secret, and the session that is being set up; nil before, and where there is none.
    var securing: (hello: HandshakeHello, session: TLSSession)?
  }

  /// Nanoseconds a connection has to prove itself. A host may have many more ranks than processors, of which each waits
  /// seconds for its turn. What keeps strangers few is their number, not this.
  static let standardPatience = 60 * Clock.second

  /// Readable when ``service()`` has something to do.
  var descriptor: Int32 { epoll.raw }
  private let epoll: OwnedDescriptor
  private let timer: OwnedDescriptor
  private let policy: ListenerPolicy
  private let clock: MonotonicClock
  private var listeners: [PassedDescriptor]
  private var halfOpen: [UInt64: HalfOpen] = [:]
  private var limits: HalfOpenConnections
  private var nextToken: UInt64 = firstConnectionToken
  private var pausedUntil: UInt64 = 0

  private static let timerToken: UInt64 = 0
  private static let firstConnectionToken: UInt64 = 64

  /// - Parameters:
  ///   - listeners: Listening sockets; owned from here on, also when this throws.
  ///   - patience: Nanoseconds a connection has to prove itself.
  ///   - openFilesMax: How many files this process may open.
  init(
    policy: ListenerPolicy, listeners: [PassedDescriptor], clock: MonotonicClock, patience: UInt64 = standardPatience,
    openFilesMax: Int = Sockets.openFilesMax
  ) throws(FailureReport) {
    precondition(listeners.count < Int(Self.firstConnectionToken) - 1)
    self.policy = policy
    self.clock = clock
    self.listeners = listeners
    limits = HalfOpenConnections(expected: policy.expected, openFilesMax: openFilesMax, patience: patience)
    epoll = OwnedDescriptor(tutti_epoll())
    var failure = epoll.raw < 0 ? errno : 0
    timer = OwnedDescriptor(tutti_timerfd())
    if failure == 0, timer.raw < 0 { failure = errno }
    if failure == 0, !watchAll() { failure = errno }
    guard failure == 0 else {
      throw FailureReport(
        .resources, rank: policy.rank, "cannot watch a listener", advice: "Raise the limit of open files (ulimit -n)",
        systemError: failure)
    }
  }

  private func watchAll() -> Bool {
    tutti_epoll_watch(descriptor, timer.raw, UInt32(POLLIN), Self.timerToken) == 0 && watchListeners(UInt32(POLLIN))
  }

  private func watchListeners(_ events: UInt32) -> Bool {
    listeners.enumerated().allSatisfy { tutti_epoll_watch(descriptor, $1.raw, events, UInt64($0) + 1) == 0 }
  }

  /// Does what can be done now and returns what came of it. Never blocks; a bounded amount of work.
  func service() -> [Outcome] {
    var outcomes: [Outcome] = []
    var tokens = [UInt64](repeating: 0, count: 64)
    var events = [UInt32](repeating: 0, count: 64)
    let count = tutti_epoll_wait(descriptor, &tokens, &events, 64, 0)
    for index in 0..<max(Int(count), 0) {
      switch tokens[index] {
      case Self.timerToken: break
      case 1..<Self.firstConnectionToken:
        // None is left once it was closed.
        if tokens[index] <= listeners.count { accept(from: listeners[Int(tokens[index]) - 1], &outcomes) }
      case let token: advance(token, &outcomes)
      }
    }
    expire(&outcomes)
    return outcomes
  }

  /// Gives up all connections: whoever dials from now on is refused.
  func close() {
    for token in Array(halfOpen.keys) { forget(token) }
    listeners = []
  }

  private func accept(from listener: PassedDescriptor, _ outcomes: inout [Outcome]) {
    for _ in 0..<16 {
      let connection = OwnedDescriptor(tutti_accept(listener.raw))
      guard connection.raw >= 0 else {
        let code = errno
        if code == EMFILE || code == ENFILE || code == ENOMEM || code == ENOBUFS { pause(code, &outcomes) }
        return
      }
      makeRoom(&outcomes)
      let address = Sockets.remoteAddress(connection.raw)
      Sockets.prepare(connection.raw, family: address?.family ?? AF_UNIX)
      let token = nextToken
      nextToken += 1
      let socket = PassedDescriptor(connection)
      halfOpen[token] = HalfOpen(
        socket: socket, origin: address?.description ?? "a local process", handshake: ListenerHandshake(policy: policy))
      limits.add(token, now: clock.now())
      if tutti_epoll_watch(descriptor, socket.raw, UInt32(POLLIN), token) < 0 {
        drop(token, "could not be watched", &outcomes)
        continue
      }
      // The hello is usually there already.
      advance(token, &outcomes)
    }
  }

  /// Drops those that are least likely to be ranks, until there is room for one more.
  private func makeRoom(_ outcomes: inout [Outcome]) {
    while let token = limits.crowdedOut() {
      let progress = limits.progress(of: token)
      // What it has said since it was looked at last counts.
      advance(token, &outcomes)
      guard limits.progress(of: token) == progress else { continue }
      drop(
        token, progress == .silent ? "was still silent when others came" : "was still unproven when others came", &outcomes)
    }
  }

  /// Without descriptors a listener stays readable for ever; look again in a while instead of spinning.
  private func pause(_ code: Int32, _ outcomes: inout [Outcome]) {
    outcomes.append(.refused(why: "a connection could not be accepted: \(errorText(code))"))
    _ = watchListeners(0)
    pausedUntil = clock.now() + 100 * Clock.millisecond
  }

  private func armTimer() {
    var next = limits.nextExpiry() ?? 0
    if pausedUntil != 0 { next = next == 0 ? pausedUntil : min(next, pausedUntil) }
    tutti_timerfd_set(timer.raw, next == 0 ? 0 : clock.systemTime(at: next))
  }

  private func expire(_ outcomes: inout [Outcome]) {
    let now = clock.now()
    if pausedUntil != 0, pausedUntil <= now {
      pausedUntil = 0
      _ = watchListeners(UInt32(POLLIN))
    }
    for token in limits.expired(now: now) {
      drop(token, "said nothing more for \(secondsText(Double(limits.patience) / 1e9)) s", &outcomes)
    }
    armTimer()
  }

  private func drop(_ token: UInt64, _ why: String, _ outcomes: inout [Outcome]) {
    guard let connection = forget(token) else { return }
    outcomes.append(.refused(why: "a connection from \(connection.origin)\(claim(connection.handshake.claimed)) \(why)"))
  }

  @discardableResult
  private func forget(_ token: UInt64) -> HalfOpen? {
    limits.remove(token)
    return halfOpen.removeValue(forKey: token)
  }

  private func claim(_ hello: HandshakeHello?) -> String { hello.map { " that calls itself rank \($0.from)" } ?? "" }

  private func advance(_ token: UInt64, _ outcomes: inout [Outcome]) {
    while var connection = halfOpen[token] {
      let socket = connection.socket
      if let (hello, session) = connection.securing { return secure(token, hello, session, &outcomes) }
      let event: ListenerHandshake.Event
      switch Sockets.receiveNow(socket.raw, max: connection.handshake.bytesWanted) {
      case .nothing: return
      case .end: return drop(token, "closed before it had proven the job's secret", &outcomes)
      case .bytes(let bytes): event = connection.handshake.receive(bytes)
      }
      halfOpen[token] = connection
      limits.note(connection.handshake.progress, of: token)
      switch event {
      case .more:
        continue
      case .reply(let reply):
        guard sendWhole(reply, on: socket.raw) else { return drop(token, "does not read", &outcomes) }
      case .accepted(let hello, let tlsKey, let reply):
        guard sendWhole(reply, on: socket.raw) else { return drop(token, "does not read", &outcomes) }
        // What stays in this host is not encrypted.
        if let tlsKey, Sockets.localAddress(socket.raw) != nil {
          guard let session = try? TLSSession(.listener, socket: socket.raw, key: tlsKey) else {
            return drop(token, "got no TLS session: memory has run out", &outcomes)
          }
          halfOpen[token]?.securing = (hello, session)
          limits.note(.proven, of: token)
          continue
        }
        deliver(token, hello, PassedConnection(socket, tls: nil), &outcomes)
      case .refused(let verdict, let claimed, let version, let reply):
        _ = sendWhole(reply, on: socket.raw)
        if verdict == .otherEncryption, let claimed { outcomes.append(.differs(claimed)) }
        drop(token, explain(verdict, version), &outcomes)
      }
    }
  }

  /// Goes on with the TLS handshake of a dialer that has proven the secret.
  private func secure(_ token: UInt64, _ hello: HandshakeHello, _ session: TLSSession, _ outcomes: inout [Outcome]) {
    switch session.handshake() {
    case .wantsRead: return
    case .done:
      guard let socket = halfOpen[token]?.socket else { return }
      deliver(token, hello, PassedConnection(socket, tls: session), &outcomes)
    case .wantsWrite: drop(token, "does not read", &outcomes)
    case .failed(let why): drop(token, "proved the job's secret, but TLS with it failed: \(why)", &outcomes)
    }
  }

  private func deliver(
    _ token: UInt64, _ hello: HandshakeHello, _ connection: PassedConnection, _ outcomes: inout [Outcome]
  ) {
    forget(token)
    _ = tutti_epoll_unwatch(descriptor, connection.raw)
    outcomes.append(.authenticated(hello, connection))
  }

  /// A reply is smaller than any socket's buffer; one that does not fit is a peer that does not read.
  private func sendWhole(_ bytes: [UInt8], on socket: Int32) -> Bool {
    Sockets.sendNow(socket, bytes[...]) == .success(bytes.count)
  }

  private func explain(_ verdict: HandshakeVerdict, _ version: UInt16) -> String {
    switch verdict {
    case .fine, .malformed: "does not speak this protocol"
    case .wrongVersion: "speaks protocol version \(version), this rank \(policy.version)"
    case .wrongSecret: "did not prove the job's secret"
    case .unknownCommunicator: "asked for a communicator that is not here"
    case .wrongRank: "asked for a rank or role that is not here"
    case .otherEncryption: EncryptionWords.difference(peerSpeaks: policy.tls == nil, from: "this rank")
    }
  }
}
