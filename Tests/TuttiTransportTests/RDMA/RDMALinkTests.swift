import Patience
import TuttiSystem
import CTuttiLinux
import Glibc
import Testing
import TuttiTransport

@testable import TuttiRDMA

#if RDMA
  /// Tests what RDMA links do beyond what all links do: registered memory, tokens, and taking memory back.
  @Suite(
    .serialized,
    .enabled(if: RDMABench.obstacle == nil, "no RDMA device: Scripts/test --rdma runs this in a virtual machine"))
  struct RDMALinkTests {
    private let call = CallSignature(rawValue: 7)
    private static let bytes = 100_000

    private func makeLinks() throws -> (bench: RDMABench, first: RDMALink, second: RDMALink) {
      let bench = try RDMABench.current()
      let (first, second) = try bench.makePair()
      return (bench, try #require(first as? RDMALink), try #require(second as? RDMALink))
    }

    @Test("a segment between registered buffers is copied by nobody, whoever comes first", arguments: [false, true])
    func placed(senderFirst: Bool) throws {
      let (bench, first, second) = try makeLinks()
      defer { close(first, second) }
      let source = try bench.registered.0.allocate(bytes: Self.bytes)
      let destination = try bench.registered.1.allocate(bytes: Self.bytes)
      defer {
        bench.registered.0.deallocate(source, bytes: Self.bytes)
        bench.registered.1.deallocate(destination, bytes: Self.bytes)
      }
      for number in 0..<UInt64(10) {
        memcpy(source, BytePool.shared.content(number), Self.bytes)
        memset(destination, 0, Self.bytes)
        try pump(first, second, for: "credit") { first.canSend(0) }
        if senderFirst {
          #expect(first.awaitsGrant(0, Self.bytes))
          try pump(first, second, for: "the question") { second.status.pointee.asked == 1 }
        }
        second.grant(0, 0, bench.registered.1.offset(of: destination), Self.bytes)
        #expect(second.status.pointee.asked == 0)
        try pump(first, second, for: "the grant") { !first.awaitsGrant(0, Self.bytes) }
        let sequence = first.sendRegistered(0, call, number, bench.registered.0.offset(of: source), Self.bytes)
        let found = try arrival(second, 0, from: first)
        #expect(found.placed && found.bytes == Self.bytes && found.count == number)
        #expect(memcmp(destination, BytePool.shared.content(number), Self.bytes) == 0)
        try pump(first, second, for: "release without consumption") { first.released(0) >= sequence }
        second.consume(0)
      }
      #expect(first.copiedBytes == 0 && first.uncopiedBytes == UInt64(10 * Self.bytes))
      #expect(second.placedBytes == UInt64(10 * Self.bytes))
    }

    @Test("where the receiver declines, the segment goes to its slot, and the sender still copies nothing")
    func declined() throws {
      let (bench, first, second) = try makeLinks()
      defer { close(first, second) }
      let source = try bench.registered.0.allocate(bytes: Self.bytes)
      defer { bench.registered.0.deallocate(source, bytes: Self.bytes) }
      #expect(first.awaitsGrant(2, Self.bytes))
      try pump(first, second, for: "the question") { second.status.pointee.asked == 4 }
      second.declineGrants(2, 3)
      try pump(first, second, for: "the answer") { !first.awaitsGrant(2, Self.bytes) }
      // Three were declined at once; the fourth is asked about again.
      for number in 0..<UInt64(3) {
        #expect(!first.awaitsGrant(2, Self.bytes))
        memcpy(source, BytePool.shared.content(number), Self.bytes)
        let sequence = first.sendRegistered(2, call, 1, bench.registered.0.offset(of: source), Self.bytes)
        let found = try arrival(second, 2, from: first)
        #expect(!found.placed && memcmp(found.payload, BytePool.shared.content(number), Self.bytes) == 0)
        second.consume(2)
        try pump(first, second, for: "release") { first.released(2) >= sequence }
      }
      #expect(first.awaitsGrant(2, Self.bytes) && first.copiedBytes == 0)
    }

    @Test("the caller's own memory, once registered, and ordinary memory to a granted place")
    func callersMemory() throws {
      let (bench, first, second) = try makeLinks()
      defer { close(first, second) }
      let (source, destination) = (Scratch(Self.bytes), Scratch(Self.bytes))
      #expect(bench.registered.0.offset(of: source.base) == InPlace.nowhere)
      try bench.registered.0.register(source.base, bytes: Self.bytes)
      try bench.registered.1.register(destination.base, bytes: Self.bytes)
      #expect(throws: FailureReport.self) { try bench.registered.0.register(source.base + 100, bytes: 10) }
      for isRegistered in [true, false] {
        memcpy(source.base, BytePool.shared.content(9), Self.bytes)
        memset(destination.base, 0, Self.bytes)
        second.grant(1, 0, bench.registered.1.offset(of: destination.base), Self.bytes)
        try pump(first, second, for: "the grant") { !first.awaitsGrant(1, Self.bytes) }
        _ =
          isRegistered
          ? first.sendRegistered(1, call, 1, bench.registered.0.offset(of: source.base), Self.bytes)
          : first.send(1, call, 1, source.base, Self.bytes, copied: false)
        #expect(try arrival(second, 1, from: first).placed)
        #expect(memcmp(destination.base, BytePool.shared.content(9), Self.bytes) == 0)
        second.consume(1)
      }
      try bench.registered.0.unregister(source.base)
      try bench.registered.1.unregister(destination.base)
      #expect(bench.registered.0.offset(of: source.base) == InPlace.nowhere)
      #expect(throws: FailureReport.self) { try bench.registered.0.unregister(source.base) }
    }

    @Test("memory that was taken back is not written any more, and the peer hears of it")
    func revoked() throws {
      let (bench, first, second) = try makeLinks()
      defer { close(first, second) }
      let destination = Scratch(Self.bytes)
      try bench.registered.1.register(destination.base, bytes: Self.bytes)
      second.grant(0, 0, bench.registered.1.offset(of: destination.base), Self.bytes)
      try pump(first, second, for: "the grant") { !first.awaitsGrant(0, Self.bytes) }
      memset(destination.base, 0x55, Self.bytes)
      Link.revoke([second])
      _ = first.send(0, call, 1, BytePool.shared.content(3), Self.bytes, copied: false)
      try pump(first, for: "the failure") { first.status.pointee.failed }
      #expect(first.failure?.peer == secondRank, "\(first.failure?.description ?? "")")
      #expect((0..<Self.bytes).allSatisfy { destination.base.load(fromByteOffset: $0, as: UInt8.self) == 0x55 })
      try bench.registered.1.unregister(destination.base)
    }

    @Test("what came before a waiter was ready to sleep keeps it awake, or makes the descriptor ready") func lateSleeper()
      throws
    {
      let (_, first, second) = try makeLinks()
      defer { close(first, second) }
      var waiting = pollfd(fd: second.descriptor, events: Int16(POLLIN), revents: 0)
      for bytes in [0, 8, 50_000] {
        _ = second.prepareToPark()
        try send(first, 0, to: second, BytePool.shared.content(2), bytes)
        settle(first, first)
        #expect(second.hasArrival(0) || !second.prepareToPark() || poll(&waiting, 1, 5000) == 1)
        _ = try arrival(second, 0, from: first)
        second.consume(0)
      }
    }

    @Test("who sleeps is asked to look again at what his last look has taken") func takenByTheLastLook() throws {
      let (_, first, second) = try makeLinks()
      defer { close(first, second) }
      settle(first, second)
      // The first calls may have to do with what was taken before, and with the probe that they send.
      for _ in 0..<10 where !second.prepareToPark() { settle(second, second) }
      try send(first, 0, to: second, BytePool.shared.content(2), 8)
      try pump(first, second, for: "the segment") { second.hasArrival(0) }
      #expect(!second.prepareToPark())
      var mayPark = false
      for _ in 0..<10 where !mayPark { mayPark = second.prepareToPark() }
      #expect(mayPark)
    }

    @Test("at the end of a process what it sent has left, and what it consumed is told") func drained() throws {
      let (_, first, second) = try makeLinks()
      defer { close(first, second) }
      settle(first, second)
      try send(first, 0, to: second, BytePool.shared.content(2), 8)
      #expect(!first.isDrained, "an unsignalled request")
      Link.drain([first])
      #expect(first.isDrained)
      _ = try arrival(second, 0, from: first)
      second.consume(0)
      #expect(first.lanes[0].acknowledged == 0)
      Link.drain([second])
      try pump(first, for: "the acknowledgement") { first.lanes[0].acknowledged == 1 }
    }

    @Test("a question that others have overtaken is no news") func lateQuestion() throws {
      let (_, first, second) = try makeLinks()
      defer { close(first, second) }
      let count = UInt64(RDMALayout.queuePairsMax)
      for number in 0..<count {
        try pump(first, second, for: "credit") { first.canSend(0) }
        try send(first, 0, to: second, BytePool.shared.content(number), 8)
        _ = try arrival(second, 0, from: first)
        second.consume(0)
      }
      for number in 1...count { first.postImmediate(RDMAImmediate(.question, lane: 0, number: number), isSignalled: false) }
      first.postImmediate(RDMAImmediate(.question, lane: 1, number: 1), isSignalled: false)
      try pump(first, second, for: "the last question") { second.status.pointee.asked != 0 || second.status.pointee.failed }
      #expect(second.status.pointee.asked == 2 && second.failure == nil, "\(second.failure?.description ?? "")")
    }

    @Test("a connection that does not show the token is refused, and the listener goes on") func token() throws {
      let bench = try RDMABench.current()
      let (near, far) = try unixSockets()
      defer { tutti_close(far) }
      try bench.first.invite(over: OwnedDescriptor(near), from: secondRank)
      var bytes = [UInt8](repeating: 0, count: RDMAInvitation.byteCount)
      var entry = pollfd(fd: far, events: Int16(POLLIN), revents: 0)
      try #require(poll(&entry, 1, 5000) == 1 && read(far, &bytes, bytes.count) == bytes.count)
      bytes[8] ^= 1
      let (forged, reader) = try unixSockets()
      defer { tutti_close(forged) }
      try #require(write(forged, bytes, bytes.count) == bytes.count)
      let deadline = Patience.deadline(seconds: 20)
      let error = #expect(throws: FailureReport.self) {
        _ = try bench.second.connect(
          over: OwnedDescriptor(reader), to: firstRank, rails: bench.fabric.rails, deadline: deadline
        ) { nil }
      }
      #expect(error?.peer == firstRank && error?.message.contains("refused") == true, "\(error?.description ?? "")")
      let (first, second) = try bench.makePair()
      close(first, second)
    }

    @Test("an invitation and an introduction are read as they were written, and nothing else is")
    func wire() throws {
      let invitation = RDMAInvitation(queuePairs: 3, token: .fresh(), ports: [1, 0, 65535, 7])
      #expect(RDMAInvitation(invitation.bytes) == invitation)
      let introduction = RDMAIntroduction(
        queuePair: 1, queuePairs: 2, rail: 3, token: invitation.token, segmentBytesMax: 1 << 18, mtu: 5, key: 9,
        address: 1 << 47)
      #expect(introduction.bytes.count == RDMAIntroduction.byteCount && introduction.bytes.count <= 56)
      introduction.bytes.withUnsafeBytes { #expect(RDMAIntroduction($0) == introduction) }
      for index in 0..<8 {
        var (one, other) = (invitation.bytes, introduction.bytes)
        one[index] ^= 0xF0
        other[index] ^= 0xF0
        if index < 6 { #expect(RDMAInvitation(one) == nil) }
        if index < 7 { other.withUnsafeBytes { #expect(RDMAIntroduction($0) == nil) } }
      }
      #expect(RDMAInvitation(Array(invitation.bytes.dropLast())) == nil)
    }
  }
#endif
