import Glibc
import Testing
import TuttiTransport

/// Segments composed in the link's memory: ``Link/reserve(_:_:)`` and ``Link/commit(_:_:_:_:)``. Random mixtures with the
/// other ways of sending are in ``ConformanceTrafficTests``.
@Suite(.serialized) struct ConformanceComposedTests {
  private let call = CallSignature(rawValue: 7)

  /// Composes `content` as the next segment of a lane that has room, and sends it.
  private func compose(
    _ link: Link, _ lane: Int, _ content: UnsafeRawPointer, _ bytes: Int, count: UInt64 = 9
  ) -> UInt64 {
    memcpy(link.reserve(lane, bytes), content, bytes)
    return link.commit(lane, call, count, bytes)
  }

  @Test("segments of every size can be composed on every lane, and travel like others", arguments: conformanceFactories)
  func sizes(factory: any LinkPairFactory) throws {
    let (first, second) = try factory.makePair()
    defer { close(first, second) }
    for (index, bytes) in ConformanceTests.sizes.enumerated() {
      for lane in 0..<Lane.count {
        let number = UInt64(index * Lane.count + lane)
        let content = BytePool.shared.content(number)
        try pump(first, second, for: "credit") { first.canSend(lane) }
        let memory = first.reserve(lane, bytes)
        #expect(Int(bitPattern: memory) & 31 == 0 && first.reserve(lane, bytes) == memory)
        let sequence = compose(first, lane, content, bytes, count: number)
        #expect(sequence == UInt64(index) * 2 + 1)
        try pump(first, second, for: "release without consumption") { first.released(lane) >= sequence }
        let found = try arrival(second, lane, from: first)
        #expect(found.call == call && found.count == number && found.bytes == bytes)
        #expect(memcmp(found.payload, content, bytes) == 0, "\(bytes) bytes")
        second.consume(lane)
        // The other way of sending, in between, on the same lane.
        try send(first, lane, to: second, content, bytes, copied: number % 2 == 0)
        #expect(memcmp(try arrival(second, lane, from: first).payload, content, bytes) == 0)
        second.consume(lane)
      }
    }
  }

  @Test("as many can be in flight as the credit allows, and none waits for the receiver", arguments: conformanceFactories)
  func inFlight(factory: any LinkPairFactory) throws {
    let (first, second) = try factory.makePair()
    defer { close(first, second) }
    for round in 0..<UInt64(3) {
      for number in 0..<UInt64(Lane.credit) {
        for lane in 0..<Lane.count {
          try pump(first, second, for: "room") { first.canSend(lane) }
          let content = BytePool.shared.content(round << 8 | number << 4 | UInt64(lane))
          let sequence = compose(first, lane, content, conformanceSegmentBytesMax)
          try pump(first, second, for: "release without consumption") { first.released(lane) >= sequence }
        }
      }
      for number in 0..<UInt64(Lane.credit) {
        for lane in 0..<Lane.count {
          let found = try arrival(second, lane, from: first)
          let content = BytePool.shared.content(round << 8 | number << 4 | UInt64(lane))
          #expect(memcmp(found.payload, content, conformanceSegmentBytesMax) == 0, "lane \(lane), segment \(number)")
          second.consume(lane)
        }
      }
    }
  }

  @Test(
    "what is composed on one lane stays apart from the others and from what is sent there", arguments: conformanceFactories)
  func lanesAreApart(factory: any LinkPairFactory) throws {
    let (first, second) = try factory.makePair()
    defer { close(first, second) }
    let bytes = 20_000
    for round in 0..<UInt64(10) {
      // Reserved and written on all lanes but one, where plain segments pass both before and between the commits.
      let plain = Int(round) % Lane.count
      for lane in 0..<Lane.count where lane != plain {
        try pump(first, second, for: "credit") { first.canSend(lane) }
        memcpy(first.reserve(lane, bytes), BytePool.shared.content(round << 4 | UInt64(lane)), bytes)
      }
      for lane in 0..<Lane.count {
        let content = BytePool.shared.content(round << 4 | UInt64(lane))
        if lane == plain {
          try send(first, lane, to: second, content, bytes, copied: round % 2 == 0)
        } else {
          try pump(first, second, for: "room") { first.canSend(lane) }
          #expect(memcmp(first.reserve(lane, bytes), content, bytes) == 0)
          _ = first.commit(lane, call, 9, bytes)
        }
      }
      for lane in 0..<Lane.count {
        let found = try arrival(second, lane, from: first)
        #expect(memcmp(found.payload, BytePool.shared.content(round << 4 | UInt64(lane)), bytes) == 0, "lane \(lane)")
        second.consume(lane)
      }
    }
  }

  /// The rule for several peers: composed once, copied into the memory of each further link. The first link may go on at
  /// once, whatever the others have still queued.
  @Test("what was composed for one link is copied into the next", arguments: conformanceFactories)
  func severalPeers(factory: any LinkPairFactory) throws {
    let (first, firstPeer) = try factory.makePair()
    let (other, otherPeer) = try factory.makePair()
    defer { close(first, firstPeer, other, otherPeer) }
    let bytes = conformanceSegmentBytesMax
    for number in 0..<UInt64(10) {
      let lane = Int(number) % Lane.count
      let content = BytePool.shared.content(number)
      try pump(first, firstPeer, other, otherPeer, for: "credit") { first.canSend(lane) && other.canSend(lane) }
      let composed = first.reserve(lane, bytes)
      memcpy(composed, content, bytes)
      _ = first.commit(lane, call, number, bytes)
      _ = compose(other, lane, composed, bytes, count: number)
      // The other link may have to wait for its receiver; the first one goes on meanwhile.
      let later = BytePool.shared.content(number + 1000)
      try pump(first, firstPeer, for: "credit") { first.canSend(lane) }
      _ = compose(first, lane, later, bytes, count: number)
      for (receiver, sender, contents) in [(firstPeer, first, [content, later]), (otherPeer, other, [content])] {
        for expected in contents {
          let found = try arrival(receiver, lane, from: sender)
          #expect(found.count == number && memcmp(found.payload, expected, bytes) == 0)
          receiver.consume(lane)
        }
      }
    }
  }

  @Test("a sender that leaves with composed segments queued loses none that were released", arguments: conformanceFactories)
  func senderLeaves(factory: any LinkPairFactory) throws {
    for flushes in [false, true] {
      let (first, second) = try factory.makePair()
      var sent = [UInt64](repeating: 0, count: Lane.count)
      for number in 0..<UInt64(Lane.credit) {
        for lane in 0..<Lane.count {
          // Without the receiver's help some links cannot go on: those leave with what is queued.
          if flushes { try pump(first, second, for: "room") { first.canSend(lane) } }
          guard first.canSend(lane) else { continue }
          sent[lane] = compose(first, lane, BytePool.shared.content(number << 4 | UInt64(lane)), conformanceSegmentBytesMax)
        }
      }
      let released = (0..<Lane.count).map { first.released($0) }
      first.close()
      for lane in 0..<Lane.count {
        var received: UInt64 = 0
        try pump(second, for: "all that was released, or the failure") {
          while second.peek(lane) != nil {
            let found = second.peek(lane)!.pointee
            let content = BytePool.shared.content(received << 4 | UInt64(lane))
            #expect(memcmp(found.payload, content, conformanceSegmentBytesMax) == 0)
            second.consume(lane)
            received += 1
          }
          return second.status.pointee.failed && !second.hasArrival(lane)
        }
        #expect(received >= released[lane] && received <= sent[lane], "lane \(lane) of \(sent)")
      }
      #expect(second.failure?.code == .peerLost && second.failure?.peer == firstRank)
      second.close()
    }
  }

  @Test("a receiver that leaves fails the link, whatever is composed or queued", arguments: conformanceFactories)
  func receiverLeaves(factory: any LinkPairFactory) throws {
    for queued in 0...Lane.credit {
      let (first, second) = try factory.makePair()
      for number in 0..<UInt64(queued) where first.canSend(0) {
        _ = compose(first, 0, BytePool.shared.content(number), conformanceSegmentBytesMax)
      }
      // One lane is left between reserve and commit.
      let bytes = 5000
      let isReserved = first.canSend(1)
      if isReserved { memcpy(first.reserve(1, bytes), BytePool.shared.content(1), bytes) }
      second.close()
      if isReserved && first.canSend(1) { _ = first.commit(1, call, 9, bytes) }
      let deadline = Deadline()
      while !first.status.pointee.failed {
        if first.canSend(2) { _ = compose(first, 2, BytePool.shared.content(2), bytes) }
        if first.needsProgress { first.progress() }
        try deadline.check("the failure")
      }
      #expect(first.failure?.code == .peerLost && first.failure?.peer == secondRank)
      #expect((0..<Lane.count).allSatisfy { !first.canSend($0) })
      first.close()
    }
  }
}
