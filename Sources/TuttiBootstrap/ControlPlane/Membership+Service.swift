import CTuttiLinux
import Glibc
import TuttiSystem

// What the service thread does for a membership: new connections, control messages, the end of neighbours and of processes.

extension Membership {
  /// Starts accepting. `listeners` are owned from here on, also when this throws.
  func startListening(_ listeners: [Int32]) throws(FailureReport) {
    guard let service else { return }
    let (rank, rankCount, tree) = (rank, rankCount, tree)
    let policy = ListenerPolicy(
      rank: rank, communicator: communicator, key: key,
      judge: { hello in
        guard hello.rankCount == rankCount, hello.from < rankCount, hello.from != rank else { return .wrongRank }
        switch hello.role {
        case .rendezvous: return .wrongRank
        case .control: return tree.parent(of: hello.from) == rank ? .fine : .wrongRank
        case .link, .departureBoard: return hello.from > rank ? .fine : .wrongRank
        }
      })
    let acceptor = try HandshakeAcceptor(policy: policy, listeners: listeners)
    let descriptor = acceptor.descriptor
    state.withLock { $0.acceptor = acceptor }
    let token = try service.watch(descriptor) { [weak self] in self?.acceptorIsReady() }
    state.withLock { $0.acceptorToken = token }
  }

  private func acceptorIsReady() {
    var after = Aftermath()
    state.withLock { state in
      guard let acceptor = state.acceptor else { return }
      for outcome in acceptor.service() {
        guard case .authenticated(let hello, let socket) = outcome else { continue }
        switch hello.role {
        case .control: attach(&state, hello.from, socket.take())
        case .departureBoard:
          // Memory is for processes of this user alone, whatever they have proven.
          if Sockets.isOfOwnUser(socket.raw) { after.boardRequests.append(socket) }
        case .link:
          if let transport = hello.transport {
            after.deliveries.append(Delivery(peer: hello.from, transport: transport, socket: socket))
          }
        case .rendezvous: break
        }
      }
    }
    finish(after)
  }

  /// Makes an authenticated connection the tree edge to `peer`. A second one for the same peer is closed.
  func attach(_ state: inout State, _ peer: Int, _ socket: consuming OwnedDescriptor) {
    let descriptor = socket.handOver()
    Sockets.limitSilence(descriptor)
    let connection = FramedConnection(peer: peer, descriptor: descriptor, frameBytesMax: ControlMessage.bytesMax)
    guard state.edges[peer] == nil, state.lost[peer] == nil, !state.departed.contains(peer), !state.hasLeft, let service,
      let token = try? service.watch(descriptor, POLLIN, { [weak self] in self?.edgeIsReady(peer) })
    else { return connection.close() }
    let edge = Edge(connection: connection, token: token)
    state.edges[peer] = edge
    if let cause = state.firstCause { post(ControlMessage.abort(cause).bytes, on: edge) }
  }

  private func edgeIsReady(_ peer: Int) {
    var after = Aftermath()
    state.withLock { readEdge(&$0, peer, &after) }
    finish(after)
  }

  /// Takes in what a neighbour has sent, then notices its end.
  private func readEdge(_ state: inout State, _ peer: Int, _ after: inout Aftermath) {
    guard let edge = state.edges[peer] else { return }
    let connection = edge.connection
    connection.flush()
    watchForRoom(edge)
    // Bounded: a neighbour that never stops sending must not keep the thread; the rest is read when it is called again.
    for _ in 0..<4 {
      let mayHaveMore = connection.fill()
      while state.edges[peer] != nil, let frame = connection.nextFrame() {
        guard let message = try? ControlMessage(frame, rankCount: rankCount) else {
          return loseEdge(&state, peer, EBADMSG, &after)
        }
        take(message, from: peer, &state, &after)
      }
      guard state.edges[peer] != nil else { return }
      if !mayHaveMore { break }
    }
    switch connection.state {
    case .open: break
    case .malformed: loseEdge(&state, peer, EBADMSG, &after)
    case .ended(let code): loseEdge(&state, peer, code, &after)
    }
  }

  private func take(_ message: ControlMessage, from peer: Int, _ state: inout State, _ after: inout Aftermath) {
    switch message {
    case .abort(let cause):
      fail(&state, cause, except: peer, &after)
    case .goodbye:
      state.departed.insert(peer)
      closeEdge(&state, peer)
    case .question(let id, let asker, let target, let operationNumber):
      if target == rank {
        after.questions.append((id, asker, operationNumber))
      } else {
        forward(message, to: target, from: peer, &state)
      }
      if let hop = tree.nextHop(from: rank, to: target), hop != peer, state.departed.contains(hop) {
        route(.answer(id: id, asker: asker, about: hop, .left), to: asker, &state)
      }
    case .answer(let id, let asker, let about, let answer):
      if asker == rank {
        state.questions[id]?.answers[about] = answer
      } else {
        forward(message, to: asker, from: peer, &state)
      }
    }
  }

  /// Passes a message on, never back to where it came from: then it is not one that belongs on this tree.
  private func forward(_ message: ControlMessage, to target: Int, from source: Int, _ state: inout State) {
    guard tree.nextHop(from: rank, to: target) != source else { return }
    route(message, to: target, &state)
  }

  /// Sends a question or an answer on its way. Both may be lost: a neighbour that does not read gets no more of them.
  func route(_ message: ControlMessage, to target: Int, _ state: inout State) {
    guard let hop = tree.nextHop(from: rank, to: target), let edge = state.edges[hop],
      edge.connection.queuedBytes < 16 * ControlMessage.bytesMax
    else { return }
    post(message.bytes, on: edge)
  }

  func answer(_ questions: [(id: UInt64, asker: Int, operationNumber: UInt64)]) {
    guard let handlers = state.withLock({ $0.handlers }) else { return }
    for question in questions {
      let status = handlers.status(question.operationNumber)
      state.withLock { state in
        route(.answer(id: question.id, asker: question.asker, about: rank, .status(status)), to: question.asker, &state)
      }
    }
  }

  // MARK: Ends

  /// A control connection has ended without a goodbye.
  private func loseEdge(_ state: inout State, _ peer: Int, _ code: Int32, _ after: inout Aftermath) {
    closeEdge(&state, peer)
    state.lost[peer] = code
    if state.board?[peer] == .left { state.departed.insert(peer) }
    if state.isEstablished { blame(&state, peer, &after) }
  }

  private func blame(_ state: inout State, _ peer: Int, _ after: inout Aftermath) {
    guard let code = state.lost[peer], !state.departed.contains(peer) else { return }
    let who = members[peer].description
    let cause =
      switch code {
      case 0, ECONNRESET, EPIPE:
        FailureReport(
          .peerLost, rank: rank, peer: peer, "\(who) ended without leaving the communicator",
          advice: "Look at its own output and exit status: a crash, kill, or out of memory")
      case EBADMSG:
        FailureReport(
          .peerLost, rank: rank, peer: peer, "\(who) sent a control message that cannot be read",
          advice: "Run the same build of the library on every rank")
      default:
        FailureReport(
          .peerLost, rank: rank, peer: peer, "\(who) cannot be reached any more",
          advice: "Look at its host and the network between", systemError: code)
      }
    fail(&state, cause, except: nil, &after)
  }

  /// The join is complete: watches the processes of this host, and makes up for ends that came during the join.
  func establish() throws(FailureReport) {
    guard let service else { return }
    let descriptor = try systemCall("timerfd_create") { tutti_timerfd() }
    let token: ServiceThread.Token
    do {
      token = try service.watch(descriptor) { [weak self] in self?.timerHasFired() }
    } catch {
      tutti_close(descriptor)
      throw error
    }
    var after = Aftermath()
    state.withLock { state in
      state.timer = (descriptor, token)
      state.isEstablished = true
      state.origin = nil
      for peer in state.lost.keys { blame(&state, peer, &after) }
      if state.board != nil { watchProcesses(&state, &after) }
    }
    finish(after)
    service.leaveAtExit(self)
  }

  /// Watches every other process that has the board, also when forked children hold its sockets open. One that has not could not say
  /// that it leaves in good order before its end is news, so its end is heard of by its control connections.
  private func watchProcesses(_ state: inout State, _ after: inout Aftermath) {
    let own = members[rank].process
    let others = members.filter { sharesMemory(with: $0.rank) && $0.process != own && $0.process.namespace == own.namespace }
    for (process, ranks) in Dictionary(grouping: others, by: \.process) {
      let pid = process.pid
      let ranks = ranks.map(\.rank)
      let descriptor = tutti_pidfd_open(pid)
      let code = errno
      // The number may already be another process's.
      let startTime = ProcessIdentity.startTime(of: String(pid)) ?? process.startTime
      let isGone = descriptor < 0 ? code == ESRCH : startTime != process.startTime
      if isGone {
        tutti_close(descriptor)
        processHasEnded(&state, ranks, &after)
      } else if descriptor >= 0, let service,
        let token = try? service.watch(descriptor, POLLIN, { [weak self] in self?.processIsReady(pid) })
      {
        state.processes[pid] = WatchedProcess(descriptor: descriptor, token: token, ranks: ranks)
      } else {
        // Not permitted to watch it: the end of its connections tells as well, unless its forked children hold them.
        tutti_close(descriptor)
      }
    }
  }

  private func processIsReady(_ pid: Int32) {
    var after = Aftermath()
    state.withLock { state in
      guard let process = state.processes.removeValue(forKey: pid) else { return }
      service?.unwatch(process.token, process.descriptor)
      tutti_close(process.descriptor)
      // What it said last comes before its end.
      for rank in process.ranks { readEdge(&state, rank, &after) }
      processHasEnded(&state, process.ranks, &after)
    }
    finish(after)
  }

  private func processHasEnded(_ state: inout State, _ ranks: [Int], _ after: inout Aftermath) {
    for peer in ranks where !state.departed.contains(peer) {
      switch state.board?[peer] ?? .present {
      case .left:
        state.departed.insert(peer)
      case .failed:
        // It ended because the communicator failed; the first cause is on its way here, this is only what happens if it is
        // not. Where a rank that does not answer is in its way, this rank's own diagnosis is to come first.
        let due = monotonicNanoseconds() + Clock.second
        state.endedAfterFailure.append((due, peer))
        if let timer = state.timer { tutti_timerfd_set(timer.descriptor, state.endedAfterFailure[0].due) }
      case .present:
        state.lost[peer] = 0
        blame(&state, peer, &after)
      }
    }
  }

  private func timerHasFired() {
    var after = Aftermath()
    state.withLock { state in
      guard let timer = state.timer else { return }
      let now = monotonicNanoseconds()
      while let first = state.endedAfterFailure.first, first.due <= now {
        state.endedAfterFailure.removeFirst()
        state.lost[first.rank] = 0
        blame(&state, first.rank, &after)
      }
      tutti_timerfd_set(timer.descriptor, state.endedAfterFailure.first?.due ?? 0)
    }
    finish(after)
  }
}
