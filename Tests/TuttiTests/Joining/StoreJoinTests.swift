import Glibc
import Testing
import Tutti
import TuttiSystem
import TuttiTesting

/// A store as a program brings one, written against the public API alone.
private final class ProgramStore: Tutti.Rendezvous {
  private let values = Lock<[String: [UInt8]]>([:])
  private let failure: String?

  init(failingWith failure: String? = nil) { self.failure = failure }

  func put(_ value: [UInt8], for key: String, timeout: Duration) throws {
    if let failure { throw ProgramError(text: failure) }
    values.withLock { $0[key] = value }
  }

  func get(_ key: String, timeout: Duration) throws -> [UInt8]? { values.withLock { $0[key] } }
}

private struct ProgramError: Error { let text: String }

/// Communicators whose ranks meet over a store of the program's, or at a socket of its own.
@Suite(.serialized) struct StoreJoinTests {
  private static let secret = JoinSecret.bytes(Array("of the test's own".utf8))

  /// Checks that the communicator reduces over its own ranks only.
  private static func use(_ communicator: Communicator, adding value: Int32) throws {
    var values = [Int32](repeating: value, count: 1000)
    try communicator.allReduce(&values, .sum)
    let sum = value * Int32(communicator.rankCount)
    #expect(values.allSatisfy { $0 == sum })
    communicator.close()
  }

  @Test(arguments: [TransportChoice.auto, .tcp]) func groupsAreMadeByTheirMembersAlone(_ transport: TransportChoice) throws {
    let store = ProgramStore()
    var options = CommunicatorOptions()
    options.transport = transport
    // By name: the threads of the process that are its ranks, in their order. No communicator holds all of them.
    let groups = ["pairs/0": [0, 1], "pairs/1": [3, 2], "most": [3, 1, 0], "alone": [2], "crossed": [1, 2]]
    try TuttiTesting.onThreads(4) { [options] thread in
      // Each thread makes all of its groups at once, on as many threads more.
      let own = groups.filter { $0.value.contains(thread) }.sorted { $0.key < $1.key }
      try TuttiTesting.onThreads(own.count) { index in
        let (name, members) = own[index]
        let rank = try #require(members.firstIndex(of: thread))
        let communicator = try Communicator.join(
          rank: rank, rankCount: members.count, rendezvous: store, name: name,
          secret: name == "most" ? .published : Self.secret, options: options, environment: [:])
        #expect(communicator.rank == rank && communicator.rankCount == members.count)
        try Self.use(communicator, adding: Int32(name.utf8.count))
      }
    }
  }

  @Test func groupsMeetOverAServerInOneProcess() throws {
    let listener = try Sockets.listen(on: .ipv4(0x7F00_0001, port: 0)).handOver()
    let address = "127.0.0.1:\(try #require(Sockets.localAddress(listener)).port)"
    let server = try RendezvousServer(address: address, listener: listener, secret: [1, 2, 3])
    defer { server.close() }
    // The process that serves is rank 0 of the first group, and in none of the second.
    try TuttiTesting.onThreads(4) { thread in
      let store: any Tutti.Rendezvous =
        thread == 0 ? server : try RendezvousClient(address: address, secret: [1, 2, 3])
      let all = try Communicator.join(
        rank: thread, rankCount: 4, rendezvous: store, secret: Self.secret, environment: [:])
      if thread > 0 {
        let rest = try Communicator.join(
          rank: thread - 1, rankCount: 3, rendezvous: store, name: "rest", secret: .published, environment: [:])
        try Self.use(rest, adding: 5)
      }
      try Self.use(all, adding: 7)
    }
    #expect(throws: TuttiError.self) { try RendezvousServer(address: "nowhere", secret: [1]) }
    #expect(throws: TuttiError.self) { try RendezvousClient(address: address, secret: []) }
  }

  @Test func theListenerIsTheProgramsOwn() throws {
    let listener = try Sockets.listen(on: .ipv4(0x7F00_0001, port: 0)).handOver()
    let port = try #require(Sockets.localAddress(listener)).port
    try TuttiTesting.onThreads(3) { rank in
      let communicator = try Communicator.join(
        rank: rank, rankCount: 3, address: "127.0.0.1:\(port)", listener: rank == 0 ? listener : nil, secret: Self.secret,
        environment: [:])
      try Self.use(communicator, adding: 3)
    }
  }

  @Test func aStoresErrorIsTheCause() throws {
    var options = CommunicatorOptions()
    options.joinTimeout = .milliseconds(300)
    let error = #expect(throws: TuttiError.self) {
      try Communicator.join(
        rank: 0, rankCount: 2, rendezvous: ProgramStore(failingWith: "no quorum"), secret: Self.secret, options: options,
        environment: [:])
    }
    #expect(error?.code == .rendezvous && error?.message.contains("ProgramStore") == true)
    #expect(error?.cause?.message.contains("no quorum") == true && error?.description.contains("no quorum") == true)
  }

  @Test func whatCannotBeIsRefusedAtOnce() throws {
    let store = ProgramStore()
    func refusal(_ body: () throws(TuttiError) -> Communicator) -> TuttiError.Code? {
      do throws(TuttiError) { _ = try body() } catch { return error.code }
      return nil
    }
    func join(
      _ rank: Int, _ rankCount: Int, name: String = "main", secret: JoinSecret = StoreJoinTests.secret
    ) -> TuttiError.Code? {
      refusal { () throws(TuttiError) in
        try Communicator.join(
          rank: rank, rankCount: rankCount, rendezvous: store, name: name, secret: secret, environment: [:])
      }
    }
    #expect(join(2, 2) == .invalidArgument && join(-1, 2) == .invalidArgument && join(0, 0) == .invalidArgument)
    #expect(join(0, 2, name: "with space") == .invalidArgument && join(0, 2, name: "") == .invalidArgument)
    #expect(join(0, 2, secret: .bytes([])) == .authentication && join(0, 2, secret: .environment) == .authentication)
    #expect(join(0, 1) == nil)
    func meet(_ rank: Int, _ address: String, _ listener: Int32?, _ secret: JoinSecret) -> TuttiError.Code? {
      refusal { () throws(TuttiError) in
        try Communicator.join(
          rank: rank, rankCount: 2, address: address, listener: listener, secret: secret, environment: [:])
      }
    }
    #expect(meet(1, "nowhere", nil, Self.secret) == .invalidArgument)
    #expect(meet(1, "127.0.0.1:9", nil, .published) == .invalidArgument)
    let listener = try Sockets.listen(on: .ipv4(0x7F00_0001, port: 0)).handOver()
    #expect(meet(1, "127.0.0.1:9", listener, Self.secret) == .invalidArgument)
    #expect(fcntl(listener, F_GETFD) < 0)
  }
}
