import TuttiSystem
import CTuttiLinux
import Glibc
import Synchronization
import Testing
import TuttiTransport

@testable import TuttiSharedMemory

/// The arena of registered memory, and segments that travel in it.
@Suite struct RegisteredMemoryTests {
  // MARK: The arena

  @Test func allocations() throws {
    let arena = try RegisteredMemory()
    let sizes = [0, 1, 4096, 4097, 100_000, 2 << 20, (2 << 20) + 1, 5 << 20]
    var memories = try sizes.map { try arena.allocate(bytes: $0) }
    for (memory, size) in zip(memories, sizes) {
      #expect(Int(bitPattern: memory) % (size >= 2 << 20 ? 2 << 20 : 4096) == 0)
      memset(memory, 0x5A, size)
      #expect(arena.offset(of: memory + size / 2) == arena.offset(of: memory) + UInt64(size / 2))
    }
    let ranges = zip(memories, sizes).map { Int(bitPattern: $0)..<Int(bitPattern: $0) + max($1, 1) }
    for (index, range) in ranges.enumerated() {
      #expect(ranges[..<index].allSatisfy { !$0.overlaps(range) })
    }
    let heap = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)
    defer { heap.deallocate() }
    #expect(arena.offset(of: heap) == InPlace.nowhere)
    // The order merges free ranges before, behind and on both sides.
    var left = Array(zip(memories, sizes))
    for index in [1, 0, 3, 2, 5, 4, 7, 6].reversed() {
      let (memory, size) = left.remove(at: min(index, left.count - 1))
      arena.deallocate(memory, bytes: size)
    }
    // All is one piece again, and what was written is gone with its pages.
    let whole = try arena.allocate(bytes: 64 << 20)
    #expect(arena.offset(of: whole) == 0)
    for offset in stride(from: 0, to: 64 << 20, by: 4096) where whole.load(fromByteOffset: offset, as: UInt8.self) != 0 {
      Issue.record("byte \(offset) is not 0")
      break
    }
    arena.deallocate(whole, bytes: 64 << 20)
    memories = []
  }

  @Test func moreThanThereIs() throws {
    let arena = try RegisteredMemory()
    let failure = #expect(throws: FailureReport.self) { _ = try arena.allocate(bytes: arena.capacity + 1) }
    #expect(failure?.code == .resources && failure?.message.contains("\(arena.capacity + 1) bytes") == true)
    // Which transport needs the memory is known above.
    #expect(failure?.transport == "")
    // Nothing was lost by it.
    let memory = try arena.allocate(bytes: 1 << 20)
    #expect(arena.offset(of: memory) == 0)
  }

  /// Takes so many registrations and refuses the next.
  private final class Registrar: MemoryRegistrar {
    let room: Int
    let known = Lock<Set<UnsafeMutableRawPointer>>([])
    init(room: Int) { self.room = room }

    func register(_ memory: UnsafeMutableRawPointer, bytes: Int) throws(FailureReport) {
      let isTaken = known.withLock { known in
        if known.count == room { return false }
        known.insert(memory)
        return true
      }
      if !isTaken { throw FailureReport(.resources, "no room") }
    }
    func unregister(_ memory: UnsafeMutableRawPointer) { _ = known.withLock { $0.remove(memory) } }
  }

  @Test("a registrar that cannot take all that is there keeps nothing", arguments: 0...3)
  func partialRegistration(room: Int) throws {
    let arena = try RegisteredMemory()
    let memories = try (0..<3).map { _ in try arena.allocate(bytes: 4096) }
    let own = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)
    defer { own.deallocate() }
    try arena.register(own, bytes: 4096)
    let registrar = Registrar(room: room)
    #expect(throws: FailureReport.self) { try arena.attach(registrar) }
    #expect(registrar.known.withLock { $0.isEmpty }, "pages stay pinned under memory that is freed later")
    for memory in memories { arena.deallocate(memory, bytes: 4096) }
    // It gets all that it can take, and is told of what comes and goes.
    let roomy = Registrar(room: 10)
    try arena.attach(roomy)
    let last = try arena.allocate(bytes: 4096)
    #expect(roomy.known.withLock { $0 } == [own, last])
    arena.deallocate(last, bytes: 4096)
    try arena.unregister(own)
    #expect(roomy.known.withLock { $0.isEmpty })
  }

  @Test("the table of addresses agrees with a plain list")
  func addressTable() {
    var generator = SeededGenerator(testSeed, 12)
    var table = AddressTable<Int>()
    var list: [(start: UInt, bytes: Int, value: Int)] = []
    for round in 0..<3000 {
      let start = UInt.random(in: 1000...9000, using: &generator)
      let bytes = Int.random(in: 1...60, using: &generator)
      let overlaps = list.contains { $0.start < start + UInt(bytes) && start < $0.start + UInt($0.bytes) }
      #expect(table.overlaps(start, bytes: bytes) == overlaps, "TUTTI_TEST_SEED=\(testSeed)")
      let holder = list.first { $0.start <= start && start + UInt(bytes) <= $0.start + UInt($0.bytes) }
      #expect(table.find(start, bytes: bytes) == holder?.value, "TUTTI_TEST_SEED=\(testSeed)")
      if !overlaps {
        table.insert(start, bytes: bytes, round)
        list.append((start, bytes, round))
      } else if round % 3 == 0, let index = list.indices.randomElement(using: &generator) {
        #expect(table.remove(list[index].start) == list[index].value, "TUTTI_TEST_SEED=\(testSeed)")
        list.remove(at: index)
      }
      #expect(table.remove(start &+ 100_000) == nil)
    }
    #expect(table.values.sorted() == list.map(\.value).sorted() && !table.isEmpty)
  }

  @Test("each of many registered buffers is found, and what lies between them is not")
  func manyBuffers() throws {
    let arena = try RegisteredMemory()
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 2000 * 64, alignment: 64)
    defer { memory.deallocate() }
    for index in stride(from: 0, to: 2000, by: 2) { try arena.register(memory + index * 64, bytes: 64) }
    for index in 0..<2000 {
      let offset = arena.offset(of: memory + index * 64 + 63)
      #expect((offset & InPlace.callers != 0 && offset != InPlace.nowhere) == (index % 2 == 0))
    }
    #expect(throws: FailureReport.self) { try arena.register(memory + 63, bytes: 2) }
    for index in stride(from: 0, to: 2000, by: 2) { try arena.unregister(memory + index * 64) }
    #expect(arena.offset(of: memory) == InPlace.nowhere)
  }

  // MARK: Segments

  /// Two linked ranks with an arena each.
  struct Pair {
    let arenas: [RegisteredMemory]
    let endpoints: [SharedMemoryEndpoint]
    let links: [SharedMemoryLink]
    static let geometry = SharedMemoryGeometry(rankCount: 2, windowBytesMax: 65_536)

    init(registers: [Bool] = [true, true]) throws {
      arenas = try (0..<2).map { _ in try RegisteredMemory() }
      endpoints = try (0..<2).map { [arenas] in
        try SharedMemoryEndpoint(
          rank: $0, localIndex: $0, geometry: Self.geometry, registered: registers[$0] ? arenas[$0] : nil)
      }
      let (near, far) = try unixSockets()
      defer {
        tutti_close(near)
        tutti_close(far)
      }
      try endpoints[0].introduce(over: near)
      try endpoints[1].introduce(over: far)
      links = [
        try #require(try endpoints[0].acceptIntroduction(over: near, from: 1, place: 1)),
        try #require(try endpoints[1].acceptIntroduction(over: far, from: 0, place: 0)),
      ]
    }

    func close() { for link in links { link.close() } }
  }

  private static let call = CallSignature(rawValue: 7)

  @Test("a segment is read where its sender has it, whose memory is free when it was consumed")
  func readInPlace() throws {
    let pair = try Pair()
    defer { pair.close() }
    let (sender, receiver) = (pair.links[0], pair.links[1])
    #expect(sender.inPlace.reachesRegisteredMemory && receiver.inPlace.reachesRegisteredMemory)
    let memory = try pair.arenas[0].allocate(bytes: 1 << 20)
    for number in 0..<UInt64(20) {
      let lane = Int(number) % Lane.count
      let offset = Int(number) * 1000
      memcpy(memory + offset, BytePool.shared.content(number), 60_000)
      // One by copy before it, one after: what is released says the oldest that is not.
      let first = sender.send(lane, Self.call, 9, BytePool.shared.content(number + 1), 5000, copied: false)
      let second = sender.sendRegistered(lane, Self.call, 9, pair.arenas[0].offset(of: memory) + UInt64(offset), 60_000)
      let third = sender.send(lane, Self.call, 9, BytePool.shared.content(number + 1), 8, copied: false)
      #expect(second == first + 1 && third == second + 1)
      for index in 0..<3 {
        #expect(sender.released(lane) < second || index == 2)
        let found = try arrival(receiver, lane, from: sender)
        #expect(found.borrowed == (index == 1) && !found.placed && found.bytes == [5000, 60_000, 8][index])
        if index == 1 {
          #expect(memcmp(found.payload, BytePool.shared.content(number), 60_000) == 0)
          #expect(receiver.isIntact(lane))
        }
        receiver.consume(lane)
      }
      #expect(sender.released(lane) == third)
    }
  }

  @Test("a segment is written where its receiver has granted it")
  func writtenInPlace() throws {
    let pair = try Pair()
    defer { pair.close() }
    let (sender, receiver) = (pair.links[0], pair.links[1])
    let memory = try pair.arenas[1].allocate(bytes: 1 << 20)
    let base = pair.arenas[1].offset(of: memory)
    #expect(sender.placement(0, 20_000) == nil, "nothing was granted yet")
    for number in 0..<UInt64(20) {
      let lane = Int(number) % Lane.count
      for ahead in 0..<Lane.credit { receiver.grant(lane, ahead, base + UInt64(ahead * 20_000), 20_000) }
      #expect(sender.placement(lane, 19_999) == nil, "another size than was granted")
      for index in 0..<Lane.credit {
        let content = BytePool.shared.content(number + UInt64(index))
        // The receiver cannot tell whether a sender will use its grant.
        if index == 2 {
          _ = sender.send(lane, Self.call, 9, content, 20_000, copied: false)
          continue
        }
        let place = try #require(sender.placement(lane, 20_000))
        memcpy(place, content, 20_000)
        _ = sender.commitPlacement(lane, Self.call, 9, 20_000)
      }
      for index in 0..<Lane.credit {
        let content = BytePool.shared.content(number + UInt64(index))
        let found = try arrival(receiver, lane, from: sender)
        #expect(found.placed == (index != 2) && found.bytes == 20_000)
        let place = found.placed ? UnsafeRawPointer(memory + index * 20_000) : found.payload
        #expect(memcmp(place, content, 20_000) == 0)
        receiver.consume(lane)
      }
      #expect(sender.released(lane) >= 4)
    }
  }

  @Test("where one end has no arena, nothing is in place", arguments: [[false, true], [true, false], [false, false]])
  func oneSided(registers: [Bool]) throws {
    let pair = try Pair(registers: registers)
    defer { pair.close() }
    #expect(!pair.links[0].inPlace.reachesRegisteredMemory && !pair.links[1].inPlace.reachesRegisteredMemory)
  }

  // MARK: Failure

  @Test("what was read of a rank that has failed meanwhile is not used")
  func revokedWhileRead() throws {
    let pair = try Pair()
    defer { pair.close() }
    let memory = try pair.arenas[0].allocate(bytes: 1 << 20)
    _ = pair.links[0].sendRegistered(0, Self.call, 9, pair.arenas[0].offset(of: memory), 50_000)
    let found = try arrival(pair.links[1], 0, from: pair.links[0])
    #expect(found.borrowed && pair.links[1].isIntact(0))
    Link.revoke([pair.links[0]])
    #expect(!pair.links[1].isIntact(0))
    #expect(pair.links[1].failure?.code == .peerLost && pair.links[1].failure?.peer == 0)
  }

  @Test("a rank that has failed is written to no more")
  func revokedBeforeWritten() throws {
    let pair = try Pair()
    defer { pair.close() }
    let memory = try pair.arenas[1].allocate(bytes: 1 << 20)
    pair.links[1].grant(0, 0, pair.arenas[1].offset(of: memory), 20_000)
    Link.revoke([pair.links[1]])
    #expect(pair.links[0].placement(0, 20_000) == nil)
    pair.links[1].grant(0, 1, pair.arenas[1].offset(of: memory), 20_000)
    _ = pair.links[0].send(0, Self.call, 9, BytePool.shared.content(1), 20_000, copied: false)
    #expect(pair.links[0].placement(0, 20_000) == nil, "granted after it had failed")
  }

  @Test("a rank that fails waits for who is writing into its memory, but not for ever")
  func revokedWhileWritten() throws {
    let pair = try Pair()
    defer { pair.close() }
    let memory = try pair.arenas[1].allocate(bytes: 1 << 20)
    pair.links[1].grant(0, 0, pair.arenas[1].offset(of: memory), 20_000)
    let place = try #require(pair.links[0].placement(0, 20_000))
    let revoking = PassedLink(pair.links[1])
    try startDetachedThread("revoke") {
      Link.revoke([revoking.link])
      revoking.hasReturned.store(true, ordering: .releasing)
    }
    // This holds as long as the writer is writing, and this thread was not held up itself.
    let start = monotonicNanoseconds()
    usleep(20_000)
    let hasReturned = revoking.hasReturned.load(ordering: .acquiring)
    #expect(!hasReturned || monotonicNanoseconds() > start + 100_000_000)
    memset(place, 1, 20_000)
    pair.links[0].cancelPlacement(0)
    try pump(for: "the rank that fails") { revoking.hasReturned.load(ordering: .acquiring) }
    // A writer that was stopped in the middle does not hold it up for long.
    let other = try Pair()
    defer { other.close() }
    other.links[1].grant(0, 0, other.arenas[1].offset(of: try other.arenas[1].allocate(bytes: 20_000)), 20_000)
    #expect(other.links[0].placement(0, 20_000) != nil)
    Link.revoke([other.links[1]])
  }

  // MARK: Hostile peers

  @Test("a reference to what is not there fails the link")
  func falseReferences() throws {
    typealias Reference = SharedMemoryGeometry.Reference
    let capacity = try UInt64(RegisteredMemory().capacity)
    let lies: [(bytes: UInt32, reference: UInt64)] = [
      (5000, Reference.registered | capacity), (5000, Reference.registered | (capacity - 4999)),
      (5000, Reference.registered | Reference.placed), (5000, .max), (65_537, Reference.registered),
      (.max, Reference.registered), (5000, Reference.placed), (20_000, Reference.placed), (20_001, Reference.placed | 1),
    ]
    for (index, lie) in lies.enumerated() {
      let pair = try Pair()
      defer { pair.close() }
      // A grant for the segment after the next makes no placement of the next.
      let memory = try pair.arenas[0].allocate(bytes: 1 << 20)
      if index % 2 == 0 { pair.links[0].grant(0, 1, pair.arenas[0].offset(of: memory), 20_000) }
      let line = pair.endpoints[1].region.base + Pair.geometry.slots(peer: 0, lane: 0)
      line.storeBytes(of: lie.reference, toByteOffset: 32, as: UInt64.self)
      line.storeBytes(of: UInt64(lie.bytes), toByteOffset: 24, as: UInt64.self)
      line.storeBytes(of: UInt64(1), as: UInt64.self)
      #expect(pair.links[0].peek(0) == nil, "\(lie)")
      #expect(pair.links[0].failure?.code == .transport && pair.links[0].failure?.peer == 1, "\(lie)")
    }
  }

  @Test("a grant outside the arena is not used")
  func falseGrants() throws {
    for offset in [UInt64.max, 1 << 63, UInt64(try RegisteredMemory().capacity) - 19_999] {
      let pair = try Pair()
      defer { pair.close() }
      pair.links[1].grant(0, 0, offset, 20_000)
      #expect(pair.links[0].placement(0, 20_000) == nil)
    }
  }

  @Test("registered memory that its owner could shrink is refused")
  func unsealedArena() throws {
    let arena = try RegisteredMemory()
    var name = Array("/tmp/tutti-test-XXXXXX".utf8CString)
    let unsealed = try systemCall("mkstemp") { mkstemp(&name) }
    unlink(name)
    defer { close(unsealed) }
    try systemCall("ftruncate") { ftruncate(unsealed, off_t(arena.capacity)) }
    // It takes the place of the arena's own file.
    let own = dup(arena.descriptor)
    try systemCall("dup2") { dup2(unsealed, arena.descriptor) }
    defer {
      dup2(own, arena.descriptor)
      close(own)
    }
    let theirs = try SharedMemoryEndpoint(rank: 1, localIndex: 1, geometry: Pair.geometry, registered: arena)
    let ours = try SharedMemoryEndpoint(rank: 0, localIndex: 0, geometry: Pair.geometry)
    let (near, far) = try unixSockets()
    defer {
      tutti_close(near)
      tutti_close(far)
    }
    try theirs.introduce(over: far)
    #expect(throws: FailureReport.self) { _ = try ours.acceptIntroduction(over: near, from: 1, place: 1) }
  }
}

/// A link that a test hands to a thread of its own.
private final class PassedLink: @unchecked Sendable {
  // @unchecked: the thread has the link for itself until `hasReturned`.
  let link: SharedMemoryLink
  let hasReturned = Atomic<Bool>(false)
  init(_ link: SharedMemoryLink) { self.link = link }
}
