import CTuttiLinux
import Glibc
import TuttiSystem
import TuttiTransport

// Dialing the listeners of other ranks.

extension Membership {
  /// Opens an authenticated connection to a peer's listener for a data link. Only the rank with the higher number of the two
  /// dials; the peer gets the other end through ``ControlHandlers/onConnection``. Blocks.
  ///
  /// - Parameters:
  ///   - transport: The transport whose link it is.
  ///   - way: The kind of connection.
  ///   - deadline: Monotonic nanoseconds.
  /// - Returns: A connection whose socket is non-blocking, close-on-exec, registered; TCP without delay.
  /// - Throws: The communicator's first cause; `.peerLost`, `.timeout`, `.authentication`, `.resources`, naming the peer.
  package func connect(
    to peer: Int, for transport: TransportKind, over way: ConnectionWay, deadline: UInt64
  ) throws(FailureReport) -> Connection {
    precondition(peer < rank, "of two ranks the higher one dials")
    do {
      return try dial(peer, .link, over: way, for: transport, deadline: deadline)
    } catch {
      if let cause = firstCause { throw cause }
      throw error.code == .peerLost ? causeOfLoss(of: peer, otherwise: error) : error
    }
  }

  /// Dials any listener of this communicator.
  ///
  /// - Parameter isLastWord: Whether to dial even though this membership has failed, to say why.
  func dial(
    _ peer: Int, _ role: ConnectionRole, over way: ConnectionWay, for transport: TransportKind? = nil, deadline: UInt64,
    isLastWord: Bool = false
  ) throws(FailureReport) -> Connection {
    let member = members[peer]
    let addresses: [SocketAddress]
    switch way {
    case .network:
      addresses = member.addresses
    case .ownUser:
      guard sharesMemory(with: peer) else {
        throw FailureReport(
          .invalidArgument, rank: rank, peer: peer,
          members[rank].facts.obstacleToSharing(with: member.facts)
            ?? "rank \(rank) has no memory to share with \(member.description)",
          advice: "Choose the transport tcp or auto")
      }
      addresses = [.abstractUnix(member.unixName)]
    case .any:
      addresses = isSameHost(peer) ? [.abstractUnix(member.unixName)] : member.addresses
    }
    var last = FailureReport(.peerLost, rank: rank, peer: peer, "\(member.description) has no address")
    for address in addresses {
      // Several addresses are guesses: one that swallows packets must not use up the time of the others.
      let limit = addresses.count == 1 ? deadline : min(deadline, clock.now() + 2 * Clock.second)
      do {
        let hello = HandshakeHello(
          role: role, from: rank, to: peer, rankCount: rankCount, communicator: communicator, transport: transport,
          isEncrypting: tls != nil, nonce: Handshake.freshNonce())
        return try dial(member, at: address, hello, way, deadline: limit, isLastWord: isLastWord)
      } catch {
        last = error
        if error.code == .authentication || error.code == .version || error.code == .aborted { throw error }
      }
    }
    throw last
  }

  private func dial(
    _ member: MemberRecord, at address: SocketAddress, _ hello: HandshakeHello, _ way: ConnectionWay, deadline: UInt64,
    isLastWord: Bool
  ) throws(FailureReport) -> Connection {
    let peer = member.rank
    let giveUp: () -> Bool = { [self] in isLastWord ? isForked : isGivenUp }
    while true {
      switch Sockets.connect(to: address, deadline: deadline, clock: clock, giveUp: giveUp) {
      case .success(let socket):
        let session: TLSSession?
        do {
          session = try HandshakeDialer(
            socket: socket.raw, deadline: deadline, clock: clock, giveUp: giveUp, tls: tls
          ).run(hello: hello, key: key)
        } catch .silent {
          throw silence(member, address)
        } catch {
          throw HandshakeFailureText.report(
            error, rank: rank, peer: peer, what: "\(member.description) at \(address)", secret: secret)
        }
        // The listener may have been another user's, who knows the secret, or needs none.
        if way == .ownUser, !Sockets.isOfOwnUser(socket.raw) {
          throw FailureReport(
            .authentication, rank: rank, peer: peer,
            "\(member.description) is a process of another user, which gets none of this one's memory",
            advice: "Run the ranks of a host as one user, or choose the transport tcp",
            transport: hello.transport?.name ?? "")
        }
        return Connection(socket, tls: session)
      case .failure(let error):
        switch error.code {
        case EAGAIN where clock.now() < deadline && !giveUp():
          // The peer's backlog is full; it is working it off.
          clock.pause(Clock.millisecond)
        case EAGAIN, ETIMEDOUT:
          throw silence(member, address)
        case ECANCELED:
          throw FailureReport(.aborted, rank: rank, peer: peer, "connecting to \(member.description) was given up")
        case EMFILE, ENFILE, ENOBUFS, ENOMEM:
          throw FailureReport(
            .resources, rank: rank, peer: peer, "cannot open a connection to \(member.description)",
            advice: "Raise the limit of open files (ulimit -n)", systemError: error.code)
        default:
          throw FailureReport(
            .peerLost, rank: rank, peer: peer, "\(member.description) cannot be connected to at \(address)",
            advice: "It has ended, or a firewall is between: TUTTI_INTERFACE and TUTTI_PORT_RANGE choose address and ports",
            systemError: error.code)
        }
      }
    }
  }

  private func silence(_ member: MemberRecord, _ address: SocketAddress) -> FailureReport {
    FailureReport(
      .timeout, rank: rank, peer: member.rank, "\(member.description) does not answer at \(address)",
      advice: "It is stopped, or a firewall is between: TUTTI_INTERFACE and TUTTI_PORT_RANGE choose address and ports")
  }
}
