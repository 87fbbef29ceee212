import Glibc
import Testing
import TuttiTransport

/// Tests what every transport owes its callers, by ``Link``'s contract: contents, order, lanes, credit.
@Suite(.serialized) struct ConformanceTests {
  /// Around every threshold: one cache line's worth, a page, what is copied behind a header, what is read in place.
  static let sizes = [
    0, 1, 7, 8, 31, 32, 33, 63, 64, 65, 511, 4095, 4096, 4097, 16383, 16384, 16385, 65495, 65496, 65536,
    conformanceSegmentBytesMax,
  ]

  @Test("every size arrives unchanged, from and to any alignment", arguments: conformanceFactories)
  func sizes(factory: any LinkPairFactory) throws {
    let (first, second) = try factory.makePair()
    defer { close(first, second) }
    let source = Scratch(conformanceSegmentBytesMax + 16)
    for (index, bytes) in Self.sizes.enumerated() {
      for misalignment in [0, 1, 8, 13] {
        let lane = (index + misalignment) % Lane.count
        let content = BytePool.shared.content(UInt64(index * 100 + misalignment))
        memcpy(source.base + misalignment, content, bytes)
        let (call, count) = (UInt64(index) << 40 | 5, UInt64.max - UInt64(index))
        let sequence = try send(first, lane, to: second, source.base + misalignment, bytes, call: call, count: count)
        let found = try arrival(second, lane, from: first)
        #expect(found.bytes == bytes && found.call.rawValue == call && found.count == count && !found.placed)
        #expect(memcmp(found.payload, content, bytes) == 0, "\(bytes) bytes")
        #expect(Int(bitPattern: found.payload) & 7 == 0 || found.payload == source.base + misalignment)
        second.consume(lane)
        try pump(first, second, for: "release") { first.released(lane) >= sequence }
      }
    }
  }

  @Test("segments of a lane come in order, numbered from 1", arguments: conformanceFactories)
  func order(factory: any LinkPairFactory) throws {
    let (first, second) = try factory.makePair()
    defer { close(first, second) }
    for number in 1...UInt64(50) {
      for lane in 0..<Lane.count {
        let content = BytePool.shared.content(number)
        let sequence = try send(first, lane, to: second, content, 100, count: number * 10 + UInt64(lane))
        #expect(sequence == number)
      }
      for lane in (0..<Lane.count).reversed() {
        let found = try arrival(second, lane, from: first)
        #expect(found.count == number * 10 + UInt64(lane))
        second.consume(lane)
      }
    }
  }

  @Test("a sender has exactly its credit, and gets it back", arguments: conformanceFactories)
  func credit(factory: any LinkPairFactory) throws {
    let (first, second) = try factory.makePair()
    defer { close(first, second) }
    let content = BytePool.shared.content(1)
    for _ in 0..<10 {
      for _ in 0..<Lane.credit { try send(first, 1, to: second, content, 64) }
      settle(first, second)
      #expect(!first.canSend(1), "more than the credit")
      // All of it stays readable, and half of it consumed must give at least some back without data going the other way.
      for _ in 0..<Lane.credit / 2 {
        _ = try arrival(second, 1, from: first)
        second.consume(1)
      }
      try pump(first, second, for: "credit to return") { first.canSend(1) }
      for _ in 0..<Lane.credit / 2 {
        _ = try arrival(second, 1, from: first)
        second.consume(1)
      }
      #expect(second.peek(1) == nil)
    }
  }

  @Test("a full lane holds up no other lane and no other direction", arguments: conformanceFactories)
  func lanesAreIndependent(factory: any LinkPairFactory) throws {
    let (first, second) = try factory.makePair()
    defer { close(first, second) }
    let large = BytePool.shared.content(1)
    for full in 0..<Lane.count {
      for _ in 0..<Lane.credit {
        try send(first, full, to: second, large, conformanceSegmentBytesMax)
        try send(second, full, to: first, large, conformanceSegmentBytesMax)
      }
      for lane in 0..<Lane.count where lane != full {
        for number in 0..<UInt64(20) {
          let content = BytePool.shared.content(number)
          try send(first, lane, to: second, content, 5000)
          try send(second, lane, to: first, content, 5000)
          for (receiver, sender) in [(first, second), (second, first)] {
            let found = try arrival(receiver, lane, from: sender)
            #expect(memcmp(found.payload, content, 5000) == 0)
            receiver.consume(lane)
          }
        }
      }
      for _ in 0..<Lane.credit {
        for (receiver, sender) in [(first, second), (second, first)] {
          let found = try arrival(receiver, full, from: sender)
          #expect(memcmp(found.payload, large, conformanceSegmentBytesMax) == 0)
          receiver.consume(full)
        }
      }
    }
  }

  @Test("a payload that was peeked at stays where it is until consumed", arguments: conformanceFactories)
  func arrivalsStay(factory: any LinkPairFactory) throws {
    let (first, second) = try factory.makePair()
    defer { close(first, second) }
    let kept = BytePool.shared.content(77)
    try send(first, 0, to: second, kept, 3000)
    let found = try arrival(second, 0, from: first)
    for number in 0..<UInt64(200) {
      let content = BytePool.shared.content(number)
      let bytes = Self.sizes[Int(number) % Self.sizes.count]
      try send(first, 1, to: second, content, bytes)
      #expect(memcmp(try arrival(second, 1, from: first).payload, content, bytes) == 0)
      second.consume(1)
    }
    #expect(second.peek(0)?.pointee.payload == found.payload)
    #expect(memcmp(found.payload, kept, 3000) == 0)
    second.consume(0)
  }

  @Test("an offered destination is used for its segment and for no other", arguments: conformanceFactories)
  func offers(factory: any LinkPairFactory) throws {
    let (first, second) = try factory.makePair()
    defer { close(first, second) }
    let bytes = 100_000
    let destination = Scratch(bytes + 1)
    let untouched = Scratch(bytes)
    let call = CallSignature(rawValue: 7)
    for number in 0..<UInt64(40) {
      // Every second offer is wrong in one respect, and must then be left alone.
      let wrong = number % 2 == 1
      let offered = wrong ? untouched.base : destination.base + Int(number / 2 % 2)
      let offeredCount: UInt64 = wrong && number % 4 == 1 ? 8 : 9
      let offeredBytes = wrong && number % 4 == 3 ? bytes - 1 : bytes
      let content = BytePool.shared.content(number)
      second.offer(0, call, offeredCount, offered, offeredBytes)
      try send(first, 0, to: second, content, bytes)
      var found: UnsafePointer<Arrival>?
      try pump(first, second, for: "the segment") {
        found = second.peek(0)
        if found == nil { second.offer(0, call, offeredCount, offered, offeredBytes) }
        return found != nil
      }
      if found!.pointee.placed {
        #expect(!wrong && memcmp(offered, content, bytes) == 0)
      } else {
        #expect(memcmp(found!.pointee.payload, content, bytes) == 0)
      }
      second.consume(0)
      // A segment that nobody made an offer for must not follow the offer before it.
      try send(first, 0, to: second, BytePool.shared.content(number + 1000), bytes)
      let next = try arrival(second, 0, from: first)
      #expect(!next.placed && memcmp(next.payload, BytePool.shared.content(number + 1000), bytes) == 0)
      second.consume(0)
    }
    for index in 0..<bytes where untouched.base.load(fromByteOffset: index, as: UInt8.self) != 0xEE {
      throw TestFailure("byte \(index) of a destination that did not match was written")
    }
  }
}

func close(_ links: Link...) { for link in links { link.close() } }
