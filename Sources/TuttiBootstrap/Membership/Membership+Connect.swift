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
    let dialer = MemberDialer(
      members[rank].facts, rankCount: rankCount, communicator: communicator, secret: secret,
      scope: listening?.scope ?? 0, clock: clock)
    return try dialer.dial(members[peer], role, over: way, for: transport, deadline: deadline) { [self] in
      isLastWord ? isForked : isGivenUp
    }
  }
}
