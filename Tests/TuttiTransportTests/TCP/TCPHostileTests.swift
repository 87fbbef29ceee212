import Glibc
import Testing
import TuttiSystem
import TuttiTCP
import TuttiTransport

/// A TCP link whose peer is a raw socket that writes whatever it likes. Frames are built here from the documented wire
/// format, not by the library.
@Suite(.serialized) struct TCPHostileTests {
  /// One frame, valid unless told otherwise.
  struct Frame {
    var magic: UInt16 = 0x7554
    var version: UInt8 = 1
    var kind: UInt8 = 1
    var lane: UInt8 = 0
    var bytes: UInt32 = 0
    var acknowledged: UInt32 = 0
    var reserved: UInt32 = 0
    var sequence: UInt64 = 1
    var call: UInt64 = 7
    var count: UInt64 = 9
    var payload: [UInt8] = []

    var encoded: [UInt8] {
      var out: [UInt8] = []
      func put<Value: FixedWidthInteger>(_ value: Value) { withUnsafeBytes(of: value.littleEndian) { out += $0 } }
      put(magic)
      put(version)
      put(kind | lane << 4)
      put(bytes)
      put(acknowledged)
      put(reserved)
      put(sequence)
      put(call)
      put(count)
      return out + payload
    }

    static func data(_ payload: [UInt8], sequence: UInt64, lane: UInt8 = 0) -> Frame {
      Frame(lane: lane, bytes: UInt32(payload.count), sequence: sequence, payload: payload)
    }
  }

  /// Something a peer may not send, and what the link must say about it.
  struct Violation: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let bytes: [UInt8]
    var code = FailureCode.transport
    let words: String
  }

  static let violations: [Violation] = [
    Violation(
      testDescription: "garbage", bytes: Array("GET / HTTP/1.1\r\nHost: somewhere.example\r\n\r\n".utf8), words: "begin"),
    Violation(testDescription: "zeros", bytes: [UInt8](repeating: 0, count: 200), words: "begin"),
    Violation(testDescription: "version", bytes: Frame(version: 2).encoded, code: .version, words: "version 2 instead of 1"),
    Violation(testDescription: "reserved", bytes: Frame(reserved: 1).encoded, words: "begin"),
    Violation(testDescription: "kind", bytes: Frame(kind: 3).encoded, words: "kind 3"),
    Violation(testDescription: "data lane", bytes: Frame(lane: UInt8(Lane.count)).encoded, words: "lane \(Lane.count)"),
    Violation(testDescription: "credit lane", bytes: Frame(kind: 2, lane: 15, sequence: 0).encoded, words: "lane 15"),
    Violation(
      testDescription: "one byte too large", bytes: Frame(bytes: UInt32(conformanceSegmentBytesMax + 1)).encoded,
      words: "\(conformanceSegmentBytesMax + 1) payload bytes"),
    Violation(testDescription: "4 GiB", bytes: Frame(bytes: .max).encoded, words: "payload bytes"),
    Violation(testDescription: "sequence 0", bytes: Frame(sequence: 0).encoded, words: "segment 0"),
    Violation(testDescription: "sequence 2", bytes: Frame(sequence: 2).encoded, words: "segment 2"),
    Violation(testDescription: "sequence max", bytes: Frame(sequence: .max).encoded, words: "segment \(UInt64.max)"),
    Violation(
      testDescription: "repeated", bytes: Frame.data([1], sequence: 1).encoded + Frame.data([1], sequence: 1).encoded,
      words: "segment 1"),
    Violation(testDescription: "acknowledgement", bytes: Frame(acknowledged: 1).encoded, words: "never sent"),
    Violation(
      testDescription: "acknowledgement by credit",
      bytes: Frame(kind: 2, acknowledged: .max, sequence: 0, call: 0, count: 0).encoded, words: "never sent"),
    Violation(
      testDescription: "credit with data", bytes: Frame(kind: 2, bytes: 8, sequence: 0).encoded, words: "carries data"),
    Violation(
      testDescription: "beyond the credit",
      bytes: (1...UInt64(Lane.credit + 1)).flatMap { Frame.data([1, 2, 3], sequence: $0).encoded }, words: "credit"),
  ]

  private func rawPair() throws -> (Int32, TCPLink) {
    let (raw, other) = try loopbackSockets()
    return (
      raw,
      try TCPLink(
        connection: Connection(OwnedDescriptor(other)), peer: 4, rank: 2, segmentBytesMax: conformanceSegmentBytesMax)
    )
  }

  /// Writes without blocking as much as fits. Returns how much that was.
  private func write(_ raw: Int32, _ bytes: ArraySlice<UInt8>) -> Int {
    max(0, bytes.withUnsafeBytes { Glibc.send(raw, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT)) })
  }

  @Test("a peer that breaks the protocol ends the link with a reason", arguments: violations)
  func violation(_ violation: Violation) throws {
    let (raw, link) = try rawPair()
    defer { Glibc.close(raw) }
    #expect(write(raw, violation.bytes[...]) == violation.bytes.count)
    try pump(link, for: "the refusal") { link.status.pointee.failed }
    let failure = try #require(link.failure)
    #expect(failure.code == violation.code && failure.peer == 4 && failure.rank == 2)
    #expect(failure.message.contains("rank 4") && failure.message.contains(violation.words), "\(failure)")
    link.progress()
    #expect(!link.canSend(0))
    link.close()
  }

  @Test("exactly the credit is no violation")
  func exactCredit() throws {
    let (raw, link) = try rawPair()
    defer { Glibc.close(raw) }
    for lane in 0..<UInt8(Lane.count) {
      for sequence in 1...UInt64(Lane.credit) {
        _ = write(raw, Frame.data([lane], sequence: sequence, lane: lane).encoded[...])
      }
    }
    settle(link)
    #expect(!link.status.pointee.failed)
    link.close()
  }

  @Test("the end of the stream in a segment is told apart from the end between two", arguments: [0, 39, 40, 45, 30_000])
  func endOfStream(bytesSent: Int) throws {
    let (raw, link) = try rawPair()
    let frame = Frame.data([UInt8](repeating: 1, count: 50_000), sequence: 1).encoded
    #expect(write(raw, frame[..<bytesSent]) == bytesSent)
    Glibc.close(raw)
    try pump(link, for: "the end") { link.status.pointee.failed }
    #expect(link.failure?.code == .peerLost && link.failure?.peer == 4)
    #expect(link.failure?.message.contains("in the middle of a segment") == (bytesSent > 0))
    link.close()
  }

  @Test("a reset connection is a lost peer, with its cause")
  func reset() throws {
    let (raw, link) = try rawPair()
    var hard = linger(l_onoff: 1, l_linger: 0)
    setsockopt(raw, SOL_SOCKET, SO_LINGER, &hard, socklen_t(MemoryLayout<linger>.size))
    Glibc.close(raw)
    try pump(link, for: "the end") { link.status.pointee.failed }
    #expect(link.failure?.code == .peerLost && link.failure?.systemError == ECONNRESET)
    link.close()
  }

  @Test("a peer that does not read leaves output queued, and gets all of it later", arguments: [false, true])
  func fullSocket(composed: Bool) throws {
    let (raw, link) = try rawPair()
    defer { Glibc.close(raw) }
    var sent: UInt32 = 0
    let bytes = conformanceSegmentBytesMax
    let deadline = Deadline()
    while !link.wantsWrite {
      // Credit without reading: the socket's buffers are all that stops the sender.
      _ = write(raw, Frame(kind: 2, acknowledged: sent, sequence: 0, call: 0, count: 0).encoded[...])
      try pump(link, for: "credit") { link.canSend(0) || link.wantsWrite }
      if link.wantsWrite { break }
      let content = BytePool.shared.content(UInt64(sent))
      if composed {
        memcpy(link.reserve(0, bytes), content, bytes)
        _ = link.commit(0, CallSignature(rawValue: 7), 9, bytes)
      } else {
        _ = link.send(0, CallSignature(rawValue: 7), 9, content, bytes, copied: false)
      }
      sent += 1
      try deadline.check("a full socket")
    }
    #expect(!link.canSend(0) && !link.canSend(1))
    #expect(link.released(0) == UInt64(sent) - 1)
    let received = Scratch(bytes + 40)
    for number in 0..<sent {
      var got = 0
      while got < bytes + 40 {
        let moved = recv(raw, received.base + got, bytes + 40 - got, Int32(MSG_DONTWAIT))
        if moved > 0 { got += moved }
        link.progress()
        try deadline.check("segment \(number)")
      }
      #expect(received.base.load(fromByteOffset: 16, as: UInt64.self) == UInt64(number) + 1)
      #expect(memcmp(received.base + 40, BytePool.shared.content(UInt64(number)), bytes) == 0)
    }
    #expect(!link.wantsWrite && link.released(0) == UInt64(sent))
    link.close()
  }

  /// A stream of segments of random sizes on all lanes.
  private func stream(_ generator: inout SeededGenerator, segments: Int) -> ([UInt8], [(lane: Int, payload: [UInt8])]) {
    var bytes: [UInt8] = []
    var expected: [(lane: Int, payload: [UInt8])] = []
    var sequences = [UInt64](repeating: 0, count: Lane.count)
    for _ in 0..<segments {
      let lane = Int(generator.next() % UInt64(Lane.count))
      let limit = [1, 100, 17_000, 40_000][Int(generator.next() % 4)]
      let content = UnsafeRawBufferPointer(
        start: BytePool.shared.content(generator.next()), count: Int(generator.next() % UInt64(limit)))
      sequences[lane] += 1
      bytes += Frame.data(Array(content), sequence: sequences[lane], lane: UInt8(lane)).encoded
      expected.append((lane, Array(content)))
    }
    return (bytes, expected)
  }

  @Test("a stream cut into arbitrary pieces arrives unchanged", arguments: 0..<UInt64(20))
  func torn(round: UInt64) throws {
    var generator = SeededGenerator(testSeed, round)
    let (raw, link) = try rawPair()
    defer { Glibc.close(raw) }
    let (bytes, expected) = stream(&generator, segments: 60)
    var written = 0
    var next = 0
    // The frame being written, where it ends, and what the link granted, by lane.
    var frame = 0
    var frameEnd = 40 + expected[0].payload.count
    var sent = [Int](repeating: 0, count: Lane.count)
    var acknowledged = [Int](repeating: 0, count: Lane.count)
    var creditBytes: [UInt8] = []
    let deadline = Deadline()
    while next < expected.count {
      readCredit(raw, &creditBytes, &acknowledged)
      if frame < expected.count, sent[expected[frame].lane] - acknowledged[expected[frame].lane] < Lane.credit {
        let pieceMax = [1, 7, 45, 5000, 100_000][Int(generator.next() % 5)]
        written += write(raw, bytes[written..<min(frameEnd, written + Int(generator.next() % UInt64(pieceMax)) + 1)])
        if written == frameEnd {
          sent[expected[frame].lane] += 1
          frame += 1
          if frame < expected.count { frameEnd += 40 + expected[frame].payload.count }
        }
      }
      // It does not read after every piece, so that several frames are read at once as well.
      if generator.next() % 4 == 0 || frame == expected.count { link.progress() }
      while next < expected.count, let found = link.peek(expected[next].lane) {
        let payload = UnsafeRawBufferPointer(start: found.pointee.payload, count: found.pointee.bytes)
        let isEqual = expected[next].payload.withUnsafeBytes {
          memcmp($0.baseAddress ?? found.pointee.payload, payload.baseAddress!, $0.count) == 0 && $0.count == payload.count
        }
        guard isEqual else { throw TestFailure("segment \(next) differs") }
        link.consume(expected[next].lane)
        next += 1
      }
      if let failure = link.failure { throw failure }
      try deadline.check("segment \(next)")
    }
    link.close()
  }

  /// Reads the credit frames the link has sent.
  private func readCredit(_ raw: Int32, _ bytes: inout [UInt8], _ acknowledged: inout [Int]) {
    var buffer = [UInt8](repeating: 0, count: 4000)
    let moved = recv(raw, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    if moved > 0 { bytes += buffer[..<moved] }
    while bytes.count >= 40 {
      acknowledged[Int(bytes[3] >> 4)] = Int(bytes[8]) | Int(bytes[9]) << 8
      bytes.removeFirst(40)
    }
  }

  @Test("an altered stream ends the link and nothing else", arguments: 0..<UInt64(200))
  func fuzz(round: UInt64) throws {
    var generator = SeededGenerator(testSeed, round, 99)
    let (raw, link) = try rawPair()
    var (bytes, _) = stream(&generator, segments: 12)
    for _ in 0...generator.next() % 4 {
      let place = Int(generator.next() % UInt64(bytes.count))
      switch generator.next() % 4 {
      case 0: bytes[place] = UInt8(truncatingIfNeeded: generator.next())
      case 1: bytes[place] ^= 1 << UInt8(generator.next() % 8)
      case 2: bytes.removeSubrange(place..<min(bytes.count, place + Int(generator.next() % 50) + 1))
      default: bytes.insert(contentsOf: (0...generator.next() % 50).map { UInt8(truncatingIfNeeded: $0) }, at: place)
      }
      if bytes.isEmpty { bytes = [0] }
    }
    let destination = Scratch(conformanceSegmentBytesMax)
    var written = 0
    let deadline = Deadline()
    while !link.status.pointee.failed {
      if written < bytes.count {
        written += write(raw, bytes[written..<min(bytes.count, written + Int(generator.next() % 9000) + 1)])
        if written == bytes.count { shutdown(raw, Int32(SHUT_WR)) }
      }
      link.progress()
      for lane in 0..<Lane.count {
        guard let found = link.peek(lane) else {
          link.offer(lane, CallSignature(rawValue: 7), 9, destination.base, 40 * Int(generator.next() % 1000))
          continue
        }
        // Reading every byte is what an address sanitizer needs to see a bad pointer.
        let payload = found.pointee.placed ? UnsafeRawPointer(destination.base) : found.pointee.payload
        if memchr(payload, 0x100, found.pointee.bytes) != nil { _ = link.canSend(lane) }
        if generator.next() % 3 != 0 { link.consume(lane) }
      }
      try deadline.check("the link to end")
    }
    #expect(link.failure?.peer == 4)
    Glibc.close(raw)
    link.close()
  }
}
