import Glibc
import TuttiSystem

/// Looks for rank 0: keeps the addresses at which it may be reached, as far as is known, and what came of the last
/// attempts.
struct MeetingSearch {
  let identity: LaunchIdentity
  /// The caller's; nil for the one that rank 0 leaves in the store.
  let secret: JobSecret?
  let deadline: UInt64
  let version: UInt16
  let clock: MonotonicClock

  private(set) var lastProblem = "no attempt was made"
  private var addresses: [SocketAddress] = []
  private var number = CommunicatorID.meeting
  private var publishedSecret: [UInt8] = []
  private var hasWaited = false

  init(identity: LaunchIdentity, secret: JobSecret?, deadline: UInt64, version: UInt16, clock: MonotonicClock) {
    self.clock = clock
    self.identity = identity
    self.secret = secret
    self.deadline = deadline
    self.version = version
  }

  /// The place as messages name it, with the addresses that a store gave.
  var placeText: String {
    if identity.rendezvous != nil || addresses.isEmpty { return identity.place.description }
    return "\(identity.place) (\(addresses.map(\.description).joined(separator: ", ")))"
  }

  /// Whether a listener that fails the proof may be rank 0 of another job: where jobs have names, these are part of the
  /// key.
  var mayBeOfAnotherJob: Bool { secret?.job != nil }

  /// What to do where the rendezvous leads to this very host, though rank 0 may be on another; nil where it does not, or is
  /// written so that it can mean no other.
  var adviceOnAddresses: String? {
    guard case .tcp(let host, _)? = identity.rendezvous, identity.rendezvous?.isLoopback == false, !addresses.isEmpty else {
      return nil
    }
    let own = addresses.compactMap { address -> String? in
      let interface = Interfaces.list().first { $0.address == address.withPort(0) }?.name
      if address.isLoopback { return "\(address.hostText), a loopback address" }
      if address.isUnspecified { return "\(address.hostText), which stands for every address of a host" }
      return interface.map { "\(address.hostText), an address of this host's own (\($0))" }
    }
    guard own.count == addresses.count else { return nil }
    return
      "On this host, \(host) is \(own.joined(separator: " and ")). If rank 0 is on another host, name it by an address that "
      + "this host reaches (see /etc/hosts); if it is on this one, check that it is running"
  }

  // MARK: Where rank 0 is

  /// Finds out where rank 0 may be reached now.
  ///
  /// - Throws: What ends the search: the store failed, holds what no rank 0 of this version has put, or says that there
  ///   will be no communicator.
  mutating func look() throws(FailureReport) {
    switch identity.place {
    case .address(let address, _):
      do throws(FailureReport) {
        addresses = try Self.resolve(address, deadline: deadline, clock: clock)
      } catch {
        if error.code == .configuration { throw error }
        // A cluster's name service often learns of rank 0 a little later.
        lastProblem = error.message
        addresses = []
      }
    case .store(let store, let key):
      try look(in: StoreAccess(store: store, key: key, rank: identity.rank, clock: clock))
    }
  }

  static func resolve(
    _ address: RendezvousAddress, deadline: UInt64, clock: MonotonicClock
  ) throws(FailureReport) -> [SocketAddress] {
    switch address {
    case .abstractUnix(let name): [.abstractUnix(name)]
    case .tcp(let host, let port): try NameResolution.resolve(host, port: port, deadline: deadline, clock: clock)
    }
  }

  private mutating func look(in store: StoreAccess) throws(FailureReport) {
    var value: [UInt8]?
    if hasWaited {
      value = try store.get(deadline: deadline)
    } else {
      hasWaited = true
      value = try store.wait(deadline: deadline)
    }
    guard let value else {
      lastProblem = "the store has lost what rank 0 put there"
      addresses = []
      return
    }
    let word: MeetingWord
    do throws(MeetingWord.Flaw) {
      word = try MeetingWord(value, version: version)
    } catch {
      if case .version(let theirs) = error {
        throw FailureReport(
          .version, rank: identity.rank, peer: 0,
          "rank 0 at the rendezvous \(identity.place) speaks protocol version \(theirs), this rank version \(version)",
          advice: "Run the same version of the library on every rank")
      }
      // It may have been read while it was written.
      lastProblem = "\(value.count) bytes are stored that rank 0 has not put there, or only a part of what it put"
      addresses = []
      return
    }
    switch word {
    case .refusal(let report):
      throw report
    case .point(let point):
      try checkSecret(point, store)
      number = point.number
      addresses = point.addresses.flatMap { Interfaces.ways(to: $0) } + [.abstractUnix(point.unixName)]
      publishedSecret = point.secret
    }
  }

  private func checkSecret(_ point: MeetingPoint, _ store: StoreAccess) throws(FailureReport) {
    if point.secret.isEmpty == (secret != nil) { return }
    throw FailureReport(
      .configuration, rank: identity.rank, peer: 0,
      point.secret.isEmpty
        ? "this rank expects the job's secret in the rendezvous \(store.name), and rank 0 has not left it there"
        : "rank 0 left a secret in the rendezvous \(store.name), and this rank has one from elsewhere",
      advice: "Join with the same kind of secret on every rank")
  }

  // MARK: Reaching it

  /// Tries every address once. nil when rank 0 was at none.
  ///
  /// - Parameter patience: Nanoseconds for each address, where there are several.
  /// - Throws: What an attempt found out that no other attempt can change, once no address was better.
  mutating func dial(patience: UInt64) throws(FailureReport) -> RendezvousGuest? {
    guard let secret = secret ?? publishedJobSecret else { return nil }
    let key = secret.handshakeKey(for: number)
    var finding: FailureReport?
    for address in addresses {
      let isOnly = addresses.count == 1
      let connectLimit = min(deadline, clock.now() + (isOnly ? 5 * Clock.second : patience))
      switch Sockets.connect(to: address, deadline: connectLimit, clock: clock) {
      case .failure(let error):
        lastProblem = errorText(error.code)
      case .success(let socket):
        let hello = HandshakeHello(
          version: version, role: .rendezvous, from: identity.rank, to: 0, rankCount: identity.rankCount,
          communicator: number, isEncrypting: secret.isEncrypting, nonce: Handshake.freshNonce())
        let limit = isOnly ? deadline : min(deadline, clock.now() + 4 * patience)
        let session: TLSSession?
        do {
          session = try HandshakeDialer(
            socket: socket.raw, deadline: limit, clock: clock, giveUp: { false }, tls: secret.tlsKey(for: number)
          ).run(hello: hello, key: key)
        } catch .closedBeforeAnswer {
          // A listener about to close, such as an earlier run's.
          lastProblem = "the connection was closed without an answer"
          continue
        } catch .refused(.unknownCommunicator) where number != .meeting {
          lastProblem = "a rank of another communicator listens at \(address)"
          continue
        } catch  where number != .meeting && Self.mayBeLeftBehind(error) {
          lastProblem = "another program listens at \(address)"
          continue
        } catch .silent where limit < deadline {
          lastProblem = "\(address) accepted a connection but does not answer"
          continue
        } catch {
          finding = HandshakeFailureText.report(
            error, rank: identity.rank, peer: 0, what: "the rendezvous \(identity.place)", secret: secret,
            version: version)
          continue
        }
        return RendezvousGuest(
          identity: identity, secret: secret,
          connection: FramedConnection(
            peer: 0, Connection(socket, tls: session), frameBytesMax: RendezvousMessage.tableBytesMax, clock: clock),
          deadline: deadline, clock: clock)
      }
    }
    if let finding { throw finding }
    return nil
  }

  /// Whether what listens at an address from a store may be another program than rank 0, because the address is of an
  /// earlier run. Who refuses the proof, or does not prove the secret, is of this meeting.
  private static func mayBeLeftBehind(_ failure: HandshakeDialer.Failure) -> Bool {
    switch failure {
    case .unproven, .refused, .silent, .closedBeforeAnswer, .insecure: false
    default: true
    }
  }

  private var publishedJobSecret: JobSecret? {
    publishedSecret.isEmpty ? nil : JobSecret(bytes: publishedSecret, origin: "the rendezvous")
  }
}
