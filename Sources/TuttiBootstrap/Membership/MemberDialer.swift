import Glibc
import TuttiSystem
import TuttiTransport

/// Dials the listeners of a communicator's other ranks, as one of them.
struct MemberDialer {
  /// Who dials.
  let own: RankFacts
  let rankCount: Int
  let communicator: CommunicatorID
  let secret: JobSecret
  let clock: MonotonicClock
  /// The number of the interface over which link-local addresses are tried first; 0 for none.
  let scope: UInt32
  private let key: MessageKey
  private let tls: MessageKey?

  init(
    _ own: RankFacts, rankCount: Int, communicator: CommunicatorID, secret: JobSecret, scope: UInt32, clock: MonotonicClock
  ) {
    self.own = own
    self.rankCount = rankCount
    self.communicator = communicator
    self.secret = secret
    self.clock = clock
    self.scope = scope
    key = secret.handshakeKey(for: communicator)
    tls = secret.tlsKey(for: communicator)
  }

  /// Opens an authenticated connection to a rank's listener. Blocks.
  ///
  /// Several addresses are guesses, and each gets its turn: one that swallows packets must not use up the time of the
  /// others, and one that has not answered yet, because its rank is busy, gets a longer turn later.
  ///
  /// - Parameters:
  ///   - transport: The transport whose link it becomes, if it becomes one.
  ///   - deadline: Nanoseconds of the clock.
  ///   - giveUp: Whether there is no use in it any more; asked again and again.
  /// - Throws: `.peerLost`, `.timeout`, `.authentication`, `.version`, `.aborted`, `.resources`, naming the peer.
  func dial(
    _ member: MemberRecord, _ role: ConnectionRole, over way: ConnectionWay, for transport: TransportKind? = nil,
    deadline: UInt64, giveUp: @escaping () -> Bool
  ) throws(FailureReport) -> Connection {
    let addresses = try addresses(of: member, over: way)
    var last = FailureReport(.peerLost, rank: own.rank, peer: member.rank, "\(member.description) has no address")
    var turn = 2 * Clock.second
    while true {
      var isSilent = false
      for address in addresses {
        let limit = addresses.count == 1 ? deadline : min(deadline, clock.now() + turn)
        do {
          let hello = HandshakeHello(
            role: role, from: own.rank, to: member.rank, rankCount: rankCount, communicator: communicator,
            transport: transport, isEncrypting: tls != nil, nonce: Handshake.freshNonce())
          return try dial(member, at: address, hello, way, deadline: limit, giveUp: giveUp)
        } catch {
          last = error
          if error.code == .authentication || error.code == .version || error.code == .aborted { throw error }
          isSilent = isSilent || error.code == .timeout
        }
      }
      guard isSilent, clock.now() < deadline else { throw last }
      turn *= 2
    }
  }

  private func addresses(of member: MemberRecord, over way: ConnectionWay) throws(FailureReport) -> [SocketAddress] {
    switch way {
    case .network:
      return member.addresses.flatMap { Interfaces.ways(to: $0, first: scope) }
    case .ownUser:
      guard own.sharesMemory(with: member.facts) else {
        throw FailureReport(
          .invalidArgument, rank: own.rank, peer: member.rank,
          own.obstacleToSharing(with: member.facts)
            ?? "rank \(own.rank) has no memory to share with \(member.description)",
          advice: "Choose the transport tcp or auto")
      }
      return [.abstractUnix(member.unixName)]
    case .any:
      return own.host == member.host
        ? [.abstractUnix(member.unixName)] : try addresses(of: member, over: .network)
    }
  }

  private func dial(
    _ member: MemberRecord, at address: SocketAddress, _ hello: HandshakeHello, _ way: ConnectionWay, deadline: UInt64,
    giveUp: @escaping () -> Bool
  ) throws(FailureReport) -> Connection {
    let peer = member.rank
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
            error, rank: own.rank, peer: peer, what: "\(member.description) at \(address)", secret: secret)
        }
        // The listener may have been another user's, who knows the secret, or needs none.
        if way == .ownUser, !Sockets.isOfOwnUser(socket.raw) {
          throw FailureReport(
            .authentication, rank: own.rank, peer: peer,
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
          throw FailureReport(.aborted, rank: own.rank, peer: peer, "connecting to \(member.description) was given up")
        case EMFILE, ENFILE, ENOBUFS, ENOMEM:
          throw FailureReport(
            .resources, rank: own.rank, peer: peer, "cannot open a connection to \(member.description)",
            advice: "Raise the limit of open files (ulimit -n)", systemError: error.code)
        default:
          throw FailureReport(
            .peerLost, rank: own.rank, peer: peer, "\(member.description) cannot be connected to at \(address)",
            advice: "It has ended, or a firewall is between: TUTTI_INTERFACE and TUTTI_PORT_RANGE choose address and ports",
            systemError: error.code)
        }
      }
    }
  }

  private func silence(_ member: MemberRecord, _ address: SocketAddress) -> FailureReport {
    FailureReport(
      .timeout, rank: own.rank, peer: member.rank, "\(member.description) does not answer at \(address)",
      advice: "It is stopped, or a firewall is between: TUTTI_INTERFACE and TUTTI_PORT_RANGE choose address and ports")
  }
}
