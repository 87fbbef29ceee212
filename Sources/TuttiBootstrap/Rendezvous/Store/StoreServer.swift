import TuttiSystem

/// A store in this process, and its server for others that prove a secret.
///
/// The service thread answers; nothing here waits. All state is used under one lock. It is bounded: it has a limited number
/// of keys, each with a value of limited size, and a connection for each question that is being asked.
package final class StoreServer: Sendable {
  /// A connection that asks, and the key that it waits for.
  private struct Caller {
    let connection: FramedConnection
    let watch: DescriptorWatch
    var awaited: String?
  }

  private struct State {
    var values: [String: [UInt8]] = [:]
    var acceptor: HandshakeAcceptor?
    var acceptorWatch: DescriptorWatch?
    var callers: [Int32: Caller] = [:]
  }

  package static let keysMax = 1 << 17

  /// Clients that may come at the same time: as many as wait to be accepted. Their number is not known.
  private static let clientsExpected = Int(Sockets.backlog)

  private let state = Lock(State())
  private let clock: MonotonicClock

  /// - Parameters:
  ///   - listener: A socket that listens at the address already; nil to open one.
  ///   - secret: What clients prove.
  package init(
    _ address: RendezvousAddress, listener: ListeningSocket?, secret: JobSecret, clock: MonotonicClock = .system
  ) throws(FailureReport) {
    self.clock = clock
    let socket: PassedDescriptor
    if let listener {
      socket = try listener.take()
    } else {
      // The program has chosen the address, and waits for nobody.
      let own = RendezvousListener(
        rendezvous: address, localhostIsEverywhere: false, advertised: [], deadline: clock.now(), clock: clock)
      socket = PassedDescriptor(try own.open())
    }
    let acceptor = try HandshakeAcceptor(
      policy: ListenerPolicy(
        rank: 0, expected: Self.clientsExpected, communicator: .store, key: secret.handshakeKey(for: .store),
        tls: secret.tlsKey(for: .store),
        judge: { $0.role == .rendezvous ? .fine : .wrongRank }),
      listeners: [socket], clock: clock)
    let watch = try DescriptorWatch(acceptor.descriptor) { [weak self] in self?.acceptCallers() }
    state.withLock {
      $0.acceptor = acceptor
      $0.acceptorWatch = watch
    }
  }

  deinit { close() }

  /// Ends the service; idempotent. Whoever waits is told so by the end of its connection.
  package func close() {
    state.withLock { state in
      state.acceptorWatch?.cancel()
      state.acceptor?.close()
      state.acceptor = nil
      for descriptor in Array(state.callers.keys) { Self.drop(descriptor, &state) }
    }
  }

  /// False when the store is full.
  package func put(_ value: [UInt8], for key: String) -> Bool { state.withLock { Self.put(value, key, &$0) } }

  package func get(_ key: String) -> [UInt8]? { state.withLock { $0.values[key] } }

  // MARK: On the service thread

  private func acceptCallers() {
    state.withLock { state in
      for outcome in state.acceptor?.service() ?? [] {
        guard case .authenticated(_, let accepted) = outcome else { continue }
        let connection = FramedConnection(
          peer: 0, accepted.take(), frameBytesMax: StoreQuestion.bytesMax, clock: clock)
        let descriptor = connection.descriptor
        // Without room to watch it, the connection is closed and the client tries again.
        guard let watch = try? DescriptorWatch(descriptor, { [weak self] in self?.hear(descriptor) }) else { continue }
        state.callers[descriptor] = Caller(connection: connection, watch: watch)
      }
    }
  }

  private func hear(_ descriptor: Int32) {
    state.withLock { state in
      guard let caller = state.callers[descriptor] else { return }
      caller.connection.fill()
      while let frame = caller.connection.nextFrame() {
        guard let question = try? StoreQuestion(frame) else { return Self.drop(descriptor, &state) }
        Self.answer(question, descriptor, &state)
      }
      if caller.connection.state != .open { Self.drop(descriptor, &state) }
    }
  }

  private static func answer(_ question: StoreQuestion, _ descriptor: Int32, _ state: inout State) {
    switch question {
    case .put(let key, let value):
      tell(put(value, key, &state) ? .stored : .full, descriptor, &state)
    case .get(let key):
      tell(state.values[key].map { .value($0) } ?? .nothing, descriptor, &state)
    case .wait(let key):
      if let value = state.values[key] {
        tell(.value(value), descriptor, &state)
      } else {
        state.callers[descriptor]?.awaited = key
      }
    }
  }

  private static func put(_ value: [UInt8], _ key: String, _ state: inout State) -> Bool {
    guard state.values[key] != nil || state.values.count < keysMax else { return false }
    state.values[key] = value
    for (descriptor, caller) in state.callers where caller.awaited == key {
      state.callers[descriptor]?.awaited = nil
      tell(.value(value), descriptor, &state)
    }
    return true
  }

  /// An answer is smaller than any socket's buffer; one that does not fit is a client that does not read.
  private static func tell(_ answer: StoreAnswer, _ descriptor: Int32, _ state: inout State) {
    guard let connection = state.callers[descriptor]?.connection else { return }
    connection.queue(answer.bytes)
    connection.flush()
    if connection.queuedBytes > 0 { drop(descriptor, &state) }
  }

  private static func drop(_ descriptor: Int32, _ state: inout State) {
    guard let caller = state.callers.removeValue(forKey: descriptor) else { return }
    caller.watch.cancel()
    caller.connection.close()
  }
}
