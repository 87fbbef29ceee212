import CTuttiLinux
import Glibc
import Synchronization
import Testing
import TuttiSystem
import TuttiTransport

@testable import TuttiSharedMemory

/// Segments that the receiver copies from the sender's process: where they go, how long the source is held, and what is
/// never read so.
@Suite struct SingleCopyTests {
  private static let call = CallSignature(rawValue: 7)
  private static let bytes = 60_000

  /// A sender, and a receiver that can read its memory: both are this process.
  private func makePair() throws -> (sender: SharedMemoryLink, receiver: SharedMemoryLink) {
    let links = try sharedMemoryLinks([0, 1])
    return (links[0][1]!, links[1][0]!)
  }

  @Test("a held segment is read from its source, into what was offered or else staged")
  func readFromTheSource() throws {
    let (sender, receiver) = try makePair()
    defer { [sender, receiver].forEach { $0.close() } }
    #expect(receiver.inPlace.fetches)
    let source = UnsafeMutableRawPointer.allocate(byteCount: Self.bytes, alignment: 64)
    let destination = UnsafeMutableRawPointer.allocate(byteCount: Self.bytes, alignment: 64)
    defer { [source, destination].forEach { $0.deallocate() } }
    for number in 0..<UInt64(20) {
      let lane = Int(number) % Lane.count
      let isOffered = number % 3 != 0
      // An offer for another segment does not count.
      if number % 3 == 2 { receiver.offer(lane, Self.call, 8, destination, Self.bytes) }
      if number % 3 == 1 { receiver.offer(lane, Self.call, 9, destination, Self.bytes) }
      let sequence = sender.send(lane, Self.call, 9, source, Self.bytes, copied: false)
      #expect(sender.released(lane) < sequence)
      // It is not copied before it is looked at.
      memcpy(source, BytePool.shared.content(number), Self.bytes)
      memset(destination, 0, Self.bytes)
      let found = try arrival(receiver, lane, from: sender)
      #expect(found.placed == (isOffered && number % 3 == 1) && !found.borrowed && found.bytes == Self.bytes)
      // It is copied only once.
      memset(source, 0xEE, Self.bytes)
      let again = try #require(receiver.peek(lane)).pointee
      #expect(again.payload == found.payload)
      #expect(memcmp(found.payload, BytePool.shared.content(number), Self.bytes) == 0)
      #expect((found.payload == UnsafeRawPointer(destination)) == found.placed)
      #expect(sender.released(lane) < sequence)
      receiver.consume(lane)
      #expect(sender.released(lane) == sequence)
    }
  }

  @Test("a copied or a small segment goes through a window")
  func throughTheWindow() throws {
    let (sender, receiver) = try makePair()
    defer { [sender, receiver].forEach { $0.close() } }
    let source = UnsafeMutableRawPointer.allocate(byteCount: Self.bytes, alignment: 64)
    defer { source.deallocate() }
    for (bytes, copied) in [(Self.bytes, true), (5000, false), (8, false)] {
      memcpy(source, BytePool.shared.content(3), bytes)
      let sequence = sender.send(0, Self.call, 9, source, bytes, copied: copied)
      #expect(sender.released(0) == sequence)
      memset(source, 0xEE, bytes)
      let found = try arrival(receiver, 0, from: sender)
      #expect(!found.placed && memcmp(found.payload, BytePool.shared.content(3), bytes) == 0)
      receiver.consume(0)
    }
  }

  @Test("several peers read one source")
  func sharedSource() throws {
    let links = try sharedMemoryLinks([0, 1, 2, 3])
    defer { links.joined().forEach { $0?.close() } }
    let source = UnsafeMutableRawPointer.allocate(byteCount: Self.bytes, alignment: 64)
    defer { source.deallocate() }
    memcpy(source, BytePool.shared.content(5), Self.bytes)
    let first = links[0][1]!
    let sequence = first.send(0, Self.call, 9, source, Self.bytes, copied: false)
    for peer in 2...3 {
      _ = links[0][peer]!.sendShared(0, Self.call, 9, Self.bytes, original: first, originalSequence: sequence)
    }
    for peer in 1...3 {
      #expect(links[0][peer]!.released(0) == 0)
      let found = try arrival(links[peer][0]!, 0, from: links[0][peer]!)
      #expect(memcmp(found.payload, BytePool.shared.content(5), Self.bytes) == 0)
      links[peer][0]!.consume(0)
      #expect(links[0][peer]!.released(0) == 1)
    }
  }

  @Test("what was read of a rank that has failed meanwhile is not used")
  func revoked() throws {
    let (sender, receiver) = try makePair()
    defer { [sender, receiver].forEach { $0.close() } }
    let source = UnsafeMutableRawPointer.allocate(byteCount: Self.bytes, alignment: 64)
    defer { source.deallocate() }
    _ = sender.send(0, Self.call, 9, source, Self.bytes, copied: false)
    Link.revoke([sender])
    #expect(receiver.peek(0) == nil)
    #expect(receiver.failure?.code == .peerLost && receiver.failure?.peer == 0)
  }

  /// Makes it look as if its number had become another process's.
  @Test("a process that is not the peer's any more is not read") func anotherProcess() throws {
    let (sender, receiver) = try makePair()
    defer { [sender, receiver].forEach { $0.close() } }
    let source = UnsafeMutableRawPointer.allocate(byteCount: Self.bytes, alignment: 64)
    defer { source.deallocate() }
    _ = sender.send(0, Self.call, 9, source, Self.bytes, copied: false)
    sender.endpoint.region.probe.pointee.add(1, ordering: .relaxed)
    #expect(receiver.peek(0) == nil)
    #expect(receiver.failure?.code == .peerLost && receiver.failure?.peer == 0 && receiver.failure?.systemError == ESRCH)
  }

  @Test("an address that cannot be read fails the link")
  func falseAddresses() throws {
    let geometry = SharedMemoryGeometry(rankCount: 2, windowBytesMax: 65_536)
    for address: UInt64 in [0, 8, 1 << 60, (1 << 61) - 1, (1 << 47) - 4096] {
      let forger = try SharedMemoryEndpoint(rank: 1, localIndex: 1, geometry: geometry)
      let victim = try SharedMemoryEndpoint(rank: 0, localIndex: 0, geometry: geometry)
      let (near, far) = try unixSockets()
      defer {
        tutti_close(near)
        tutti_close(far)
      }
      try forger.introduce(over: far)
      let link = try #require(try victim.acceptIntroduction(over: near, from: 1, place: 1))
      defer { link.close() }
      let line = forger.region.base + geometry.slots(peer: 0, lane: 0)
      line.storeBytes(of: SharedMemoryGeometry.Reference.address | address, toByteOffset: 32, as: UInt64.self)
      line.storeBytes(of: UInt64(Self.bytes), toByteOffset: 24, as: UInt64.self)
      line.storeBytes(of: UInt64(1), as: UInt64.self)
      #expect(link.peek(0) == nil, "\(address)")
      #expect(link.failure?.peer == 1 && link.failure?.systemError == EFAULT, "\(address)")
    }
  }

  @Test func variablesSayWhichWay() throws {
    let (single, streamed) = (PathSettings.singleCopyVariable, PathSettings.streamedWindowsVariable)
    #expect(try PathSettings([:]) == PathSettings() && PathSettings([single: "", streamed: ""]) == PathSettings())
    for setting in PathSetting.allCases {
      #expect(try PathSettings([single: setting.rawValue]) == PathSettings(singleCopy: setting))
      #expect(try PathSettings([streamed: setting.rawValue]) == PathSettings(streamedWindows: setting))
    }
    for variable in [single, streamed] {
      for value in ["no", "OFF", "0", " on"] {
        let failure = #expect(throws: FailureReport.self) { try PathSettings([variable: value]) }
        #expect(failure?.code == .configuration && failure?.message.contains("\(variable) is '\(value)'") == true)
      }
    }
    #expect(PathSettings().ways == .all)
    #expect(PathSettings(singleCopy: .off, streamedWindows: .on).ways == .streamedWindow)
    #expect(PathSettings(singleCopy: .on, streamedWindows: .off).ways == .window)
  }
}
