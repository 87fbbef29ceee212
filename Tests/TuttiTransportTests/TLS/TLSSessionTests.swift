import CTuttiTLS
import Glibc
import Testing
import TuttiSystem

/// The session alone, between two ends and somebody on the way: what it keeps out, and what it lets through.
struct TLSSessionTests {
  private func message(_ count: Int, _ seed: UInt8 = 1) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ Int(seed)) }
  }

  // MARK: What passes

  @Test("what one end sends comes out at the other, and nobody on the way reads it")
  func roundTrip() throws {
    let pair = try TappedPair()
    let text = Array("a payload that must not be seen on the way".utf8)
    #expect(pair.near.send(text))
    pair.tap.pass()
    #expect(pair.far.receive() == .success(text))
    let wire = pair.tap.sentByNear
    // The canary: the wire tap sees what is in the clear.
    #expect(!contains(wire, text))
    #expect(wire.count > pair.flight.count + text.count)
  }

  @Test("every length arrives whole, through sockets that take a little at a time", arguments: [1, 16_384, 16_385, 300_000])
  func lengths(_ count: Int) throws {
    let (first, second) = try loopbackSockets()
    let owners = [owning(first), owning(second)]
    defer { withExtendedLifetime(owners) {} }
    let sessions = try tlsSessions(first, second)
    var room: Int32 = 8192
    setsockopt(first, SOL_SOCKET, SO_SNDBUF, &room, socklen_t(MemoryLayout<Int32>.size))
    let dialer = try #require(sessions.dialer)
    let listener = try #require(sessions.listener)
    let bytes = message(count)
    var rest = bytes[...]
    var received: [UInt8] = []
    let end = Deadline(seconds: 20)
    while received.count < count {
      if !rest.isEmpty {
        let moved = rest.withUnsafeBytes { tutti_tls_send(dialer.raw, $0.baseAddress, $0.count, nil, 0) }
        if moved > 0 { rest = rest.dropFirst(moved) } else { #expect(moved == -Int(EAGAIN)) }
      }
      switch listener.receive(max: 5000) {
      case .success(let more): received += more
      case .failure(let error): #expect(error.code == EAGAIN)
      }
      try end.check("\(count) bytes, of which \(received.count) came")
    }
    #expect(received == bytes)
  }

  @Test("a header and what follows it travel in as few records as there can be")
  func joinedRecord() throws {
    let pair = try TappedPair()
    let (head, body) = (message(40), message(20_000, 3))
    let moved = head.withUnsafeBytes { head in
      body.withUnsafeBytes { body in
        tutti_tls_send(pair.near.raw, head.baseAddress, head.count, body.baseAddress, body.count)
      }
    }
    #expect(moved == head.count + body.count)
    pair.tap.pass()
    #expect(pair.far.receive() == .success(head + body))
    // Two records of at most 16,384 bytes, each with a header, a type and a tag.
    #expect(pair.tap.sentByNear.count - pair.flight.count == head.count + body.count + 2 * (5 + 1 + 16))
  }

  @Test("a key is changed before it has protected too much")
  func keyChange() throws {
    let (first, second) = try loopbackSockets()
    let owners = [owning(first), owning(second)]
    defer { withExtendedLifetime(owners) {} }
    let sessions = try tlsSessions(first, second, recordsPerKey: 3)
    let (dialer, listener) = (try #require(sessions.dialer), try #require(sessions.listener))
    for number in 0..<10 {
      let bytes = message(100, UInt8(number))
      #expect(dialer.send(bytes))
      var got = listener.receive()
      let end = Deadline(seconds: 5)
      while got == .failure(SystemError(code: EAGAIN)) {
        got = listener.receive()
        try end.check("record \(number)")
      }
      #expect(got == .success(bytes))
    }
    #expect(dialer.keyChanges == 3)
  }

  @Test("whoever polls the socket misses nothing that a session has taken from it")
  func nothingIsHeldBack() throws {
    let (first, second) = try loopbackSockets()
    let sessions = try tlsSessions(first, second)
    let owner = owning(first)
    defer { withExtendedLifetime(owner) {} }
    let dialer = try #require(sessions.dialer)
    let connection = Connection(OwnedDescriptor(second), tls: sessions.listener)
    for number in 0..<50 { #expect(dialer.send(message(200, UInt8(number)))) }
    var received = 0
    // A byte at a time is asked for; what is held comes along, or the poll would wait for what is here already.
    while received < 50 * 200 {
      let deadline = monotonicNanoseconds() + 5_000_000_000
      let socket = connection.raw
      try #require(Sockets.wait(socket, for: POLLIN, until: deadline), "\(received) bytes came")
      if case .bytes(let bytes) = connection.receiveNow(max: 1) { received += bytes.count }
    }
    #expect(received == 50 * 200)
  }

  // MARK: What is kept out

  @Test("two ends with different keys come to nothing, on both sides")
  func wrongKey() throws {
    try TLSLibrary.load([:])
    let tap = try WireTap()
    let near = try TLSSession(.dialer, socket: tap.near, key: testTLSKey)
    let far = try TLSSession(.listener, socket: tap.far, key: testTLSKey.reversed())
    let progress = try handshake(near, far, between: tap.pass)
    #expect(progress.0.hasFailed && progress.1.hasFailed, "\(progress)")
    #expect(!near.failure.isEmpty && !far.failure.isEmpty)
  }

  @Test("bytes that are no TLS end a handshake, on either side", arguments: [TLSSession.Side.dialer, .listener])
  func garbage(_ side: TLSSession.Side) throws {
    try TLSLibrary.load([:])
    let (own, other) = try unixSockets()
    let owners = [owning(own), owning(other)]
    defer { withExtendedLifetime(owners) {} }
    let session = try TLSSession(side, socket: own, key: testTLSKey)
    if side == .dialer { #expect(session.handshake() == .wantsRead) }
    _ = Sockets.sendNow(other, message(500)[...])
    #expect(session.handshake().hasFailed)
    #expect(session.handshake().hasFailed, "it stays failed")
  }

  @Test("a handshake that is cut off fails, and says that the other side closed")
  func truncatedHandshake() throws {
    let pair = try TappedPair()
    for cut in [1, 5, 60, 200, pair.flight.count - 1] {
      let (own, other) = try unixSockets()
      let owner = owning(own)
      let session = try TLSSession(.listener, socket: own, key: testTLSKey)
      _ = Sockets.sendNow(other, pair.flight[..<cut])
      #expect(cut > 200 || session.handshake() == .wantsRead)
      close(other)
      #expect(session.handshake().hasFailed, "cut after \(cut) bytes")
      withExtendedLifetime(owner) {}
    }
  }

  @Test("a bit that is changed on the way ends the stream, and nothing of its record comes out")
  func alteredRecord() throws {
    let pair = try TappedPair()
    pair.tap.change = { bytes in
      var bytes = bytes
      bytes[bytes.count / 2] ^= 1
      return bytes
    }
    #expect(pair.near.send(message(1000)))
    pair.tap.pass()
    #expect(pair.far.receive() == .failure(SystemError(code: EBADMSG)))
    #expect(pair.far.receive() == .failure(SystemError(code: EBADMSG)), "it stays failed")
    #expect(!pair.far.failure.isEmpty)
  }

  @Test("a record that comes a second time ends the stream")
  func replayedRecord() throws {
    let pair = try TappedPair()
    let text = message(100)
    #expect(pair.near.send(text))
    pair.tap.pass()
    #expect(pair.far.receive() == .success(text))
    pair.tap.inject(Array(pair.tap.sentByNear[pair.flight.count...]))
    #expect(pair.far.receive() == .failure(SystemError(code: EBADMSG)))
  }

  @Test("a recorded handshake opens nothing, with the same key neither")
  func replayedHandshake() throws {
    let pair = try TappedPair()
    let (own, other) = try unixSockets()
    let owners = [owning(own), owning(other)]
    defer { withExtendedLifetime(owners) {} }
    let session = try TLSSession(.listener, socket: own, key: testTLSKey)
    _ = Sockets.sendNow(other, pair.flight[...])
    #expect(session.handshake().hasFailed)
  }

  @Test("what came before the end of the stream is received, whether the peer said farewell or was killed")
  func endOfStream() throws {
    for saysFarewell in [true, false] {
      let (first, second) = try loopbackSockets()
      let owner = owning(second)
      let sessions = try tlsSessions(first, second)
      let (dialer, listener) = (try #require(sessions.dialer), try #require(sessions.listener))
      #expect(dialer.send(message(100)))
      if saysFarewell { tutti_tls_end(dialer.raw) }
      close(first)
      usleep(20_000)
      #expect(listener.receive() == .success(message(100)))
      #expect(listener.receive() == .success([]))
      #expect(listener.receive() == .success([]))
      withExtendedLifetime(owner) {}
    }
  }

  @Test("a peer that has left can still be read where nothing can be sent to it")
  func readAfterFailedWrite() throws {
    let (first, second) = try loopbackSockets()
    let owner = owning(second)
    defer { withExtendedLifetime(owner) {} }
    let sessions = try tlsSessions(first, second)
    let (dialer, listener) = (try #require(sessions.dialer), try #require(sessions.listener))
    for number in 0..<5 { #expect(dialer.send(message(1000, UInt8(number)))) }
    shutdown(second, Int32(SHUT_WR))
    #expect(!listener.send(message(10)), "the canary: nothing can be sent")
    var received: [UInt8] = []
    let end = Deadline(seconds: 5)
    while received.count < 5000 {
      if case .success(let more) = listener.receive() { received += more }
      try end.check("\(received.count) bytes came")
    }
    #expect(received == (0..<5).flatMap { message(1000, UInt8($0)) })
    close(first)
  }

  private func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
    bytes.indices.contains { bytes[$0...].starts(with: part) }
  }
}
