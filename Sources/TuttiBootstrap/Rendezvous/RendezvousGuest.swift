import TuttiSystem

/// Joins as a rank other than 0.
struct RendezvousGuest {
  let identity: LaunchIdentity
  /// The job's secret: the caller's, or the one that rank 0 left in the store.
  let secret: JobSecret
  let connection: FramedConnection
  let deadline: UInt64
  let clock: MonotonicClock

  /// Rank 0 gives the reason at the deadline; this is how much longer its word is waited for.
  static let grace = Clock.second

  /// Dials rank 0, again and again until the deadline, because it may start later.
  static func meet(
    _ identity: LaunchIdentity, secret: JobSecret?, deadline: UInt64, version: UInt16, clock: MonotonicClock
  ) throws(FailureReport) -> RendezvousGuest {
    let started = clock.now()
    var search = MeetingSearch(
      identity: identity, secret: secret, deadline: deadline, version: version, clock: clock)
    var pause = 5 * Clock.millisecond
    // Several addresses are guesses: one that swallows packets must not use up the time of the others.
    var patience = Clock.second
    while true {
      try search.look()
      do throws(FailureReport) {
        if let guest = try search.dial(patience: patience) { return guest }
      } catch {
        // Where jobs have names, this may be rank 0 of another one, whose port this job's rank 0 is waiting for.
        guard error.code == .authentication, search.mayBeOfAnotherJob,
          clock.now() < started + RendezvousListener.busyPortPatience
        else { throw error }
      }
      guard clock.now() + pause < deadline else { break }
      clock.pause(pause)
      pause = min(pause * 2, 200 * Clock.millisecond)
      patience = min(patience * 2, 8 * Clock.second)
    }
    let seconds = (Double(clock.now() - started) / 1e8).rounded() / 10
    throw FailureReport(
      .rendezvous, rank: identity.rank, peer: 0,
      "rank 0 cannot be reached at the rendezvous \(search.placeText), tried for \(secondsText(seconds)) s (\(search.lastProblem))",
      advice: search.adviceOnAddresses
        ?? "Check that rank 0 is running, that the address is its own and the same on every rank, and that no firewall is "
        + "between; raise TUTTI_TIMEOUT if it starts late")
  }

  /// The address of this host that reaches rank 0; nil over a Unix socket.
  var localAddress: SocketAddress? { Sockets.localAddress(connection.descriptor) }

  /// Whether that is rank 0's address as well, so that it says nothing of how others reach this host.
  var isOnHostOfRankZero: Bool {
    localAddress?.withPort(0) == Sockets.remoteAddress(connection.descriptor)?.withPort(0)
  }

  func send(_ message: RendezvousMessage) {
    connection.queue(message.bytes)
    _ = connection.flush(until: deadline)
  }

  /// Waits for rank 0's next word.
  func receive() throws(FailureReport) -> RendezvousMessage {
    if let frame = connection.awaitFrame(until: deadline + Self.grace) {
      guard let message = try? RendezvousMessage(frame) else {
        throw problem("sent a message that cannot be read", .rendezvous)
      }
      if case .refusal(let report) = message { throw report }
      return message
    }
    switch connection.state {
    case .open: throw problem("did not complete the join in time", .rendezvous)
    case .malformed: throw problem("sent a message that cannot be read", .rendezvous)
    case .ended: throw problem("ended while the ranks were joining", .peerLost)
    }
  }

  /// Dials this rank's parent in the control tree, which may be waiting for its own; not longer than rank 0 is silent.
  func dial(_ parent: MemberRecord, _ dialer: MemberDialer) throws(FailureReport) -> FramedConnection {
    do throws(FailureReport) {
      let dialed = try dialer.dial(parent, .control, over: .any, deadline: deadline) {
        Sockets.awaitInput(on: [connection.descriptor], until: clock.now(), clock: clock)[0]
      }
      let edge = EdgeConnection.framed(parent.rank, dialed, clock: clock)
      edge.frameBytesMax = RendezvousMessage.tableBytesMax
      return edge
    } catch {
      if error.code == .aborted || error.code == .timeout { try receiveReason() }
      throw error
    }
  }

  /// Waits for the table of ranks, and for a word of rank 0 that it will not come.
  ///
  /// - Returns: The table as it travels, and what it says.
  func receiveTable(
    over edge: FramedConnection, from parent: MemberRecord
  ) throws(FailureReport) -> (bytes: [UInt8], members: [MemberRecord]) {
    let bytes = try receiveFrame(over: edge, from: parent)
    guard case .table(let members)? = try? RendezvousMessage(bytes), members.count == identity.rankCount else {
      throw FailureReport(
        .rendezvous, rank: identity.rank, peer: parent.rank,
        "\(parent.description) sent something other than the table of ranks",
        advice: "Check that all ranks run the same build of the library")
    }
    return (bytes, members)
  }

  private func receiveFrame(over edge: FramedConnection, from parent: MemberRecord) throws(FailureReport) -> [UInt8] {
    while true {
      if let frame = edge.nextFrame() { return frame }
      if edge.fill() { continue }
      guard edge.state == .open else {
        throw FailureReport(
          .peerLost, rank: identity.rank, peer: parent.rank, "\(parent.description) ended while the ranks were joining",
          advice: "Look at that rank's own output")
      }
      let ready = Sockets.awaitInput(on: [edge.descriptor, connection.descriptor], until: deadline, clock: clock)
      if ready[1] || clock.now() >= deadline { try receiveReason() }
    }
  }

  /// Receives rank 0's reason why the ranks do not come together, and throws it.
  func receiveReason() throws(FailureReport) -> Never {
    _ = try receive()
    throw problem("sent something unexpected while ranks connected", .rendezvous)
  }

  /// Says to rank 0 that this rank cannot go on, and why; rank 0 tells the others. Where rank 0 has refused the join itself,
  /// it does not listen any more, and saying so does no harm.
  ///
  /// - Returns: What to throw: the reason, or rank 0's where a rank could not be reached. That one may have given up because
  ///   of a third one's failure.
  func refused(_ reason: FailureReport) -> FailureReport {
    send(.failed(reason))
    return reason.code == .peerLost ? refusal() ?? reason : reason
  }

  /// Why rank 0 gave up, if it says so within a moment.
  private func refusal() -> FailureReport? {
    guard let frame = connection.awaitFrame(until: clock.now() + 500 * Clock.millisecond),
      case .refusal(let report)? = try? RendezvousMessage(frame)
    else { return nil }
    return report
  }

  private func problem(_ what: String, _ code: FailureCode) -> FailureReport {
    FailureReport(
      code, rank: identity.rank, peer: 0, "rank 0 at the rendezvous \(identity.place) \(what)",
      advice: "Look at rank 0: its own output says more, or it is stopped")
  }
}
