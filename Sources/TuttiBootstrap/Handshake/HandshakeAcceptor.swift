import CTuttiLinux
import Glibc
import TuttiSystem

/// Owns listeners and the connections on them that have not proven themselves yet; strangers cost it a slot for a short
/// while.
///
/// Everything is behind one epoll descriptor, listeners, half-open connections and their timer, so that a service thread or
/// a joining thread watches a single descriptor and calls ``service()``. Not thread-safe: its owner's lock protects it.
///
/// Invariant: at most ``halfOpenMax`` half-open connections, each for at most ``patience``; when full, the oldest goes,
/// because an honest handshake takes milliseconds.
final class HandshakeAcceptor: @unchecked Sendable {
  // @unchecked: one owner at a time; rank 0's joining thread, or a membership, which uses it under its lock only.

  enum Outcome {
    /// The other side knows the secret.
    case authenticated(HandshakeHello, PassedDescriptor)
    /// A connection was turned away; `why` names where it came from and what was wrong.
    case refused(why: String)
  }

  private struct HalfOpen {
    let descriptor: Int32
    let origin: String
    let expiry: UInt64
    var handshake: ListenerHandshake
  }

  static let halfOpenMax = 128

  /// Readable when ``service()`` has something to do.
  let descriptor: Int32
  private let policy: ListenerPolicy
  private let patience: UInt64
  private let timer: Int32
  private let listeners: [Int32]
  private var halfOpen: [UInt64: HalfOpen] = [:]
  private var nextToken: UInt64 = firstConnectionToken
  private var pausedUntil: UInt64 = 0
  private var isClosed = false
  private let generation = tutti_current_fork_generation()

  private static let timerToken: UInt64 = 0
  private static let firstConnectionToken: UInt64 = 64

  /// - Parameters:
  ///   - listeners: Listening sockets; owned from here on, also when this throws.
  ///   - patience: Nanoseconds a connection has to prove itself.
  init(policy: ListenerPolicy, listeners: [Int32], patience: UInt64 = 5 * Clock.second) throws(FailureReport) {
    precondition(listeners.count < Int(Self.firstConnectionToken) - 1)
    self.policy = policy
    self.patience = patience
    self.listeners = listeners
    descriptor = tutti_epoll()
    var failure = descriptor < 0 ? errno : 0
    timer = tutti_timerfd()
    if failure == 0, timer < 0 { failure = errno }
    if failure == 0, !watchAll() { failure = errno }
    guard failure == 0 else {
      close()
      throw FailureReport(
        .resources, rank: policy.rank, "cannot watch a listener", advice: "Raise the limit of open files (ulimit -n)",
        systemError: failure)
    }
  }

  deinit { close() }

  private func watchAll() -> Bool {
    tutti_epoll_watch(descriptor, timer, UInt32(POLLIN), Self.timerToken) == 0 && watchListeners(UInt32(POLLIN))
  }

  private func watchListeners(_ events: UInt32) -> Bool {
    listeners.enumerated().allSatisfy { tutti_epoll_watch(descriptor, $1, events, UInt64($0) + 1) == 0 }
  }

  /// Does what can be done now and returns what came of it. Never blocks; a bounded amount of work.
  func service() -> [Outcome] {
    guard !isClosed else { return [] }
    var outcomes: [Outcome] = []
    var tokens = [UInt64](repeating: 0, count: 64)
    var events = [UInt32](repeating: 0, count: 64)
    let count = tutti_epoll_wait(descriptor, &tokens, &events, 64, 0)
    for index in 0..<max(Int(count), 0) {
      switch tokens[index] {
      case Self.timerToken: expire(&outcomes)
      case 1..<Self.firstConnectionToken: accept(from: listeners[Int(tokens[index]) - 1], &outcomes)
      case let token: advance(token, &outcomes)
      }
    }
    return outcomes
  }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    // In a forked child the numbers may belong to something else by now.
    guard generation == tutti_current_fork_generation() else { return }
    for connection in halfOpen.values { tutti_close(connection.descriptor) }
    halfOpen = [:]
    for listener in listeners { tutti_close(listener) }
    tutti_close(timer)
    tutti_close(descriptor)
  }

  private func accept(from listener: Int32, _ outcomes: inout [Outcome]) {
    for _ in 0..<16 {
      let connection = tutti_accept(listener)
      guard connection >= 0 else {
        let code = errno
        if code == EMFILE || code == ENFILE || code == ENOMEM || code == ENOBUFS { pause(code, &outcomes) }
        return
      }
      if halfOpen.count >= Self.halfOpenMax, let oldest = halfOpen.keys.min() {
        drop(oldest, "was still silent when others came", &outcomes)
      }
      let address = Sockets.remoteAddress(connection)
      Sockets.prepare(connection, family: address?.family ?? AF_UNIX)
      let token = nextToken
      nextToken += 1
      halfOpen[token] = HalfOpen(
        descriptor: connection, origin: address?.description ?? "a local process",
        expiry: monotonicNanoseconds() + patience, handshake: ListenerHandshake(policy: policy))
      if tutti_epoll_watch(descriptor, connection, UInt32(POLLIN), token) < 0 {
        drop(token, "could not be watched", &outcomes)
        continue
      }
      armTimer()
      // The hello is usually there already.
      advance(token, &outcomes)
    }
  }

  /// Without descriptors a listener stays readable for ever; look again in a while instead of spinning.
  private func pause(_ code: Int32, _ outcomes: inout [Outcome]) {
    outcomes.append(.refused(why: "a connection could not be accepted: \(errorText(code))"))
    _ = watchListeners(0)
    pausedUntil = monotonicNanoseconds() + 100 * Clock.millisecond
    armTimer()
  }

  private func armTimer() {
    var next = halfOpen.values.lazy.map(\.expiry).min() ?? 0
    if pausedUntil != 0 { next = next == 0 ? pausedUntil : min(next, pausedUntil) }
    tutti_timerfd_set(timer, next)
  }

  private func expire(_ outcomes: inout [Outcome]) {
    let now = monotonicNanoseconds()
    if pausedUntil != 0, pausedUntil <= now {
      pausedUntil = 0
      _ = watchListeners(UInt32(POLLIN))
    }
    for (token, connection) in halfOpen where connection.expiry <= now {
      drop(token, "said nothing more for \(secondsText(Double(patience) / 1e9)) s", &outcomes)
    }
    armTimer()
  }

  private func drop(_ token: UInt64, _ why: String, _ outcomes: inout [Outcome]) {
    guard let connection = halfOpen.removeValue(forKey: token) else { return }
    tutti_close(connection.descriptor)
    outcomes.append(.refused(why: "a connection from \(connection.origin)\(claim(connection.handshake.claimed)) \(why)"))
  }

  private func claim(_ hello: HandshakeHello?) -> String { hello.map { " that calls itself rank \($0.from)" } ?? "" }

  private func advance(_ token: UInt64, _ outcomes: inout [Outcome]) {
    while var connection = halfOpen[token] {
      let event: ListenerHandshake.Event
      switch Sockets.receiveNow(connection.descriptor, max: connection.handshake.bytesWanted) {
      case .nothing: return
      case .end: return drop(token, "closed before it had proven the job's secret", &outcomes)
      case .bytes(let bytes): event = connection.handshake.receive(bytes)
      }
      halfOpen[token] = connection
      switch event {
      case .more:
        continue
      case .reply(let reply):
        guard sendWhole(reply, on: connection.descriptor) else { return drop(token, "does not read", &outcomes) }
      case .accepted(let hello, let reply):
        guard sendWhole(reply, on: connection.descriptor) else { return drop(token, "does not read", &outcomes) }
        halfOpen[token] = nil
        _ = tutti_epoll_unwatch(descriptor, connection.descriptor)
        outcomes.append(.authenticated(hello, PassedDescriptor(OwnedDescriptor(connection.descriptor))))
      case .refused(let verdict, _, let version, let reply):
        _ = sendWhole(reply, on: connection.descriptor)
        drop(token, explain(verdict, version), &outcomes)
      }
    }
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
    }
  }
}
