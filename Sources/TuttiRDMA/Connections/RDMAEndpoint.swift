import TuttiSystem
import TuttiTopology

#if RDMA
  import CTuttiLinux
  import CTuttiVerbs
  import Glibc
  import Synchronization
  import TuttiTransport

  /// One rank's half of all RDMA links of one communicator. Higher ranks dial it, and it dials lower ones.
  ///
  /// Whoever wants a link proves the job's secret over TCP first, and gets an ``RDMAInvitation``: addresses, and a token
  /// that is valid once. It then connects each queue pair through librdmacm, with the token in the private data. Connections
  /// without one are refused. Invariant: an identifier is destroyed without the lock, because that waits for its events to
  /// be given back.
  package final class RDMAEndpoint: @unchecked Sendable {
    // @unchecked: constants, and a lock.

    package let fabric: RDMAFabric
    package let rank: Int
    let layout: RDMALayout
    let registered: RegisteredMemory?
    private let doorbell: Doorbell
    let events: RDMAEvents
    private let listeners: [VerbsLibrary.ID]
    private let ports: [UInt16]

    /// A link that a peer is opening.
    private struct Pending {
      let peer: Int
      let token: RDMAToken
      var connection: RDMAConnection?
      var established = 0
    }
    private struct State {
      var pending: [Pending] = []
      var arrivals: [RDMAConnection] = []
      var failure: FailureReport?
      var isClosed = false
    }
    private let state = Lock(State())

    /// The largest payload of a segment between so many ranks; equal on all of them.
    package static func segmentBytesMax(rankCount: Int) -> Int { RDMALayout.segmentBytesMax(rankCount: rankCount) }

    /// - Parameters:
    ///   - doorbell: The rank's doorbell, which is rung when a link was made or has ended.
    ///   - registered: The memory of this rank that links use without copies; the fabric is attached to it.
    ///   - segmentBytesMax: The largest segment of its links; nil for what ``segmentBytesMax(rankCount:)`` gives.
    package init(
      fabric: RDMAFabric, rank: Int, rankCount: Int, doorbell: Doorbell, registered: RegisteredMemory?,
      segmentBytesMax: Int? = nil
    ) throws(FailureReport) {
      self.fabric = fabric
      self.rank = rank
      self.doorbell = doorbell
      self.registered = registered
      layout = RDMALayout(segmentBytesMax: segmentBytesMax ?? Self.segmentBytesMax(rankCount: rankCount))
      events = try RDMAEvents(fabric.verbs, rank: rank)
      var listeners: [VerbsLibrary.ID] = []
      var ports: [UInt16] = []
      do throws(FailureReport) {
        for rail in fabric.rails {
          let listener = try Self.listen(on: rail, events, rank)
          listeners.append(listener)
          ports.append(UInt16(bigEndian: fabric.verbs.getSourcePort(listener)))
        }
        try registered?.attach(fabric)
      } catch {
        for listener in listeners { _ = fabric.verbs.destroyID(listener) }
        throw error
      }
      self.listeners = listeners
      self.ports = ports
      fabric.add(doorbell)
    }

    deinit { close() }

    private static func listen(on rail: Rail, _ events: RDMAEvents, _ rank: Int) throws(FailureReport) -> VerbsLibrary.ID {
      guard let id = events.makeID(nil) else { throw failure("rdma_create_id", errno, rail, rank) }
      let isBound = RDMAEvents.withAddress(rail, port: 0) { events.verbs.bindAddress(id, $0) } == 0
      // The call bound without an error, yet to no device, and has left no code.
      var code = isBound ? ENODEV : errno
      if isBound, id.pointee.verbs != nil {
        if events.verbs.listen(id, 1024) == 0 { return id }
        code = errno
      }
      let error = failure(isBound ? "rdma_listen" : "rdma_bind_addr", code, rail, rank)
      _ = events.verbs.destroyID(id)
      throw error
    }

    private static func failure(_ call: String, _ code: Int32, _ rail: Rail, _ rank: Int) -> FailureReport {
      FailureReport(
        .transport, rank: rank, "rank \(rank) cannot listen on \(rail.description): \(call) failed",
        advice: "Look at collbench list for the state of the devices, and name others with TUTTI_RDMA_DEVICES",
        transport: "rdma", systemError: code)
    }

    /// Becomes readable when the connection manager has news. Whoever watches it then calls ``service()``.
    package var descriptor: Int32 { events.descriptor }

    // MARK: Being dialed

    /// Tells a dialer that has proven the job's secret on `socket` where to connect, and gives it a token to show there.
    /// Never blocks; the link comes with ``takeLinks(into:)``.
    package func invite(over socket: consuming OwnedDescriptor, from peer: Int) throws(FailureReport) {
      let token = RDMAToken.fresh()
      let isOpen = state.withLock { state in
        if !state.isClosed { state.pending.append(Pending(peer: peer, token: token)) }
        return !state.isClosed
      }
      guard isOpen else { return }
      let bytes = RDMAInvitation(queuePairs: fabric.settings.queuePairs, token: token, ports: ports).bytes
      // The buffer of an empty socket takes this little at once.
      guard tutti_socket_send(socket.raw, bytes, bytes.count, nil, 0) == bytes.count else {
        throw FailureReport(
          .peerLost, rank: rank, peer: peer, "rank \(peer) went away while a link to it was opened",
          advice: "Look at the output of rank \(peer) for the cause", transport: "rdma")
      }
    }

    /// Handles news from the connection manager. Never blocks for long. Any thread.
    package func service() {
      for _ in 0..<256 {
        guard let event = events.next() else { return }
        let (id, kind, status) = (event.pointee.id, event.pointee.event, event.pointee.status)
        if kind == RDMA_CM_EVENT_CONNECT_REQUEST {
          let introduction = RDMAIntroduction(
            UnsafeRawBufferPointer(
              start: event.pointee.param.conn.private_data, count: Int(event.pointee.param.conn.private_data_len)))
          // A refused identifier can be destroyed only after its event was given back.
          let refused = id.flatMap { takeRequest($0, introduction) ? nil : $0 }
          _ = fabric.verbs.acknowledgeEvent(event)
          if let refused { refuse(refused) }
          continue
        }
        if let id, let context = id.pointee.context {
          take(kind, status, Unmanaged<RDMAConnection>.fromOpaque(context).takeUnretainedValue())
        }
        _ = fabric.verbs.acknowledgeEvent(event)
      }
    }

    private func refuse(_ id: VerbsLibrary.ID) {
      _ = fabric.verbs.reject(id, nil, 0)
      _ = fabric.verbs.destroyID(id)
    }

    /// Handles the request for a queue pair of a link that was invited. Returns whether it was accepted.
    private func takeRequest(_ id: VerbsLibrary.ID, _ introduction: RDMAIntroduction?) -> Bool {
      guard let introduction, introduction.segmentBytesMax == layout.segmentBytesMax,
        let rail = rail(of: id), rail == introduction.rail
      else { return false }
      return state.withLock { state in
        guard !state.isClosed,
          let index = state.pending.firstIndex(where: { $0.token.isEqual(to: introduction.token) })
        else { return false }
        do throws(FailureReport) {
          try accept(id, introduction, rail, &state.pending[index])
          return true
        } catch {
          state.failure = state.failure ?? error
          doorbell.ring()
          return false
        }
      }
    }

    /// The rail of an identifier's device and port.
    private func rail(of id: VerbsLibrary.ID) -> Int? {
      guard let verbs = id.pointee.verbs, let name = fabric.verbs.getDeviceName(verbs.pointee.device) else { return nil }
      let device = String(cString: name)
      return fabric.rails.firstIndex { $0.device == device && $0.port == id.pointee.port_num }
    }

    private func accept(
      _ id: VerbsLibrary.ID, _ introduction: RDMAIntroduction, _ rail: Int, _ pending: inout Pending
    ) throws(FailureReport) {
      let connection: RDMAConnection
      if let known = pending.connection {
        connection = known
      } else {
        connection = try RDMAConnection(fabric: fabric, rank: rank, peer: pending.peer, layout: layout)
        pending.connection = connection
        connection.events = events
        connection.remoteBase = introduction.address
        connection.queuePairsExpected = introduction.queuePairs
      }
      // Queue pairs come one after the other.
      guard connection.queuePairs.count == introduction.queuePair,
        connection.queuePairsExpected == introduction.queuePairs
      else { throw connection.failure("keeping the order of queue pairs", EPROTO) }
      try connection.addQueuePair(rail: rail)
      let index = introduction.queuePair
      connection.queuePairs[index].remoteKey = introduction.key
      connection.queuePairs[index].mtu = min(connection.queuePairs[index].mtu, UInt32(introduction.mtu))
      id.pointee.context = Unmanaged.passUnretained(connection).toOpaque()
      connection.queuePairs[index].id = id
      do throws(FailureReport) {
        try connection.move(index, to: IBV_QPS_INIT)
        let code = connection.postReceives(index, Int(RDMAConnection.receiveDepth))
        if code != 0 { throw connection.failure("ibv_post_recv", code) }
        try connection.move(index, to: IBV_QPS_RTR, isAccepting: true)
        try connection.move(index, to: IBV_QPS_RTS)
        try connection.answer(index, .accept)
      } catch {
        // The caller refuses its identifier.
        connection.queuePairs[index].id = nil
        throw error
      }
    }

    private func take(_ kind: rdma_cm_event_type, _ status: Int32, _ connection: RDMAConnection) {
      switch kind {
      case RDMA_CM_EVENT_ESTABLISHED:
        let isComplete = state.withLock { state in
          guard let index = state.pending.firstIndex(where: { $0.connection === connection }) else { return false }
          state.pending[index].established += 1
          guard state.pending[index].established == connection.queuePairsExpected else { return false }
          state.arrivals.append(connection)
          state.pending.remove(at: index)
          return true
        }
        if isComplete { doorbell.ring() }
      case RDMA_CM_EVENT_DEVICE_REMOVAL:
        connection.news.bitwiseOr(RDMAConnection.News.deviceRemoved, ordering: .releasing)
        doorbell.ring()
      case RDMA_CM_EVENT_DISCONNECTED, RDMA_CM_EVENT_CONNECT_ERROR, RDMA_CM_EVENT_UNREACHABLE, RDMA_CM_EVENT_REJECTED:
        // The link may not have been made yet.
        state.withLock { state in
          guard let index = state.pending.firstIndex(where: { $0.connection === connection }) else { return }
          if kind == RDMA_CM_EVENT_DISCONNECTED, connection.queuePairs.count == connection.queuePairsExpected {
            // All queue pairs are there: the peer's message that it is connected was lost, and the peer has left since. What
            // it sent is there.
            state.pending.remove(at: index)
            state.arrivals.append(connection)
            return
          }
          guard state.failure == nil else { return }
          let link = RDMAErrorText.Connection(
            rank: rank, peer: connection.peer, from: fabric.rails[connection.queuePairs.last?.rail ?? 0], to: nil)
          state.failure = RDMAErrorText.connection(event: kind.rawValue, status: status, link)
        }
        connection.news.bitwiseOr(RDMAConnection.News.disconnected, ordering: .releasing)
        doorbell.ring()
      default:
        break
      }
    }

    /// Appends the links that peers have opened since the last call: see ``TransportEnd/takeLinks(into:)``.
    package func takeLinks(into links: inout [Link]) throws(FailureReport) {
      while true {
        let (connection, failure) = state.withLock { state -> (RDMAConnection?, FailureReport?) in
          // After a failure, what has arrived stays here, for `close`.
          if state.failure != nil || state.arrivals.isEmpty { return (nil, state.failure) }
          return (state.arrivals.removeFirst(), nil)
        }
        if let failure { throw failure }
        guard let connection else { return }
        links.append(try RDMALink(connection, registered: registered))
      }
    }

    // MARK: The end

    /// Gives up listeners, and connections that nobody has taken. Links stay usable. Idempotent.
    package func close() {
      let (isFirst, unused) = state.withLock { state in
        defer {
          state.isClosed = true
          state.pending = []
          state.arrivals = []
        }
        return (!state.isClosed, state.pending.compactMap(\.connection) + state.arrivals)
      }
      guard isFirst else { return }
      fabric.remove(doorbell)
      RDMAConnection.close(unused)
      if events.isOwn { for listener in listeners { _ = fabric.verbs.destroyID(listener) } }
    }
  }
#endif
