import CTuttiLinux
import Glibc
import TuttiSystem
import TuttiTransport

/// One rank's membership in a communicator: who the others are, the connections to its neighbours in the control tree, and
/// the listener that others dial.
///
/// Threads: the service thread and any caller. All connections and descriptors belong to `state` and are used and closed
/// under its lock only, never blocking; a handler that comes late finds its connection gone. Handlers of the runtime are
/// called without the lock.
/// Invariant: `firstCause` is set once; when it is, every open tree edge has been handed the news.
package final class Membership: ControlPlane {
  package let rank: Int
  package let rankCount: Int
  /// By rank.
  package let members: [MemberRecord]
  let tree: ControlTree
  let communicator: CommunicatorID
  let secret: JobSecret
  let key: MessageKey
  let generation = tutti_current_fork_generation()
  /// Nil for a communicator of one rank, which needs no connections.
  let service: ServiceThread?
  /// Where this rank listens; nil as the service.
  let listening: MemberListeners.Settings?
  let state: Lock<State>

  /// A neighbour in the control tree.
  struct Edge {
    let connection: FramedConnection
    let token: ServiceThread.Token
  }

  /// A process of this host whose end the kernel announces.
  struct WatchedProcess {
    let descriptor: Int32
    let token: ServiceThread.Token
    let ranks: [Int]
  }

  struct Question {
    var answers: [Int: RankAnswer] = [:]
  }

  struct State {
    var acceptor: HandshakeAcceptor?
    var acceptorToken: ServiceThread.Token?
    var edges: [Int: Edge] = [:]
    /// Neighbours whose connection has come to an end; the value is the `errno`, or 0.
    var lost: [Int: Int32] = [:]
    /// Ranks known to have left in good order.
    var departed: Set<Int> = []
    var processes: [Int32: WatchedProcess] = [:]
    var board: DepartureBoard?
    /// Wakes the service thread for processes that ended after they had reported a failure.
    var timer: (descriptor: Int32, token: ServiceThread.Token)?
    var endedAfterFailure: [(due: UInt64, rank: Int)] = []
    var handlers: ControlHandlers?
    /// Data connections that came before the handlers.
    var early: [Delivery] = []
    var firstCause: FailureReport?
    var isAnnounced = false
    /// The join is complete: from now on, the end of a connection is news.
    var isEstablished = false
    /// What this membership is being split from, until it is established: when that fails, so does the split.
    var origin: Membership?
    var hasLeft = false
    var questions: [UInt64: Question] = [:]
    var nextQuestion: UInt64 = 1
  }

  /// A peer has dialed this rank for a link.
  struct Delivery {
    let peer: Int
    let transport: TransportKind
    let socket: PassedDescriptor
  }

  /// What is to be done once the lock is released.
  struct Aftermath {
    var failure: FailureReport?
    var onFailure: (@Sendable (FailureReport) -> Void)?
    var deliveries: [Delivery] = []
    var boardRequests: [PassedDescriptor] = []
    var questions: [(id: UInt64, asker: Int, operationNumber: UInt64)] = []
  }

  init(
    rank: Int, members: [MemberRecord], communicator: CommunicatorID, secret: JobSecret,
    service: ServiceThread?, listening: MemberListeners.Settings? = nil, origin: Membership? = nil
  ) {
    self.rank = rank
    rankCount = members.count
    self.members = members
    tree = ControlTree(rankCount: members.count)
    self.communicator = communicator
    self.secret = secret
    key = secret.handshakeKey(for: communicator)
    self.service = service
    self.listening = listening
    var state = State()
    state.origin = origin
    self.state = Lock(state)
  }

  deinit { leave() }

  /// Whether `peer` is on this rank's host and in its network namespace.
  package func isSameHost(_ peer: Int) -> Bool { members[peer].host == members[rank].host }

  /// Whether this rank and `peer`, or this rank and others when `peer` is itself, can map memory that one passes to the other.
  package func sharesMemory(with peer: Int) -> Bool {
    guard let domain = members[rank].facts.memoryDomain else { return false }
    return members[peer].facts.memoryDomain == domain
  }

  var isForked: Bool { generation != tutti_current_fork_generation() }

  package var firstCause: FailureReport? {
    // The lock may have been held by another thread at the moment of the fork.
    isForked ? Self.deadInChild : state.withLock { $0.firstCause }
  }

  /// Whether connecting to others has no purpose any more.
  var isGivenUp: Bool {
    if isForked { return true }
    let (isOver, origin) = state.withLock { ($0.firstCause != nil || $0.hasLeft, $0.origin) }
    return isOver || origin?.firstCause != nil
  }

  private static let deadInChild = FailureReport(
    .closed, "this process was forked from a rank, and communicators stay with the parent",
    advice: "Join again in the child, or exec a program of its own")

  package func activate(_ handlers: ControlHandlers) {
    let (early, failure) = state.withLock { state in
      precondition(state.handlers == nil, "handlers are set once")
      state.handlers = handlers
      defer { state.early = [] }
      let failure = state.isAnnounced ? nil : state.firstCause
      if failure != nil { state.isAnnounced = true }
      return (state.early, failure)
    }
    for connection in early { handlers.onConnection(connection.peer, connection.transport, connection.socket.take()) }
    if let failure { handlers.onFailure(failure) }
  }

  package func report(_ cause: FailureReport) {
    guard !isForked else { return }
    var after = Aftermath()
    state.withLock { fail(&$0, cause, except: nil, &after) }
    finish(after)
    flushEdges(until: monotonicNanoseconds() + 100 * Clock.millisecond)
  }

  package func leave() {
    guard !isForked else { return }
    let isFirst = state.withLock { state in
      guard !state.hasLeft else { return false }
      state.hasLeft = true
      // After a failure it stays `failed`: whoever misses this rank must wait for the cause, not take its leaving for one.
      if state.firstCause == nil { state.board?.mark(rank, .left) }
      for edge in state.edges.values {
        edge.connection.queue(ControlMessage.goodbye.bytes)
        edge.connection.flush()
      }
      return true
    }
    guard isFirst else { return }
    service?.forget(self)
    flushEdges(until: monotonicNanoseconds() + 100 * Clock.millisecond)
    closeEverything()
  }

  /// Leaves because the process exits, once what was sent is on its way.
  func leaveAtExit() {
    guard !isForked else { return }
    state.withLock { $0.handlers }?.onExit()
    leave()
  }

  /// Gives up every descriptor. Neighbours that have heard no goodbye take it for this rank's end.
  func closeEverything() {
    guard !isForked else { return }
    state.withLock { state in
      state.hasLeft = true
      for peer in Array(state.edges.keys) { closeEdge(&state, peer) }
      closeAcceptor(&state)
      for process in state.processes.values {
        service?.unwatch(process.token, process.descriptor)
        tutti_close(process.descriptor)
      }
      state.processes = [:]
      if let timer = state.timer {
        service?.unwatch(timer.token, timer.descriptor)
        tutti_close(timer.descriptor)
      }
      state.timer = nil
      state.early = []
      state.board = nil
      state.origin = nil
    }
  }

  // MARK: Under the lock

  /// Records the first cause and hands it to every edge but the one it came from.
  func fail(_ state: inout State, _ cause: FailureReport, except source: Int?, _ after: inout Aftermath) {
    guard state.firstCause == nil, !state.hasLeft else { return }
    state.firstCause = cause
    state.board?.mark(rank, .failed)
    let message = ControlMessage.abort(cause).bytes
    for (peer, edge) in state.edges where peer != source { post(message, on: edge) }
    if let handlers = state.handlers {
      state.isAnnounced = true
      after.failure = cause
      after.onFailure = handlers.onFailure
    }
  }

  /// Queues a message and sends what goes now; the rest goes when the service thread hears of room.
  func post(_ message: [UInt8], on edge: Edge) {
    edge.connection.queue(message)
    edge.connection.flush()
    watchForRoom(edge)
  }

  /// Has a neighbour watched for room to send exactly as long as something is queued for it.
  func watchForRoom(_ edge: Edge) {
    let isQueued = edge.connection.queuedBytes > 0
    guard edge.connection.isWatchedForRoom != isQueued else { return }
    edge.connection.isWatchedForRoom = isQueued
    service?.rewatch(edge.token, edge.connection.descriptor, isQueued ? POLLIN | POLLOUT : POLLIN)
  }

  func closeAcceptor(_ state: inout State) {
    if let token = state.acceptorToken, let acceptor = state.acceptor {
      service?.unwatch(token, acceptor.descriptor)
      acceptor.close()
    }
    state.acceptor = nil
  }

  func closeEdge(_ state: inout State, _ peer: Int) {
    guard let edge = state.edges.removeValue(forKey: peer) else { return }
    service?.unwatch(edge.token, edge.connection.descriptor)
    // Unread input would turn the close into a reset, which may overtake what was sent last.
    for _ in 0..<16 where edge.connection.fill() { while edge.connection.nextFrame() != nil {} }
    edge.connection.close()
  }

  // MARK: Without the lock

  /// Does what the locked part left to do.
  func finish(_ after: Aftermath) {
    for socket in after.boardRequests { state.withLock { $0.board?.send(over: socket.raw) } }
    if !after.questions.isEmpty { answer(after.questions) }
    for delivery in after.deliveries { deliver(delivery) }
    if let failure = after.failure { after.onFailure?(failure) }
  }

  private func deliver(_ connection: Delivery) {
    let handlers = state.withLock { state -> ControlHandlers? in
      if state.handlers == nil, !state.hasLeft, state.early.count < 2 * rankCount { state.early.append(connection) }
      return state.hasLeft ? nil : state.handlers
    }
    handlers?.onConnection(connection.peer, connection.transport, connection.socket.take())
  }

  private func flushEdges(until deadline: UInt64) {
    _ = Clock.wait(until: deadline) {
      state.withLock { state in
        for edge in state.edges.values {
          edge.connection.flush()
          watchForRoom(edge)
        }
        return state.edges.values.allSatisfy { $0.connection.queuedBytes == 0 }
      }
    }
  }
}
