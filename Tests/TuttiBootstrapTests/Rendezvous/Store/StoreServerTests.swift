import CTuttiLinux
import Glibc
import Patience
import Testing
import TuttiSystem

@testable import TuttiBootstrap

extension OverSockets {
  /// The store that a process serves to others.
  @Suite(.serialized) struct StoreServerTests {
    static func soon(_ seconds: Double = 5) -> UInt64 { Patience.deadline(seconds: seconds) }

    static func addresses() throws -> [RendezvousAddress] {
      [freshRendezvous(), .tcp(host: "127.0.0.1", port: try freePort())]
    }

    @Test func valuesAreSharedAndWaitedFor() throws {
      for address in try Self.addresses() {
        let server = try StoreServer(address, listener: nil, secret: testSecret)
        defer { server.close() }
        let client = StoreClient(address, secret: testSecret)
        #expect(try client.get("a", deadline: Self.soon()) == nil)
        try client.put([1, 2, 3], for: "a", deadline: Self.soon())
        #expect(try client.get("a", deadline: Self.soon()) == [1, 2, 3] && server.get("a") == [1, 2, 3])
        let largest = [UInt8](repeating: 9, count: RendezvousLimits.valueBytesMax)
        let results = try runRanks(0..<4) { rank throws(FailureReport) in
          if rank > 0 { return try client.wait(for: "b", deadline: Self.soon()) }
          Clock.pause(100 * Clock.millisecond)
          #expect(server.put(largest, for: "b"))
          return largest
        }
        for rank in 0..<4 { #expect(try results[rank]?.get() == largest) }
        #expect(try client.wait(for: "never", deadline: Self.soon(0.2)) == nil)
      }
    }

    @Test func strangersGetNothing() throws {
      let address = freshRendezvous()
      let server = try StoreServer(address, listener: nil, secret: testSecret)
      defer { server.close() }
      #expect(server.put([1], for: "a"))
      let report = #expect(throws: FailureReport.self) {
        try StoreClient(address, secret: otherSecret).get("a", deadline: Self.soon())
      }
      #expect(report?.code == .authentication && report?.message.contains("the store at \(address)") == true)
      // Neither does one that knows the secret and joins a communicator there instead.
      let other = #expect(throws: FailureReport.self) {
        try RendezvousGuest.meet(
          identity(1, 2, address), secret: testSecret, deadline: Self.soon(1), version: protocolVersion, clock: .system)
      }
      #expect(other?.message.contains("does not have this communicator") == true, "\(String(describing: other))")
    }

    @Test func nobodyThereIsNamedAtTheDeadline() throws {
      let address = freshRendezvous()
      let start = monotonicNanoseconds()
      let report = #expect(throws: FailureReport.self) {
        try StoreClient(address, secret: testSecret).get("a", deadline: Self.soon(0.3))
      }
      #expect(report?.code == .rendezvous && report?.message.contains("the store at \(address) cannot be reached") == true)
      #expect(monotonicNanoseconds() - start < 3 * UInt64(Patience.factor) * Clock.second)
    }

    @Test func aServerThatEndsIsToldToThoseWhoWait() throws {
      let address = freshRendezvous()
      let server = try StoreServer(address, listener: nil, secret: testSecret)
      let results = try runRanks(0..<2) { rank throws(FailureReport) in
        if rank == 1 { return try StoreClient(address, secret: testSecret).wait(for: "a", deadline: Self.soon(1)) }
        Clock.pause(200 * Clock.millisecond)
        server.close()
        return nil
      }
      #expect(
        StoreTests.failure(results[1])?.message.contains("cannot be reached") == true, "\(String(describing: results[1]))")
    }

    @Test func garbageEndsItsConnectionOnly() throws {
      let address = freshRendezvous()
      let server = try StoreServer(address, listener: nil, secret: testSecret)
      defer { server.close() }
      let client = StoreClient(address, secret: testSecret)
      let seed = SeededGenerator.seed()
      var generator = SeededGenerator(seed: seed)
      for _ in 0..<50 {
        guard
          case .success(let socket) = Sockets.connect(
            to: try #require(try MeetingSearch.resolve(address, deadline: Self.soon(), clock: .system).first),
            deadline: Self.soon())
        else { throw FailureReport.missing }
        let connection = FramedConnection(peer: 0, Connection(socket), frameBytesMax: 1 << 20, clock: .system)
        let hello = HandshakeHello(
          role: .rendezvous, from: 0, to: 0, rankCount: 0, communicator: .store, nonce: Handshake.freshNonce())
        try HandshakeDialer(socket: connection.descriptor, deadline: Self.soon(), clock: .system, giveUp: { false })
          .run(hello: hello, key: testSecret.handshakeKey(for: .store))
        connection.queue([9] + generator.bytes(Int.random(in: 0...4000, using: &generator)))
        connection.flush()
        #expect(connection.awaitFrame(until: Self.soon()) == nil && connection.state != .open, "seed \(seed)")
      }
      try client.put([7], for: "a", deadline: Self.soon())
      #expect(try client.get("a", deadline: Self.soon()) == [7])
    }

    @Test func messagesSurviveTheTrip() throws {
      for question in [
        StoreQuestion.put(key: "k", value: [1, 2]), .put(key: "", value: []), .get(key: "a"), .wait(key: "b"),
      ] {
        #expect(try StoreQuestion(question.bytes) == question)
      }
      for answer in [StoreAnswer.value([]), .value([5]), .nothing, .stored, .full] {
        #expect(try StoreAnswer(answer.bytes) == answer)
      }
      let long = StoreQuestion.put(key: "k", value: [UInt8](repeating: 0, count: RendezvousLimits.valueBytesMax + 1))
      #expect(throws: MalformedMessage.self) { try StoreQuestion(long.bytes) }
      #expect(throws: MalformedMessage.self) { try StoreAnswer([]) }
    }

    @Test func nothingStaysOpen() throws {
      let address = freshRendezvous()
      func use() throws {
        let server = try StoreServer(address, listener: nil, secret: testSecret)
        let client = StoreClient(address, secret: testSecret)
        for _ in 0..<5 { try client.put([1], for: "a", deadline: Self.soon()) }
        _ = try client.wait(for: "b", deadline: Self.soon(0.05))
        _ = server
      }
      try use()
      let before = openDescriptorCount()
      for _ in 0..<3 { try use() }
      // The service thread lets go of the last one when it has heard of its end.
      #expect(Clock.wait(until: Self.soon()) { openDescriptorCount() <= before })
    }
  }
}
