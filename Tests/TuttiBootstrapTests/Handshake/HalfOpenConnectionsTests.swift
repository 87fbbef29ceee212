import CTuttiLinux
import Glibc
import Patience
import Testing
import TuttiSystem

@testable import TuttiBootstrap

/// Who may stay half open, under a clock that the test moves.
@Suite struct HalfOpenConnectionsTests {
  @Test(arguments: [(1, 1 << 20, 129), (4096, 1 << 20, 4224), (65536, 1 << 20, 65664), (4096, 1024, 512), (2, 16, 16)])
  func theLimitFollowsTheRanks(_ rankCount: Int, _ openFilesMax: Int, _ limit: Int) {
    #expect(HalfOpenConnections(expected: rankCount, openFilesMax: openFilesMax, patience: 1).countMax == limit)
  }

  @Test func whoHasSaidLeastGoesFirst() {
    var connections = HalfOpenConnections(expected: 0, openFilesMax: 1, patience: 1)
    for token in 0..<UInt64(connections.countMax) { connections.add(token, now: 0) }
    for token in 0..<UInt64(connections.countMax) where token % 4 != 3 {
      connections.note(token % 4 == 0 ? .claiming : .speaking, of: token)
    }
    var order: [UInt64] = []
    while let token = connections.crowdedOut() {
      order.append(token)
      connections.remove(token)
      if connections.count == 0 { break }
      // Another one comes, and says hello at once.
      connections.add(UInt64(100 + order.count), now: 0)
      connections.note(.claiming, of: UInt64(100 + order.count))
      if order.count == 12 { break }
    }
    #expect(order == [3, 7, 11, 15, 1, 2, 5, 6, 9, 10, 13, 14])
  }

  /// What has gone is forgotten, though a listener lives for weeks: those that are there now, and those behind them, are
  /// kept.
  @Test func goneConnectionsTakeNoRoom() {
    var queue = TokenQueue()
    for token in 0..<UInt64(10_000) {
      queue.append(token) { $0 + 10 > token }
      #expect(queue.count <= 11)
    }
    #expect(queue.first { $0 >= 9_995 } == 9_995 && queue.count == 5)
    #expect(queue.first { _ in false } == nil && queue.count == 0)
  }

  /// Against the plainest way to say the same.
  @Test(arguments: machineSeeds(50))
  func theOldestOfTheLeastGoes(_ seed: UInt64) {
    struct Known {
      var progress: HandshakeProgress
      var since: Int
      var expiry: UInt64
    }
    var generator = SeededGenerator(seed: seed)
    let time = VirtualClock()
    var connections = HalfOpenConnections(expected: 0, openFilesMax: 1, patience: 100)
    var known: [UInt64: Known] = [:]
    for round in 0..<3000 {
      let token = UInt64(round)
      switch Int.random(in: 0..<4, using: &generator) {
      case 0:
        if let victim = connections.crowdedOut() {
          let expected = known.min {
            ($0.value.progress.rawValue, $0.value.since) < ($1.value.progress.rawValue, $1.value.since)
          }
          #expect(victim == expected?.key && known.count == connections.countMax, "seed \(seed)")
          connections.remove(victim)
          known[victim] = nil
        }
        connections.add(token, now: time.now)
        known[token] = Known(progress: .silent, since: round, expiry: time.now + 100)
      case 1:
        guard let some = known.keys.sorted().randomElement(using: &generator) else { continue }
        let next = HandshakeProgress(rawValue: known[some]!.progress.rawValue + 1) ?? .claiming
        connections.note(next, of: some)
        if next != known[some]!.progress { known[some]!.since = round }
        known[some]!.progress = next
      case 2:
        guard let some = known.keys.sorted().randomElement(using: &generator) else { continue }
        connections.remove(some)
        known[some] = nil
      default:
        time.advance(UInt64.random(in: 0..<30, using: &generator))
        #expect(connections.nextExpiry() == known.values.map(\.expiry).min(), "seed \(seed)")
        let expired = known.filter { $0.value.expiry <= time.now }.keys.sorted()
        #expect(connections.expired(now: time.now) == expired, "seed \(seed)")
        for token in expired { known[token] = nil }
      }
      #expect(connections.count == known.count, "seed \(seed)")
    }
  }
}

extension OverSockets {
  /// The acceptor when it is full.
  @Suite(.serialized) struct CrowdedAcceptorTests {
    private let listener: PassedDescriptor
    private let address: SocketAddress
    private let time = VirtualClock()

    init() throws {
      listener = PassedDescriptor(try Sockets.listen(on: .ipv4(0x7F00_0001, port: 0)))
      address = try #require(Sockets.localAddress(listener.raw))
    }

    private func acceptor(expected: Int, openFilesMax: Int) throws -> HandshakeAcceptor {
      try HandshakeAcceptor(
        policy: ListenerPolicy(
          rank: 0, expected: expected, communicator: .meeting, key: testSecret.handshakeKey(for: .meeting),
          judge: { _ in .fine }),
        listeners: [listener], clock: time.clock, openFilesMax: openFilesMax)
    }

    private func connect() throws -> PassedDescriptor {
      PassedDescriptor(try Sockets.connect(to: address, deadline: Patience.deadline(seconds: 5)).get())
    }

    private func hello(_ rank: Int) -> HandshakeHello {
      HandshakeHello(
        role: .rendezvous, from: rank, to: 0, rankCount: 64, communicator: .meeting, nonce: Handshake.freshNonce())
    }

    /// Ranks that have said hello stay, however many strangers come that say nothing.
    @Test func strangersThatSayNothingGoFirst() throws {
      let acceptor = try acceptor(expected: 20, openFilesMax: 64)
      defer { acceptor.close() }
      var ranks: [(socket: PassedDescriptor, hello: HandshakeHello)] = []
      for rank in 0..<20 { ranks.append((try connect(), hello(rank))) }
      var refusals: [String] = []
      var accepted: Set<Int> = []
      func serve() {
        for outcome in acceptor.service() {
          switch outcome {
          case .refused(let why): refusals.append(why)
          case .authenticated(let hello, _): accepted.insert(hello.from)
          case .differs(let hello): Issue.record("rank \(hello.from) differs")
          }
        }
      }
      for _ in 0..<4 { serve() }
      // Their hellos lie in the sockets, unread, when the strangers come.
      for (socket, hello) in ranks { _ = Sockets.sendNow(socket.raw, hello.bytes[...]) }
      var strangers: [PassedDescriptor] = []
      for _ in 0..<60 {
        strangers.append(try connect())
        if strangers.count % 8 == 0 { serve() }
      }
      for _ in 0..<8 { serve() }
      #expect(
        refusals.count == 80 - 32 && refusals.allSatisfy { $0.contains("was still silent when others came") }, "\(refusals)")
      for (socket, hello) in ranks {
        try startDetachedThread("rank") {
          _ = try? HandshakeDialer(
            socket: socket.raw, deadline: Patience.deadline(seconds: 5), clock: .system, giveUp: { false }
          )
          .answer(hello: hello, key: testSecret.handshakeKey(for: .meeting))
        }
      }
      let isDone = Clock.wait(until: Patience.deadline(seconds: 5)) {
        serve()
        return accepted.count == 20
      }
      #expect(isDone, "\(accepted.sorted()) of 20")
    }

    /// As many as there are ranks may be silent at the same time, where 128 would once have been too many.
    @Test func asManyAsThereAreRanksMayBeSlow() throws {
      let acceptor = try acceptor(expected: 200, openFilesMax: 1 << 20)
      defer { acceptor.close() }
      var slow: [PassedDescriptor] = []
      for _ in 0..<200 {
        slow.append(try connect())
        #expect(acceptor.service().isEmpty)
      }
      for _ in 0..<20 { #expect(acceptor.service().isEmpty) }
      time.advance(HandshakeAcceptor.standardPatience - 1)
      for _ in 0..<20 { #expect(acceptor.service().isEmpty) }
      time.advance(1)
      var refusals = 0
      for _ in 0..<20 { refusals += acceptor.service().count }
      #expect(refusals == 200)
    }
  }
}
