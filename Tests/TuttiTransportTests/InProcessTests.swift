import Glibc
import Synchronization
import Testing
import TuttiTransport

/// Tests what only the in-process transport does: ringing doorbells, zero copy, and misbehaving on purpose.
@Suite(.serialized) struct InProcessTests {
  private func pair(_ faults: InProcessFaults? = nil, doorbells: (Doorbell, Doorbell)? = nil) throws -> (
    InProcessLink, InProcessLink
  ) {
    try InProcessLink.makePair(
      rankA: 0, rankB: 1, doorbells: doorbells ?? (Doorbell(), Doorbell()), segmentBytesMax: 4096, faults: faults)
  }

  private func isRinging(_ doorbell: Doorbell) -> Bool {
    var waiting = pollfd(fd: doorbell.descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&waiting, 1, 0) == 1
  }

  @Test("a segment, its consumption and the end ring the other rank's doorbell, if it is parked")
  func doorbells() throws {
    let bells = (try Doorbell(), try Doorbell())
    let (first, second) = try pair(doorbells: bells)
    try send(first, 0, to: second, BytePool.shared.content(1), 10)
    #expect(!isRinging(bells.1), "rung although not parked")
    _ = bells.1.arm()
    try send(first, 1, to: second, BytePool.shared.content(1), 10)
    #expect(isRinging(bells.1) && !isRinging(bells.0))
    bells.1.disarm()
    #expect(!isRinging(bells.1))
    _ = bells.0.arm()
    second.consume(0)
    #expect(isRinging(bells.0))
    bells.0.disarm()
    first.close()
    #expect(isRinging(bells.1))
    second.close()
  }

  @Test("a segment that is not copied is read from its source, and free when consumed")
  func zeroCopy() throws {
    let (first, second) = try pair()
    let content = BytePool.shared.content(5)
    let sequence = try send(first, 0, to: second, content, 4096)
    #expect(second.peek(0)?.pointee.payload == content)
    #expect(first.released(0) == sequence - 1)
    second.consume(0)
    #expect(first.released(0) == sequence)
    close(second, first)
  }

  @Test("after close the other rank reads no source of this one, but its copies and what it composed")
  func closeWithdrawsSources() throws {
    let (first, second) = try pair()
    let content = BytePool.shared.content(5)
    try send(first, 0, to: second, content, 100, copied: true)
    try send(first, 1, to: second, content, 100)
    memcpy(first.reserve(2, 100), content, 100)
    _ = first.commit(2, CallSignature(rawValue: 7), 9, 100)
    first.close()
    #expect(second.peek(2).map { memcmp($0.pointee.payload, content, 100) } == 0)
    #expect(second.peek(0).map { memcmp($0.pointee.payload, content, 100) } == 0)
    #expect(second.peek(1) == nil && second.failure?.code == .peerLost)
    second.close()
  }

  @Test("close waits for a reader of its sources to look away")
  func closeWaits() throws {
    let (first, second) = try pair()
    try send(first, 0, to: second, BytePool.shared.content(5), 100)
    let links = (Handed(first), Handed(second))
    let lookedAway = Handed(UnsafeMutablePointer<Atomic<UInt32>>.allocate(capacity: 1))
    lookedAway.value.initialize(to: Atomic(0))
    defer { lookedAway.value.deallocate() }
    let isPeeked = try Doorbell()
    try onTwoThreads(
      {
        var waiting = pollfd(fd: isPeeked.descriptor, events: Int16(POLLIN), revents: 0)
        poll(&waiting, 1, 10_000)
        links.0.value.close()
        if lookedAway.value.pointee.load(ordering: .relaxed) == 0 {
          throw TestFailure("close returned while the source was being read")
        }
      },
      {
        guard links.1.value.peek(0) != nil else { throw TestFailure("nothing to read") }
        isPeeked.ring()
        usleep(20_000)
        // An engine that goes on peeks again, and finds the source withdrawn.
        lookedAway.value.pointee.store(1, ordering: .relaxed)
        if links.1.value.peek(0) != nil { throw TestFailure("a withdrawn source is still shown") }
      })
    second.close()
  }

  @Test("faults follow from the seed alone")
  func faultsAreSeeded() throws {
    func polls(_ seed: UInt64) throws -> [Int] {
      var faults = InProcessFaults(seed: seed)
      faults.lateMicrosecondsMax = 0
      let (first, second) = try pair(faults)
      defer { close(first, second) }
      return try (0..<UInt64(50)).map { number in
        try send(first, 0, to: second, BytePool.shared.content(number), 1000)
        for count in 0..<100_000 where second.peek(0) != nil {
          second.consume(0)
          return count
        }
        throw TestFailure("segment \(number) never showed up")
      }
    }
    let once = try polls(11)
    #expect(try once == polls(11))
    #expect(try once != polls(12))
    #expect(once.max()! > 10 && once.min()! < 5, "some are late and some are not")
  }

  @Test("a source overwritten before its release is caught by the faults")
  func faultsCatchEarlyReuse() throws {
    let (first, second) = try pair(InProcessFaults(seed: testSeed))
    defer { close(first, second) }
    let source = Scratch(4096)
    var caught = 0
    for number in 0..<UInt64(20) {
      let content = BytePool.shared.content(number)
      memcpy(source.base, content, 4096)
      try send(first, 0, to: second, source.base, 4096)
      memset(source.base, 0xEE, 4096)
      if memcmp(try arrival(second, 0, from: first).payload, content, 4096) != 0 { caught += 1 }
      second.consume(0)
    }
    #expect(caught == 20)
  }

  @Test("a severed link fails at both ends, and what arrived stays readable", arguments: [false, true])
  func severed(composed: Bool) throws {
    var faults = InProcessFaults(seed: testSeed)
    faults.severAtSegment = 3
    let (first, second) = try pair(faults)
    for number in 1...UInt64(3) {
      let content = BytePool.shared.content(number)
      if composed {
        try pump(first, second, for: "credit") { first.canSend(0) }
        memcpy(first.reserve(0, 100), content, 100)
        _ = first.commit(0, CallSignature(rawValue: 7), 9, 100)
      } else {
        try send(first, 0, to: second, content, 100)
      }
    }
    for number in 1...UInt64(2) {
      #expect(memcmp(try arrival(second, 0, from: first).payload, BytePool.shared.content(number), 100) == 0)
      second.consume(0)
    }
    try pump(first, second, for: "both failures") {
      _ = first.peek(0)
      return second.peek(0) == nil && first.status.pointee.failed && second.status.pointee.failed
    }
    #expect(first.failure?.code == .peerLost && first.failure?.peer == 1)
    #expect(second.failure?.code == .peerLost && second.failure?.peer == 0)
    #expect(!first.canSend(0) && !second.canSend(0))
    close(first, second)
  }

  @Test("a waiter on a link with faults is told not to sleep long")
  func maximumPark() throws {
    let (hostile, other) = try pair(InProcessFaults(seed: 1))
    let (plain, another) = try pair()
    #expect(hostile.maximumPark <= 1_000_000 && hostile.needsProgress)
    #expect(plain.maximumPark == .max && !plain.needsProgress)
    close(hostile, other, plain, another)
  }
}
