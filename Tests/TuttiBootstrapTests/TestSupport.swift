import Patience
import TuttiSystem
import TuttiTransport
import CTuttiLinux
import Glibc
import Testing

@testable import TuttiBootstrap

/// A failing test prints the seed, `TUTTI_TEST_SEED` replays it.
typealias SeededGenerator = TuttiSystem.SeededGenerator

extension SeededGenerator {
  mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }

  static func seed() -> UInt64 {
    getenv("TUTTI_TEST_SEED").flatMap { UInt64(String(cString: $0)) } ?? UInt64.random(in: 0 ... .max)
  }
}

let testSecret = JobSecret(bytes: Array("correct horse battery staple".utf8), origin: "the test")
let otherSecret = JobSecret(bytes: Array("Tr0ub4dor&3".utf8), origin: "the test")

/// A rendezvous of its own for every test.
func freshRendezvous() -> RendezvousAddress {
  .abstractUnix("tutti-test-\(getpid())-\(UInt64.random(in: 0 ... .max))")
}

/// A loopback port that was free a moment ago.
func freePort() throws -> UInt16 {
  let listener = try Sockets.listen(on: .ipv4(0x7F00_0001, port: 0))
  return try #require(Sockets.localAddress(listener.raw)).port
}

func identity(_ rank: Int, _ rankCount: Int, _ rendezvous: RendezvousAddress) -> LaunchIdentity {
  LaunchIdentity(rank: rank, rankCount: rankCount, rendezvous: rendezvous, source: "the test")
}

extension FailureReport {
  /// What stands in for a result that did not come.
  static let missing = FailureReport(.timeout, "the test's own deadline passed")
}

private final class RankResults<Value: Sendable>: Sendable {
  let values = Lock<[Int: Result<Value, FailureReport>]>([:])
}

/// Runs `body` for each rank on a thread of its own, and waits for all until `seconds` passed.
func runRanks<Value: Sendable>(
  _ ranks: some Collection<Int>, seconds: Double = 20,
  _ body: @escaping @Sendable (Int) throws(FailureReport) -> Value
) throws -> [Int: Result<Value, FailureReport>] {
  let results = RankResults<Value>()
  for rank in ranks {
    try startDetachedThread("test-rank-\(rank)") {
      let result: Result<Value, FailureReport>
      do throws(FailureReport) {
        result = .success(try body(rank))
      } catch {
        result = .failure(error)
      }
      results.values.withLock { $0[rank] = result }
    }
  }
  _ = Clock.wait(until: Patience.deadline(seconds: seconds)) { results.values.withLock { $0.count == ranks.count } }
  var values = results.values.withLock { $0 }
  for rank in ranks where values[rank] == nil { values[rank] = .failure(.missing) }
  return values
}

extension Membership {
  /// Meets the other ranks, has `prepare` say whether they fit together, and begins: what `Communicator.join` does.
  static func join(
    identity: LaunchIdentity, secret: JobSecret?, settings: [String: String] = [:], offers: [TransportOffer],
    abilities: HostAbilities = .current(), network: NetworkSettings = NetworkSettings(), deadline: UInt64,
    version: UInt16 = protocolVersion, clock: MonotonicClock = .system,
    prepare: ([MemberRecord]) throws(FailureReport) -> Void = { _ throws(FailureReport) in }
  ) throws(FailureReport) -> Membership {
    let meeting = try Meeting.attend(
      identity: identity, secret: secret, settings: settings, offers: offers, abilities: abilities, network: network,
      deadline: deadline, version: version, clock: clock)
    do throws(FailureReport) { try prepare(meeting.members) } catch { throw meeting.refuse(error) }
    return try meeting.begin()
  }
}

/// The transport that tests open links for, and what ranks offer of it and of another: the bootstrap passes both on as they
/// are.
let testTransport = TransportKind("test")
let testOffers = [TransportOffer(testTransport, []), TransportOffer(TransportKind("other"), [1, 2, 3])]

/// What the handlers of one rank have heard.
final class Recorder: Sendable {
  let failures = Lock<[FailureReport]>([])
  /// Their sockets are closed with the recorder.
  let connections = Lock<[Membership.Delivery]>([])
  let status = Lock(RankStatus())
  /// What its operations were, by number.
  let calls = Lock<[UInt64: CallDescription]>([:])

  var handlers: ControlHandlers {
    ControlHandlers(
      onConnection: { peer, transport, connection in
        let delivery = Membership.Delivery(peer: peer, transport: transport, connection: PassedConnection(connection))
        self.connections.withLock { $0.append(delivery) }
      },
      onFailure: { failure in self.failures.withLock { $0.append(failure) } },
      status: { number in
        self.status.withLock { status in
          var status = status
          status.asked = self.calls.withLock { $0[number] }
          return status
        }
      })
  }

  func awaitFailure(seconds: Double = 5) -> FailureReport? {
    _ = Clock.wait(until: Patience.deadline(seconds: seconds)) { failures.withLock { !$0.isEmpty } }
    return failures.withLock { $0.first }
  }

  func awaitConnection(seconds: Double = 5) -> Membership.Delivery? {
    _ = Clock.wait(until: Patience.deadline(seconds: seconds)) { connections.withLock { !$0.isEmpty } }
    return connections.withLock { $0.first }
  }
}

/// Ranks that are threads of this process, joined over real sockets.
struct TestGroup {
  let members: [Membership]
  let recorders: [Recorder]

  init(
    _ rankCount: Int, rendezvous: RendezvousAddress = freshRendezvous(), seconds: Double = 10,
    secret: JobSecret = testSecret, clock: MonotonicClock = .system
  ) throws {
    let joined = try runRanks(0..<rankCount, seconds: seconds + 5) { rank throws(FailureReport) in
      try Membership.join(
        identity: identity(rank, rankCount, rendezvous), secret: secret, offers: testOffers,
        deadline: clock.now() + UInt64(Patience.seconds(seconds) * 1e9), clock: clock)
    }
    members = try (0..<rankCount).map { try joined[$0]!.get() }
    recorders = (0..<rankCount).map { _ in Recorder() }
    for (member, recorder) in zip(members, recorders) { member.activate(recorder.handlers) }
  }

  func leave() { for member in members { member.leave() } }
}

/// Descriptors this process has open.
func openDescriptorCount() -> Int {
  (0..<4096).count { fcntl(Int32($0), F_GETFD) >= 0 }
}

/// Whether `TUTTI_TEST_SEED` names the only seed to run.
let environmentNamesSeed = getenv("TUTTI_TEST_SEED") != nil
