import CTuttiLinux
import Glibc
import TuttiSystem

/// The side of the join of every rank but 0.
struct RendezvousGuest {
  let identity: LaunchIdentity
  let connection: FramedConnection
  let deadline: UInt64

  /// Rank 0 gives the reason at the deadline; this is how much longer its word is waited for.
  static let grace = Clock.second

  /// Dials the rendezvous, again and again until the deadline, because rank 0 may start later.
  static func meet(
    _ identity: LaunchIdentity, secret: JobSecret, deadline: UInt64, version: UInt16
  ) throws(FailureReport) -> RendezvousGuest {
    let key = secret.handshakeKey(for: .meeting)
    let started = monotonicNanoseconds()
    var pause = 5 * Clock.millisecond
    var lastProblem = "no attempt was made"
    while true {
      var known: [SocketAddress] = []
      do throws(FailureReport) {
        known = try addresses(of: identity, deadline: deadline)
      } catch {
        // A cluster's name service often learns of rank 0 a little later.
        lastProblem = error.message
      }
      for address in known {
        switch Sockets.connect(to: address, deadline: min(deadline, monotonicNanoseconds() + 5 * Clock.second)) {
        case .failure(let error):
          lastProblem = errorText(error.code)
        case .success(let raw):
          let socket = OwnedDescriptor(raw)
          let hello = HandshakeHello(
            version: version, role: .rendezvous, from: identity.rank, to: 0, rankCount: identity.rankCount,
            communicator: .meeting, nonce: Handshake.freshNonce())
          do {
            try HandshakeDialer(socket: raw, deadline: deadline, giveUp: { false }).run(hello: hello, key: key)
          } catch .closedBeforeAnswer {
            // A listener about to close, such as an earlier run's.
            lastProblem = "the connection was closed without an answer"
            continue
          } catch {
            throw HandshakeFailureText.report(
              error, rank: identity.rank, peer: 0, what: "the rendezvous \(identity.rendezvous)", secret: secret,
              version: version)
          }
          return RendezvousGuest(
            identity: identity,
            connection: FramedConnection(
              peer: 0, descriptor: socket.handOver(), frameBytesMax: RendezvousMessage.tableBytesMax),
            deadline: deadline)
        }
      }
      guard monotonicNanoseconds() + pause < deadline else { break }
      Clock.pause(pause)
      pause = min(pause * 2, 200 * Clock.millisecond)
    }
    let seconds = (Double(monotonicNanoseconds() - started) / 1e8).rounded() / 10
    throw FailureReport(
      .rendezvous, rank: identity.rank, peer: 0,
      "rank 0 cannot be reached at the rendezvous \(identity.rendezvous) for \(secondsText(seconds)) s (\(lastProblem))",
      advice:
        "Check that rank 0 is running, that the address is its own and the same on every rank, and that no firewall is "
        + "between; raise TUTTI_TIMEOUT if it starts late")
  }

  private static func addresses(of identity: LaunchIdentity, deadline: UInt64) throws(FailureReport) -> [SocketAddress] {
    switch identity.rendezvous {
    case .abstractUnix(let name): [.abstractUnix(name)]
    case .tcp(let host, let port): try NameResolution.resolve(host, port: port, deadline: deadline)
    }
  }

  /// The address of this host that reaches rank 0; nil over a Unix socket.
  var localAddress: SocketAddress? { Sockets.localAddress(connection.descriptor) }

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

  /// Why rank 0 gave up, if it says so within a moment.
  func refusal() -> FailureReport? {
    guard let frame = connection.awaitFrame(until: monotonicNanoseconds() + 500 * Clock.millisecond),
      case .refusal(let report)? = try? RendezvousMessage(frame)
    else { return nil }
    return report
  }

  private func problem(_ what: String, _ code: FailureCode) -> FailureReport {
    FailureReport(
      code, rank: identity.rank, peer: 0, "rank 0 at the rendezvous \(identity.rendezvous) \(what)",
      advice: "Look at rank 0: its own output says more, or it is stopped")
  }
}

/// What a failed handshake is, in words, for the dialer.
enum HandshakeFailureText {
  static func report(
    _ failure: HandshakeDialer.Failure, rank: Int, peer: Int, what: String, secret: JobSecret,
    version own: UInt16 = protocolVersion
  ) -> FailureReport {
    func make(_ code: FailureCode, _ message: String, _ advice: String, _ systemError: Int32 = 0) -> FailureReport {
      FailureReport(code, rank: rank, peer: peer, message, advice: advice, systemError: systemError)
    }
    let sameSecret =
      secret.isAuthenticated
      ? "Set the same TUTTI_SECRET or TUTTI_SECRET_FILE on every rank"
      : "This rank runs with TUTTI_ALLOW_UNAUTHENTICATED=1; the other does not: set the same secret on both"
    switch failure {
    case .closedBeforeAnswer(let code), .broken(let code):
      return make(
        .peerLost, "\(what) closed the connection while it was being set up", "Look at rank \(peer)'s own output", code)
    case .silent:
      return make(
        .rendezvous, "\(what) accepted a connection but does not answer",
        "Rank \(peer) is stopped or overloaded, or another program listens there")
    case .cancelled:
      return make(.aborted, "setting up a connection to \(what) was given up", "")
    case .stranger:
      return make(
        .rendezvous, "\(what) is another program: it does not speak this protocol",
        "Choose another port for the rendezvous, or stop that program")
    case .version(let version):
      return make(
        .version, "\(what) speaks protocol version \(version), this rank version \(own)",
        "Run the same version of the library on every rank")
    case .unproven:
      return make(.authentication, "\(what) does not know this job's secret", sameSecret)
    case .refused(.wrongSecret):
      return make(.authentication, "\(what) did not accept this rank's proof of the job's secret", sameSecret)
    case .refused(.unknownCommunicator):
      return make(.peerLost, "\(what) does not have this communicator (any more)", "Rank \(peer) has left or was restarted")
    case .refused(let verdict):
      return make(
        .rendezvous, "\(what) refused the connection (\(verdict))", "Check that ranks and rendezvous are the same job's")
    }
  }
}
