import Glibc
import Testing
import TuttiSystem
import TuttiTransport

/// When sources are free, when a waiter wakes, and how links end.
@Suite(.serialized) struct ConformanceLifecycleTests {
  @Test("a released source is no longer read", arguments: conformanceFactories)
  func released(factory: any LinkPairFactory) throws {
    let (first, second) = try factory.makePair()
    defer { close(first, second) }
    let source = Scratch(conformanceSegmentBytesMax)
    for number in 0..<UInt64(60) {
      let bytes = ConformanceTests.sizes[Int(number) % ConformanceTests.sizes.count]
      let content = BytePool.shared.content(number)
      memcpy(source.base, content, bytes)
      let sequence = try send(first, 0, to: second, source.base, bytes)
      // The receiver consumes only when the link waits for it to.
      let end = monotonicNanoseconds() + 2_000_000
      while first.released(0) < sequence && monotonicNanoseconds() < end { settle(first, second, milliseconds: 0) }
      if first.released(0) >= sequence { memset(source.base, 0xEE, bytes) }
      #expect(memcmp(try arrival(second, 0, from: first).payload, content, bytes) == 0)
      second.consume(0)
      try pump(first, second, for: "release") { first.released(0) >= sequence }
    }
  }

  @Test("a copied source is free without the receiver consuming", arguments: conformanceFactories)
  func copied(factory: any LinkPairFactory) throws {
    let (first, second) = try factory.makePair()
    defer { close(first, second) }
    let source = Scratch(conformanceSegmentBytesMax)
    for round in 0..<UInt64(10) {
      for number in 0..<UInt64(Lane.credit) {
        let bytes = ConformanceTests.sizes[Int(round * 4 + number) % ConformanceTests.sizes.count]
        memcpy(source.base, BytePool.shared.content(round * 4 + number), bytes)
        let sequence = try send(first, 3, to: second, source.base, bytes, copied: true)
        try pump(first, second, for: "release without consumption") { first.released(3) >= sequence }
        memset(source.base, 0xEE, bytes)
      }
      for number in 0..<UInt64(Lane.credit) {
        let found = try arrival(second, 3, from: first)
        #expect(memcmp(found.payload, BytePool.shared.content(round * 4 + number), found.bytes) == 0)
        second.consume(3)
      }
    }
  }

  @Test("a waiter's descriptor becomes ready on arrival", arguments: conformanceFactories)
  func readiness(factory: any LinkPairFactory) throws {
    let (first, second) = try factory.makePair()
    defer { close(first, second) }
    // Links without a descriptor ring a doorbell, which their own tests look at.
    guard second.descriptor >= 0 else { return }
    var waiting = pollfd(fd: second.descriptor, events: Int16(POLLIN), revents: 0)
    for bytes in [0, 8, 50_000] {
      settle(first, second)
      // The first answer may be about what was taken before.
      #expect(second.prepareToPark() || second.prepareToPark(), "something has come although nothing was sent")
      #expect(poll(&waiting, 1, 0) == 0, "ready although nothing was sent")
      try send(first, 0, to: second, BytePool.shared.content(1), bytes)
      #expect(poll(&waiting, 1, 5000) == 1)
      _ = try arrival(second, 0, from: first)
      second.consume(0)
    }
  }

  @Test("what arrived before the peer left is still read, and then the link names the peer", arguments: conformanceFactories)
  func peerLeaves(factory: any LinkPairFactory) throws {
    for count in [UInt64(0), 1, UInt64(Lane.credit)] {
      let (first, second) = try factory.makePair()
      for number in 0..<count {
        let sequence = try send(first, 1, to: second, BytePool.shared.content(number), 20_000, copied: true)
        try pump(first, second, for: "release") { first.released(1) >= sequence }
      }
      first.close()
      for number in 0..<count {
        let found = try arrival(second, 1, from: second)
        #expect(memcmp(found.payload, BytePool.shared.content(number), 20_000) == 0)
        second.consume(1)
      }
      try pump(second, for: "the failure") { second.peek(1) != nil || second.status.pointee.failed }
      #expect(second.failure?.code == .peerLost && second.failure?.peer == firstRank && second.failure?.rank == secondRank)
      #expect(second.failure?.message.contains("rank \(firstRank)") == true)
      #expect(!second.canSend(0) && second.peek(0) == nil)
      second.close()
    }
  }

  @Test("a sender notices that the peer has left", arguments: conformanceFactories)
  func senderNotices(factory: any LinkPairFactory) throws {
    let (first, second) = try factory.makePair()
    second.close()
    let deadline = Deadline()
    while !first.status.pointee.failed {
      if first.canSend(0) { _ = first.send(0, CallSignature(rawValue: 1), 1, BytePool.shared.content(1), 100, copied: true) }
      if first.needsProgress { first.progress() }
      try deadline.check("the failure")
    }
    #expect(first.failure?.code == .peerLost && first.failure?.peer == secondRank)
    first.close()
  }

  @Test("a sender that has used its credit up notices that the peer has left", arguments: conformanceFactories)
  func senderWithoutCreditNotices(factory: any LinkPairFactory) throws {
    let (first, second) = try factory.makePair()
    for number in 0..<UInt64(Lane.credit) { try send(first, 1, to: second, BytePool.shared.content(number), 20_000) }
    settle(first, second)
    second.close()
    let deadline = Deadline()
    while !first.status.pointee.failed {
      #expect(!first.canSend(1))
      if first.needsProgress { first.progress() }
      try deadline.check("the failure")
    }
    #expect(first.failure?.code == .peerLost && first.failure?.peer == secondRank)
    first.close()
  }

  @Test("closing twice is harmless, and many pairs leave no descriptor behind", arguments: conformanceFactories)
  func closing(factory: any LinkPairFactory) throws {
    // What the first pair of its kind opens may stay.
    let (first, second) = try factory.makePair()
    close(first, second)
    let before = try openDescriptors()
    for number in 0..<UInt64(factory.pairsToClose) {
      let (first, second) = try factory.makePair()
      if number % 3 == 0 { try send(first, 0, to: second, BytePool.shared.content(number), 100, copied: true) }
      if number % 2 == 0 { first.close() }
      second.close()
      second.close()
    }
    // Other tests of this process open descriptors meanwhile, but not as many.
    #expect(try openDescriptors() - before < factory.pairsToClose / 2)
  }

  private func openDescriptors() throws -> Int {
    guard let folder = opendir("/proc/self/fd") else { throw TestFailure("no /proc/self/fd") }
    defer { closedir(folder) }
    var count = 0
    while readdir(folder) != nil { count += 1 }
    return count
  }
}
