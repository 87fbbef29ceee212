import TuttiSystem
import CTuttiLinux
import Glibc
import Testing
import TuttiTransport

@testable import TuttiSharedMemory

/// Tests what only shared memory has: one window read by several peers, and regions that a peer may fill with anything.
@Suite struct SharedMemoryTests {
  /// Sends one segment from rank 0 to all others, the payload written once: copied, or composed in place.
  private func broadcast(
    _ links: [[SharedMemoryLink?]], _ lane: Int, _ content: UnsafeRawPointer, _ bytes: Int, composed: Bool = false
  ) throws {
    let outgoing = links[0].compactMap { $0 }
    for link in outgoing { try pump(for: "credit") { link.canSend(lane) } }
    let call = CallSignature(rawValue: 7)
    let sequence: UInt64
    if composed {
      #expect(outgoing[0].composesInPlace)
      memcpy(outgoing[0].reserve(lane, bytes), content, bytes)
      sequence = outgoing[0].commit(lane, call, 9, bytes)
    } else {
      sequence = outgoing[0].send(lane, call, 9, content, bytes, copied: true)
    }
    for link in outgoing.dropFirst() {
      #expect(link.inPlace.shareGroup == outgoing[0].inPlace.shareGroup && link.inPlace.shareGroup != 0)
      _ = link.sendShared(lane, call, 9, bytes, original: outgoing[0], originalSequence: sequence)
    }
  }

  private func closeAll(_ links: [[SharedMemoryLink?]]) {
    for link in links.joined() { link?.close() }
  }

  @Test("several peers read one window", arguments: [false, true])
  func sharedWindow(composed: Bool) throws {
    let links = try sharedMemoryLinks([4, 5, 6, 7])
    defer { closeAll(links) }
    for number in 0..<UInt64(100) {
      let bytes = [0, 8, 96, 97, 5000, 60_000][Int(number % 6)]
      let lane = Int(number) % Lane.count
      let content = BytePool.shared.content(number)
      try broadcast(links, lane, content, bytes, composed: composed)
      var payloads: Set<UnsafeRawPointer> = []
      for receiver in 1...3 {
        let found = try arrival(links[receiver][0]!, lane, from: links[0][receiver]!)
        #expect(found.bytes == bytes && memcmp(found.payload, content, bytes) == 0)
        payloads.insert(found.payload)
      }
      #expect(payloads.count == 3, "each peer maps the window at an address of its own")
      for receiver in 1...3 { links[receiver][0]!.consume(lane) }
    }
  }

  /// The window belongs to the link to the first peer; that one consuming it does not free it for the others.
  @Test("a shared window is not reused before every reader has consumed it", arguments: [1, 2, 3], [false, true])
  func sharedWindowsAreKept(slow: Int, composed: Bool) throws {
    let links = try sharedMemoryLinks([0, 1, 2, 3])
    defer { closeAll(links) }
    let first = links[0][1]!
    for number in 0..<UInt64(Lane.credit) {
      try broadcast(links, 0, BytePool.shared.content(number), 50_000, composed: composed)
    }
    for receiver in 1...3 where receiver != slow {
      for _ in 0..<Lane.credit { links[receiver][0]!.consume(0) }
    }
    #expect(!first.canSend(0), "the windows are still being read")
    for number in 0..<UInt64(Lane.credit) {
      let found = try arrival(links[slow][0]!, 0, from: links[0][slow]!)
      #expect(memcmp(found.payload, BytePool.shared.content(number), 50_000) == 0)
      links[slow][0]!.consume(0)
      #expect(first.canSend(0))
      // Now there is room for one more, and it leaves the windows that are still being read alone.
      try broadcast(links, 0, BytePool.shared.content(100 + number), 50_000, composed: composed)
    }
    for receiver in 1...3 {
      for number in 0..<UInt64(Lane.credit) {
        let found = try arrival(links[receiver][0]!, 0, from: links[0][receiver]!)
        #expect(memcmp(found.payload, BytePool.shared.content(100 + number), 50_000) == 0)
        links[receiver][0]!.consume(0)
      }
    }
  }

  @Test("a composed segment is written where the receiver reads it")
  func composedInPlace() throws {
    let links = try sharedMemoryLinks([0, 1])
    defer { closeAll(links) }
    let (sender, receiver) = (links[0][1]!, links[1][0]!)
    for bytes in [1, 8, 96, 97, 50_000] {
      memset(sender.reserve(0, bytes), 1, bytes)
      let memory = sender.reserve(0, bytes)
      _ = sender.commit(0, CallSignature(rawValue: 7), 9, bytes)
      let found = try arrival(receiver, 0, from: sender)
      memset(memory, 2, bytes)
      #expect(found.payload.load(fromByteOffset: bytes - 1, as: UInt8.self) == 2, "\(bytes) bytes")
      receiver.consume(0)
    }
  }

  @Test("windows fit the collectives' budget, and the lane of send and receive adds only address space")
  func geometry() {
    // Ranks on the host, and what the windows of a rank's four collective lanes leave room for in 6 MiB.
    for (rankCount, windowBytes) in [
      (1, 256 << 10), (2, 256 << 10), (3, 192 << 10), (4, 128 << 10), (8, 48 << 10), (64, 4096),
    ] {
      let geometry = SharedMemoryGeometry(rankCount: rankCount)
      #expect(geometry.windowBytes == windowBytes)
      let collective = rankCount * Lane.pointToPoint * Lane.credit * windowBytes
      #expect(geometry.regionBytes <= collective + collective / 4 + rankCount * 4096 + 4096)
      // Nothing overlaps: the last window ends with the region, and the last ring lies before the first window.
      let (peer, lane) = (rankCount - 1, Lane.count - 1)
      #expect(geometry.windows(peer: peer, lane: lane) + Lane.credit * windowBytes == geometry.regionBytes)
      #expect(geometry.acknowledgement(peer: peer, lane: lane) + 128 <= geometry.windows(peer: 0, lane: 0))
    }
  }

  @Test("a rank's memory prefers its node, and does without where it may not or there is none")
  func memoryNodes() throws {
    let geometry = SharedMemoryGeometry(rankCount: 2, windowBytesMax: 16_384)
    for node in [nil, 0, 1023, 1024, -1] {
      let endpoint = try SharedMemoryEndpoint(rank: 0, localIndex: 0, geometry: geometry, memoryNode: node)
      endpoint.region.base.storeBytes(of: 1, toByteOffset: geometry.regionBytes - 8, as: UInt64.self)
    }
    let probe = try SharedMemoryEndpoint(rank: 0, localIndex: 0, geometry: geometry)
    #expect(tutti_prefer_node(probe.region.base, geometry.regionBytes, 1024) < 0 && errno == EINVAL)
    // Containers often forbid it, and a kernel may lack it.
    guard tutti_prefer_node(probe.region.base, geometry.regionBytes, 0) == 0 else { return }
    let placed = try SharedMemoryEndpoint(rank: 0, localIndex: 0, geometry: geometry, memoryNode: 0)
    let other = try SharedMemoryEndpoint(rank: 0, localIndex: 0, geometry: geometry)
    guard let maps = contents(of: "/proc/self/numa_maps") else { return }
    func policy(_ endpoint: SharedMemoryEndpoint) -> Substring? {
      let address = String(UInt(bitPattern: endpoint.region.base), radix: 16)
      return maps.split(separator: "\n").first { $0.hasPrefix(address + " ") }?.split(separator: " ")[1]
    }
    #expect(policy(placed)?.hasPrefix("prefer") == true && policy(other) == "default", "\(maps)")
  }

  private func contents(of path: String) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 65536)
    while case let count = fread(&part, 1, part.count, file), count > 0 { bytes += part[..<count] }
    return String(decoding: bytes, as: UTF8.self)
  }

  // MARK: Hostile peers

  /// A link whose peer is the test: it writes what it likes into its region.
  private struct Forger {
    let endpoint: SharedMemoryEndpoint
    let victim: SharedMemoryLink
    let geometry = SharedMemoryGeometry(rankCount: 2, windowBytesMax: 16_384)

    init() throws {
      endpoint = try SharedMemoryEndpoint(rank: 1, localIndex: 1, geometry: geometry)
      let other = try SharedMemoryEndpoint(rank: 0, localIndex: 0, geometry: geometry)
      let (near, far) = try unixSockets()
      defer {
        tutti_close(near)
        tutti_close(far)
      }
      try endpoint.introduce(over: far)
      victim = try #require(try other.acceptIntroduction(over: near, from: 1, place: 1))
    }

    /// Publishes a slot for the victim.
    func publish(sequence: UInt64, bytes: UInt32, acknowledged: UInt32, window: UInt64) {
      let line = endpoint.region.base + geometry.slots(peer: 0, lane: 0)
      line.storeBytes(of: window, toByteOffset: 32, as: UInt64.self)
      line.storeBytes(of: UInt64(bytes) | UInt64(acknowledged) << 32, toByteOffset: 24, as: UInt64.self)
      line.storeBytes(of: sequence, as: UInt64.self)
    }
  }

  @Test("a segment outside the region fails the link")
  func outsideTheRegion() throws {
    let end = try UInt64(Forger().geometry.regionBytes)
    let lies: [(bytes: UInt32, window: UInt64)] = [
      (16_385, 4096), (.max, 4096), (16_384, end), (16_384, end - 16_383), (97, .max), (97, .max - 96), (97, 1 << 63),
      (0x8000_0000, 0),
    ]
    for lie in lies {
      let forger = try Forger()
      forger.publish(sequence: 1, bytes: lie.bytes, acknowledged: 0, window: lie.window)
      #expect(forger.victim.peek(0) == nil, "\(lie)")
      let failure = try #require(forger.victim.failure, "\(lie)")
      #expect(failure.code == .transport && failure.peer == 1 && failure.message.contains("rank 1"))
      #expect(!forger.victim.canSend(0) && forger.victim.peek(0) == nil)
      forger.victim.close()
    }
  }

  @Test("numbers out of order are no segments, and false acknowledgements give no credit")
  func falseNumbers() throws {
    let forger = try Forger()
    defer { forger.victim.close() }
    for sequence: UInt64 in [0, 2, 5, .max, 1 << 32 | 1] {
      forger.publish(sequence: sequence, bytes: 8, acknowledged: 0, window: 0)
      #expect(forger.victim.peek(0) == nil)
    }
    for lie: UInt64 in [1, 5, .max, 1 << 40] {
      forger.endpoint.region.word(forger.geometry.acknowledgement(peer: 0, lane: 1)).pointee.store(lie, ordering: .releasing)
      forger.publish(sequence: 1, bytes: 8, acknowledged: UInt32(truncatingIfNeeded: lie), window: 0)
      #expect(forger.victim.peek(0) != nil)
    }
    // Whatever it claimed, this rank has no more than its credit outstanding.
    forger.endpoint.region.word(forger.geometry.acknowledgement(peer: 0, lane: 0)).pointee.store(.max, ordering: .releasing)
    var sent = 0
    while forger.victim.canSend(0) && sent < 100 {
      _ = forger.victim.send(0, CallSignature(rawValue: 1), 1, BytePool.shared.content(1), 5000, copied: false)
      sent += 1
      _ = forger.victim.peek(0)
    }
    #expect(sent == Lane.credit)
  }

  @Test("an introduction that does not fit is refused")
  func falseIntroductions() throws {
    let geometry = SharedMemoryGeometry(rankCount: 3, windowBytesMax: 16_384)
    let own = try SharedMemoryEndpoint(rank: 0, localIndex: 0, geometry: geometry)
    let wrong: [(rank: Int, index: Int, geometry: SharedMemoryGeometry)] = [
      // Another rank than the one authenticated, another place, this rank's own place, other sizes.
      (2, 1, geometry), (1, 2, geometry), (1, 0, geometry),
      (1, 1, SharedMemoryGeometry(rankCount: 4, windowBytesMax: 16_384)),
      (1, 1, SharedMemoryGeometry(rankCount: 3, windowBytesMax: 8192)),
    ]
    for lie in wrong {
      let theirs = try SharedMemoryEndpoint(rank: lie.rank, localIndex: lie.index, geometry: lie.geometry)
      let (near, far) = try unixSockets()
      defer {
        tutti_close(near)
        tutti_close(far)
      }
      try theirs.introduce(over: far)
      #expect(throws: FailureReport.self, "\(lie)") { _ = try own.acceptIntroduction(over: near, from: 1, place: 1) }
    }
    let (near, far) = try unixSockets()
    defer { tutti_close(near) }
    #expect(try own.acceptIntroduction(over: near, from: 1, place: 1) == nil, "nothing has come yet")
    tutti_close(far)
    #expect(throws: FailureReport.self) { _ = try own.acceptIntroduction(over: near, from: 1, place: 1) }
  }

  @Test("a region that its owner could shrink is refused")
  func unsealedRegions() throws {
    let geometry = SharedMemoryGeometry(rankCount: 2, windowBytesMax: 16_384)
    var name = Array("/tmp/tutti-test-XXXXXX".utf8CString)
    let unsealed = try systemCall("mkstemp") { mkstemp(&name) }
    unlink(name)
    defer { close(unsealed) }
    try systemCall("ftruncate") { ftruncate(unsealed, geometry.regionBytes) }
    #expect(throws: FailureReport.self) {
      _ = try SharedMemoryRegion(mapping: unsealed, geometry: geometry, writable: false)
    }
    let small = try systemCall("memfd_create") { tutti_memfd("tutti-test", 4096) }
    defer { tutti_close(small) }
    #expect(throws: FailureReport.self) { _ = try SharedMemoryRegion(mapping: small, geometry: geometry, writable: false) }
  }
}
