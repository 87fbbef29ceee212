import TuttiSystem
import TuttiTopology

#if RDMA
  import CTuttiLinux
  import CTuttiVerbs
  import Glibc
  import TuttiTransport

  /// Dials: reads the invitation, then connects one queue pair after the other.
  extension RDMAEndpoint {
    /// Opens the link to a peer that was dialed on `socket`. Blocks, until the deadline at most.
    ///
    /// - Parameters:
    ///   - rails: The peer's rails.
    ///   - giveUp: Asked now and then; what it returns is thrown.
    package func connect(
      over socket: consuming OwnedDescriptor, to peer: Int, rails: [Rail], deadline: UInt64, giveUp: () -> FailureReport?
    ) throws(FailureReport) -> Link {
      let invitation = try readInvitation(socket.raw, peer, deadline, giveUp)
      let pairs = Rail.pairs(fabric.rails, rails)
      guard !pairs.isEmpty else {
        throw FailureReport(
          .configuration, rank: rank, peer: peer,
          "ranks \(rank) and \(peer) have no RDMA fabric in common (\(fabric.rails.map(\.description).joined(separator: ", ")); "
            + "\(rails.map(\.description).joined(separator: ", ")))",
          advice: "Name devices of one fabric with TUTTI_RDMA_DEVICES, or choose the transport auto or tcp",
          transport: "rdma")
      }
      let count = min(
        RDMALayout.queuePairsMax, max(pairs.count, min(fabric.settings.queuePairs, invitation.queuePairs)))
      let connection = try RDMAConnection(fabric: fabric, rank: rank, peer: peer, layout: layout)
      connection.queuePairsExpected = count
      // The endpoint's channel will not do: this thread waits for its own events alone.
      let channel = try RDMAEvents(fabric.verbs, rank: rank)
      connection.events = channel
      do throws(FailureReport) {
        for index in 0..<count {
          let (own, others) = pairs[index % pairs.count]
          guard others < invitation.ports.count, invitation.ports[others] != 0 else { throw unreadable(peer) }
          let dial = RDMADial(
            connection: connection, channel: channel, index: index, rail: own, peerRail: rails[others],
            port: invitation.ports[others], deadline: deadline)
          try dial.run(token: invitation.token, railNumber: others, giveUp)
        }
        for entry in connection.queuePairs {
          if fabric.verbs.migrate(entry.id, events.channel) != 0 { throw connection.failure("rdma_migrate_id", errno) }
        }
        connection.events = events
        // Events that came before the identifiers were moved to the endpoint's channel wake nobody.
        service()
        return try RDMALink(connection, registered: registered)
      } catch {
        connection.close()
        throw error
      }
    }

    private func readInvitation(
      _ socket: Int32, _ peer: Int, _ deadline: UInt64, _ giveUp: () -> FailureReport?
    ) throws(FailureReport) -> RDMAInvitation {
      var bytes = [UInt8](repeating: 0, count: RDMAInvitation.byteCount)
      var have = 0
      while have < bytes.count {
        if let failure = giveUp() { throw failure }
        let now = monotonicNanoseconds()
        if now >= deadline {
          throw FailureReport(
            .timeout, rank: rank, peer: peer, "rank \(peer) did not answer while an RDMA link to it was opened",
            advice: "Check whether its process is stopped", transport: "rdma")
        }
        var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        guard tutti_poll(&entry, 1, min(deadline - now, 100_000_000)) > 0 else { continue }
        let moved = bytes.withUnsafeMutableBytes { buffer in
          tutti_socket_receive(socket, buffer.baseAddress.unsafelyUnwrapped + have, buffer.count - have, nil, 0)
        }
        if moved == -Int(EAGAIN) { continue }
        guard moved > 0 else {
          throw FailureReport(
            .peerLost, rank: rank, peer: peer, "rank \(peer) closed its connection while an RDMA link to it was opened",
            advice: "Look at the output of rank \(peer) for the cause", transport: "rdma", systemError: Int32(-moved))
        }
        have += moved
      }
      guard let invitation = RDMAInvitation(bytes) else { throw unreadable(peer) }
      return invitation
    }

    private func unreadable(_ peer: Int) -> FailureReport {
      FailureReport(
        .version, rank: rank, peer: peer, "rank \(peer) sent an invitation that cannot be read",
        advice: "Run the same version of the library on all ranks", transport: "rdma")
    }
  }

  /// One queue pair being connected.
  private struct RDMADial {
    let connection: RDMAConnection
    let channel: RDMAEvents
    let index: Int
    let rail: Int
    let peerRail: Rail
    let port: UInt16
    let deadline: UInt64

    private var verbs: VerbsLibrary { channel.verbs }
    private var own: Rail { connection.fabric.rails[rail] }
    private var link: RDMAErrorText.Connection {
      RDMAErrorText.Connection(rank: connection.rank, peer: connection.peer, from: own, to: peerRail)
    }

    /// The kernel's own time limit for resolving an address or route; ours is the deadline.
    private static let resolveMilliseconds: Int32 = 5000

    func run(token: RDMAToken, railNumber: Int, _ giveUp: () -> FailureReport?) throws(FailureReport) {
      guard let id = channel.makeID(Unmanaged.passUnretained(connection).toOpaque()) else {
        throw RDMAErrorText.connecting(call: "rdma_create_id", error: errno, link)
      }
      do throws(FailureReport) { try resolve(id, giveUp) } catch {
        _ = verbs.destroyID(id)
        throw error
      }
      do throws(FailureReport) { try connection.addQueuePair(rail: rail) } catch {
        _ = verbs.destroyID(id)
        throw error
      }
      connection.queuePairs[index].id = id
      try connection.move(index, to: IBV_QPS_INIT)
      let code = connection.postReceives(index, Int(RDMAConnection.receiveDepth))
      if code != 0 { throw connection.failure("ibv_post_recv", code) }
      try connection.answer(index, .connect, token: token, railNumber: railNumber)
      try expect(RDMA_CM_EVENT_CONNECT_RESPONSE, of: id, giveUp) { event throws(FailureReport) in
        let data = UnsafeRawBufferPointer(
          start: event.pointee.param.conn.private_data, count: Int(event.pointee.param.conn.private_data_len))
        guard let answer = RDMAIntroduction(data), answer.queuePair == index else {
          throw connection.failure("reading the answer of the peer's listener", EPROTO)
        }
        connection.remoteBase = answer.address
        connection.queuePairs[index].remoteKey = answer.key
        connection.queuePairs[index].mtu = min(connection.queuePairs[index].mtu, UInt32(answer.mtu))
      }
      try connection.move(index, to: IBV_QPS_RTR)
      try connection.move(index, to: IBV_QPS_RTS)
      if verbs.establish(id) != 0 { throw RDMAErrorText.connecting(call: "rdma_establish", error: errno, link) }
    }

    private func resolve(_ id: VerbsLibrary.ID, _ giveUp: () -> FailureReport?) throws(FailureReport) {
      let code = RDMAEvents.withAddress(own, port: 0) { source in
        RDMAEvents.withAddress(peerRail, port: port) { verbs.resolveAddress(id, source, $0, Self.resolveMilliseconds) }
      }
      if code != 0 { throw RDMAErrorText.connecting(call: "rdma_resolve_addr", error: errno, link) }
      try expect(RDMA_CM_EVENT_ADDR_RESOLVED, of: id, giveUp)
      if var trafficClass = connection.fabric.settings.trafficClass {
        _ = verbs.setOption(id, Int32(RDMA_OPTION_ID), Int32(RDMA_OPTION_ID_TOS), &trafficClass, 1)
      }
      if verbs.resolveRoute(id, Self.resolveMilliseconds) != 0 {
        throw RDMAErrorText.connecting(call: "rdma_resolve_route", error: errno, link)
      }
      try expect(RDMA_CM_EVENT_ROUTE_RESOLVED, of: id, giveUp)
      guard let context = id.pointee.verbs, let name = verbs.getDeviceName(context.pointee.device),
        String(cString: name) == own.device
      else {
        throw FailureReport(
          .configuration, rank: connection.rank, peer: connection.peer,
          "the way from \(own.description) to \(peerRail.description) leads over another RDMA device",
          advice: "Give each rail a subnet of its own, or name the device with TUTTI_RDMA_DEVICES", transport: "rdma")
      }
    }

    /// Waits for an event, and gives it back after `body`.
    private func expect(
      _ expected: rdma_cm_event_type, of id: VerbsLibrary.ID, _ giveUp: () -> FailureReport?,
      _ body: (VerbsLibrary.Event) throws(FailureReport) -> Void = { _ in }
    ) throws(FailureReport) {
      while true {
        if let event = channel.next() {
          defer { _ = verbs.acknowledgeEvent(event) }
          // Such an event belongs to a queue pair before this one.
          if event.pointee.id != id, event.pointee.event == RDMA_CM_EVENT_ESTABLISHED {
            continue
          }
          guard event.pointee.event == expected else {
            throw RDMAErrorText.connection(event: event.pointee.event.rawValue, status: event.pointee.status, link)
          }
          return try body(event)
        }
        if let failure = giveUp() { throw failure }
        let now = monotonicNanoseconds()
        if now >= deadline {
          throw FailureReport(
            .timeout, rank: connection.rank, peer: connection.peer,
            "connecting \(own.description) to rank \(connection.peer) at \(peerRail.description) took too long "
              + "(waiting for \(expected == RDMA_CM_EVENT_CONNECT_RESPONSE ? "its answer" : "the address and route"))",
            advice:
              "Check that packets of RDMA pass between these addresses (RoCE: UDP port 4791), and that the process of rank "
              + "\(connection.peer) is not stopped", transport: "rdma")
        }
        var entry = pollfd(fd: channel.descriptor, events: Int16(POLLIN), revents: 0)
        _ = tutti_poll(&entry, 1, min(deadline - now, 100_000_000))
      }
    }
  }
#endif
