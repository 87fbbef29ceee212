import Glibc
import TuttiSystem

/// Asks the server of a store: a connection for each question, which proves the secret on both sides.
package struct StoreClient: Sendable {
  private let address: RendezvousAddress
  private let secret: JobSecret
  private let clock: MonotonicClock

  package init(_ address: RendezvousAddress, secret: JobSecret, clock: MonotonicClock = .system) {
    self.address = address
    self.secret = secret
    self.clock = clock
  }

  package func put(_ value: [UInt8], for key: String, deadline: UInt64) throws(FailureReport) {
    guard case .stored? = try ask(.put(key: key, value: value), deadline) else {
      throw FailureReport(
        .resources, "\(name) did not store the value: it is full, or time is up",
        advice: "It holds \(StoreServer.keysMax) keys; start a new one for each job")
    }
  }

  package func get(_ key: String, deadline: UInt64) throws(FailureReport) -> [UInt8]? {
    guard case .value(let value)? = try ask(.get(key: key), deadline) else { return nil }
    return value
  }

  /// nil when nothing was stored until the deadline.
  package func wait(for key: String, deadline: UInt64) throws(FailureReport) -> [UInt8]? {
    guard case .value(let value)? = try ask(.wait(key: key), deadline) else { return nil }
    return value
  }

  private var name: String { "the store at \(address)" }

  /// - Returns: nil when there was no answer until the deadline.
  /// - Throws: `.rendezvous`: nobody serves there until the deadline; `.authentication`, `.version`: who does is another.
  private func ask(_ question: StoreQuestion, _ deadline: UInt64) throws(FailureReport) -> StoreAnswer? {
    var lastProblem = "no attempt was made"
    while true {
      for target in try MeetingSearch.resolve(address, deadline: deadline, clock: clock) {
        switch Sockets.connect(to: target, deadline: min(deadline, clock.now() + 5 * Clock.second), clock: clock) {
        case .failure(let error):
          lastProblem = errorText(error.code)
        case .success(let socket):
          let session: TLSSession?
          switch try introduce(on: socket.raw, deadline) {
          case .closed: continue
          case .proven(let made): session = made
          }
          // Closes it, whatever comes.
          let connection = FramedConnection(
            peer: 0, Connection(socket, tls: session), frameBytesMax: StoreQuestion.bytesMax, clock: clock)
          connection.queue(question.bytes)
          connection.flush()
          if let frame = connection.awaitFrame(until: deadline), let answer = try? StoreAnswer(frame) { return answer }
          if clock.now() >= deadline { return nil }
          lastProblem = "the connection was closed without an answer"
        }
      }
      guard clock.now() + 20 * Clock.millisecond < deadline else { break }
      clock.pause(20 * Clock.millisecond)
    }
    throw FailureReport(
      .rendezvous, "\(name) cannot be reached (\(lastProblem))",
      advice: "Check that its server runs, and that no firewall is between")
  }

  private enum Introduction {
    /// The listener closed before it had said anything: it is about to end, or has too many to answer.
    case closed
    case proven(TLSSession?)
  }

  private func introduce(on socket: Int32, _ deadline: UInt64) throws(FailureReport) -> Introduction {
    let hello = HandshakeHello(
      role: .rendezvous, from: 0, to: 0, rankCount: 0, communicator: .store,
      isEncrypting: secret.isEncrypting, nonce: Handshake.freshNonce())
    do {
      return .proven(
        try HandshakeDialer(
          socket: socket, deadline: deadline, clock: clock, giveUp: { false }, tls: secret.tlsKey(for: .store)
        ).run(hello: hello, key: secret.handshakeKey(for: .store)))
    } catch .closedBeforeAnswer {
      return .closed
    } catch .broken {
      // It had too many connections at once, or ends.
      return .closed
    } catch {
      throw HandshakeFailureText.report(error, rank: -1, peer: -1, what: name, secret: secret)
    }
  }
}
