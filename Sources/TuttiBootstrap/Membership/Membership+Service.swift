import CTuttiLinux
import Glibc
import TuttiSystem

// What the service thread does for a membership: new connections, control messages, the end of neighbours and of processes.

extension Membership {
  // MARK: Connections

  /// Starts accepting.
  func startListening(_ listeners: [PassedDescriptor]) throws(FailureReport) {
    guard service != nil else { return }
    let (rank, rankCount, tree) = (rank, rankCount, tree)
    let policy = ListenerPolicy(
      rank: rank, expected: rankCount, communicator: communicator, key: key, tls: tls,
      judge: { hello in
        guard hello.rankCount == rankCount, hello.from < rankCount, hello.from != rank else { return .wrongRank }
        switch hello.role {
        case .rendezvous: return .wrongRank
        case .control: return tree.parent(of: hello.from) == rank ? .fine : .wrongRank
        case .link, .departureBoard: return hello.from > rank ? .fine : .wrongRank
        }
      })
    try makeNeighbourBell()
    let acceptor = try HandshakeAcceptor(policy: policy, listeners: listeners, clock: clock)
    state.withLock { $0.acceptor = acceptor }
    let watch = try DescriptorWatch(acceptor.descriptor) { [weak self] in self?.acceptorIsReady() }
    state.withLock { $0.acceptorWatch = watch }
  }

  private func acceptorIsReady() {
    let deliveries = state.withLock { state -> [Delivery] in
      guard let acceptor = state.acceptor else { return [] }
      var deliveries: [Delivery] = []
      for case .authenticated(let hello, let connection) in acceptor.service() {
        switch hello.role {
        case .control: attach(&state, hello.from, connection.take())
        case .departureBoard:
          // Memory is for processes of this user alone, whatever they have proven.
          guard Sockets.isOfOwnUser(connection.raw) else { break }
          if let board = state.board {
            board.send(over: connection.raw)
          } else if state.boardSeekers.count < rankCount {
            state.boardSeekers.append(connection)
          }
        case .link:
          if let transport = hello.transport {
            deliveries.append(Delivery(peer: hello.from, transport: transport, connection: connection))
          }
        case .rendezvous: break
        }
      }
      return deliveries
    }
    for delivery in deliveries { deliver(delivery) }
  }

  private func deliver(_ delivery: Delivery) {
    let handlers = state.withLock { state -> ControlHandlers? in
      if state.machines.failures.hasLeft { return nil }
      if state.handlers == nil, state.early.count < 2 * rankCount { state.early.append(delivery) }
      return state.handlers
    }
    handlers?.onConnection(delivery.peer, delivery.transport, delivery.connection.take())
  }

  // MARK: Edges

  /// Makes an authenticated connection the tree edge to `peer`. One that is not wanted is closed.
  func attach(_ state: inout State, _ peer: Int, _ connection: consuming Connection) {
    attach(&state, EdgeConnection.framed(peer, connection, clock: clock))
  }

  /// Makes the connection of a neighbour its edge, and tells a child the table of ranks, if it waits for that.
  func attach(_ state: inout State, _ connection: FramedConnection) {
    let peer = connection.peer
    guard let service,
      let edge = try? EdgeConnection(
        connection, service, patience: patience, { [weak self] in self?.edgeIsReady(peer) })
    else { return }
    if !state.machines.attach(edge, to: peer) {
      edge.close()
    } else if peer > rank, !state.table.isEmpty {
      edge.send(state.table)
    }
    state.neighbourBell?.ring()
  }

  func edgeIsReady(_ peer: Int) {
    change { machines, after in machines.edgeIsReady(peer, &after) }
  }

  // MARK: Processes

  /// The join is complete: watches the processes of this host, and makes up for ends that came during the join.
  func establish() throws(FailureReport) {
    guard let service else { return }
    let descriptor = OwnedDescriptor(try systemCall("timerfd_create") { tutti_timerfd() })
    let timer = try WatchedOwner(descriptor, service) { [weak self] in self?.timerHasFired() }
    state.withLock { state in
      state.timer = timer
      state.origin = nil
      state.table = []
      state.neighbourBell = nil
    }
    let (processes, now) = (processesToWatch, clock.now())
    change { machines, after in
      machines.establish(&after)
      machines.watch(processes, open: { open($0, service) }, now: now, &after)
    }
    service.leaveAtExit(self)
  }

  /// The other processes that this rank watches, of those that share memory with it and have numbers here, with the ranks
  /// that they are.
  private var processesToWatch: [ProcessIdentity: [Int]] {
    let own = members[rank].process
    let local = localRanks.filter { members[$0].process.namespace == own.namespace }
    let watched = WatchPattern.ranks(watchedBy: rank, of: local, tree: tree).filter { members[$0].process != own }
    return Dictionary(grouping: watched) { members[$0].process }
  }

  /// Asks the kernel to watch a process: that tells of its end even while forked children hold its sockets open.
  private func open(_ process: ProcessIdentity, _ service: ServiceThread) -> ProcessWatch.Opened {
    let descriptor = OwnedDescriptor(tutti_pidfd_open(process.pid))
    if descriptor.raw < 0 { return errno == ESRCH ? .gone : .unwatchable }
    // The number may already be another process's.
    let startTime = ProcessIdentity.startTime(of: String(process.pid)) ?? process.startTime
    if startTime != process.startTime { return .gone }
    let watch = try? WatchedOwner(descriptor, service) { [weak self] in self?.processIsReady(process) }
    return watch.map { .watched($0) } ?? .unwatchable
  }

  private func processIsReady(_ process: ProcessIdentity) {
    let now = clock.now()
    change { machines, after in machines.processHasEnded(process, now: now, &after) }
  }

  private func timerHasFired() {
    let now = clock.now()
    change { machines, after in machines.timeIsUp(now: now, &after) }
  }
}
