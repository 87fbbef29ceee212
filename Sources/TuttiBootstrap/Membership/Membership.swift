import CTuttiLinux
import Glibc
import TuttiSystem
import TuttiTransport

/// One rank's membership in a communicator: who the others are, the connections to its neighbours in the control tree, and
/// the listener that others dial.
///
/// What it decides is in ``ControlMachines``; here are the sockets, processes, timers and threads around them.
///
/// Threads: the service thread and any caller. All connections and descriptors belong to `state` and are used and closed
/// under its lock only, never blocking; a handler that comes late finds its connection gone. Handlers of the runtime are
/// called without the lock.
package final class Membership: ControlPlane {
  package let rank: Int
  package let rankCount: Int
  /// By rank.
  package let members: [MemberRecord]
  let tree: ControlTree
  let communicator: CommunicatorID
  let secret: JobSecret
  let key: MessageKey
  /// What connections between hosts derive their TLS keys from; nil where they are in the clear.
  let tls: MessageKey?
  let clock: MonotonicClock
  let generation = tutti_current_fork_generation()
  /// Nil for a communicator of one rank, which needs no connections.
  let service: ServiceThread?
  /// Where this rank listens; nil where ``service`` is.
  let listening: MemberListeners.Settings?
  let patience: LinkPatience
  let state: Lock<State>

  struct State {
    var machines: ControlMachines
    var acceptor: HandshakeAcceptor?
    var acceptorWatch: DescriptorWatch?
    var board: DepartureBoard?
    /// Ranks that came for the board before this one had it.
    var boardSeekers: [PassedConnection] = []
    /// The table of ranks as it travels, for each child in the control tree to get once it has dialed. Empty where the
    /// members are known to all, and once all neighbours are there.
    var table: [UInt8] = []
    /// Rings when an edge of the control tree comes to stand, for the thread that waits for them. Nil before, and once all
    /// stand.
    var neighbourBell: Doorbell?
    /// Wakes the service thread when the machines say so.
    var timer: WatchedOwner?
    var handlers: ControlHandlers?
    /// Data connections that came before the handlers.
    var early: [Delivery] = []
    /// What this membership is being split from, until it is established: when that fails, so does the split.
    var origin: Membership?
  }

  /// A peer has dialed this rank for a link.
  struct Delivery {
    let peer: Int
    let transport: TransportKind
    let connection: PassedConnection
  }

  init(
    rank: Int, members: [MemberRecord], table: [UInt8] = [], communicator: CommunicatorID, secret: JobSecret,
    service: ServiceThread?, listening: MemberListeners.Settings? = nil, origin: Membership? = nil,
    patience: LinkPatience = .standard, clock: MonotonicClock = .system
  ) {
    self.rank = rank
    rankCount = members.count
    self.members = members
    tree = ControlTree(rankCount: members.count)
    self.communicator = communicator
    self.secret = secret
    key = secret.handshakeKey(for: communicator)
    tls = secret.tlsKey(for: communicator)
    self.service = service
    self.listening = listening
    self.patience = patience
    self.clock = clock
    let machines = ControlMachines(rank: rank, tree: tree) { members[$0].description }
    state = Lock(State(machines: machines, table: table, origin: origin))
  }

  deinit { leave() }

  /// Whether `peer` is on this rank's host and in its network namespace.
  package func isSameHost(_ peer: Int) -> Bool { members[peer].host == members[rank].host }

  /// Whether this rank and `peer`, or this rank and others when `peer` is itself, can map memory that one passes to the
  /// other.
  package func sharesMemory(with peer: Int) -> Bool { members[rank].facts.sharesMemory(with: members[peer].facts) }

  var isForked: Bool { generation != tutti_current_fork_generation() }

  package var firstCause: FailureReport? {
    // The lock may have been held by another thread at the moment of the fork.
    isForked ? Self.deadInChild : state.withLock { $0.machines.failures.firstCause }
  }

  /// Whether connecting to others has no purpose any more.
  var isGivenUp: Bool {
    if isForked { return true }
    let (isOver, origin) = state.withLock { ($0.machines.failures.isOver, $0.origin) }
    return isOver || origin?.firstCause != nil
  }

  private static let deadInChild = FailureReport(
    .closed, "this process was forked from a rank, and communicators stay with the parent",
    advice: "Join again in the child, or exec a program of its own")

  package func activate(_ handlers: ControlHandlers) {
    let (early, failure) = state.withLock { state in
      defer { state.early = [] }
      state.handlers = handlers
      return (state.early, state.machines.listen())
    }
    for delivery in early { handlers.onConnection(delivery.peer, delivery.transport, delivery.connection.take()) }
    if let failure { handlers.onFailure(failure) }
  }

  package func report(_ cause: FailureReport) {
    guard !isForked else { return }
    change { machines, after in machines.report(cause, &after) }
    flushEdges(until: clock.now() + 100 * Clock.millisecond)
  }

  package func leave() {
    guard !isForked, state.withLock({ $0.machines.leave() }) else { return }
    service?.forget(self)
    flushEdges(until: clock.now() + 100 * Clock.millisecond)
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
      state.machines.close()
      state.closeAcceptor()
      state.timer = nil
      state.early = []
      state.board = nil
      state.boardSeekers = []
      state.table = []
      state.neighbourBell = nil
      state.origin = nil
    }
  }

  /// What this rank and its neighbours in the control tree have said to each other so far.
  package var traffic: ControlTraffic {
    state.withLock { state in
      state.machines.edges.channels.values.reduce(ControlTraffic()) { $0 + $1.traffic }
    }
  }

  // MARK: The machines

  /// Lets the machines do something under the lock, and then does, without the lock, what they left to do.
  func change<Value>(_ body: (inout ControlMachines, inout ControlMachines.Aftermath) -> Value) -> Value {
    var after = ControlMachines.Aftermath()
    let (value, handlers) = state.withLock { state in
      let due = state.machines.processes.nextDue
      let value = body(&state.machines, &after)
      let next = state.machines.processes.nextDue
      // Also when it is the same: a timer that has fired is readable until it is set again.
      if (next ?? due) != nil, let timer = state.timer {
        tutti_timerfd_set(timer.raw, next.map(clock.systemTime(at:)) ?? 0)
      }
      return (value, state.handlers)
    }
    if let handlers {
      for inquiry in after.inquiries {
        let status = handlers.status(inquiry.operationNumber)
        change { machines, after in machines.answer(inquiry, status, &after) }
      }
      if let failure = after.failure { handlers.onFailure(failure) }
    }
    return value
  }

  private func flushEdges(until deadline: UInt64) {
    _ = clock.wait(until: deadline) { state.withLock { $0.machines.flush() } }
  }
}

extension Membership.State {
  mutating func closeAcceptor() {
    acceptorWatch?.cancel()
    acceptorWatch = nil
    acceptor?.close()
    acceptor = nil
  }
}
