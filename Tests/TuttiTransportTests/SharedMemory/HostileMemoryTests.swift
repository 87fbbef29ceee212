import CTuttiLinux
import Glibc
import Testing
import TuttiSharedMemory
import TuttiSystem
import TuttiTransport

/// A peer that writes anything anywhere into its own region, which is all that it can write to. Its victim neither crashes
/// nor hangs, reads nothing outside the region, and fails its link, if at all, with an error that names the peer.
@Suite struct HostileMemoryTests {
  private static let hostile = 11

  /// Links of an honest rank to a hostile one and to another honest one, and the hostile rank's region.
  private struct Scene {
    let geometry = SharedMemoryGeometry(rankCount: 3, windowBytesMax: 16_384)
    let endpoints: [SharedMemoryEndpoint]
    /// To the hostile rank, and to the other one.
    let victim: SharedMemoryLink
    let bystander: SharedMemoryLink
    var region: SharedMemoryRegion { endpoints[1].region }

    init(settings: PathSettings = PathSettings()) throws {
      let geometry = geometry
      let endpoints = try (0..<3).map {
        try SharedMemoryEndpoint(rank: 10 + $0, localIndex: $0, geometry: geometry, settings: settings)
      }
      self.endpoints = endpoints
      victim = try Self.link(endpoints, to: 1)
      bystander = try Self.link(endpoints, to: 2)
    }

    private static func link(_ endpoints: [SharedMemoryEndpoint], to peer: Int) throws -> SharedMemoryLink {
      let (near, far) = try unixSockets()
      defer {
        tutti_close(near)
        tutti_close(far)
      }
      try endpoints[peer].introduce(over: far)
      return try #require(try endpoints[0].acceptIntroduction(over: near, from: 10 + peer, place: peer))
    }

    func close() {
      victim.close()
      bystander.close()
    }

    /// Writes one word where it hurts: in a slot for the victim, in a count, in the header, or anywhere.
    func scribble(_ generator: inout SeededGenerator) {
      let lane = Int.random(in: 0..<Lane.count, using: &generator)
      let slot = Int.random(in: 0..<Lane.credit, using: &generator)
      let line = geometry.slots(peer: 0, lane: lane) + slot * SharedMemoryGeometry.slotBytes
      let offset: Int
      switch Int.random(in: 0..<10, using: &generator) {
      case 0..<3: offset = line
      case 3: offset = line + 8 * Int.random(in: 1...2, using: &generator)
      case 4: offset = line + 24
      case 5..<7: offset = line + 32
      case 7: offset = geometry.acknowledgement(peer: 0, lane: lane)
      case 8: offset = 8 * Int.random(in: 0..<geometry.regionBytes / 8, using: &generator)
      // Rarely: most of it says that the rank has closed its links, and then nothing more is looked at.
      default: offset = Int.random(in: 0..<20, using: &generator) == 0 ? SharedMemoryGeometry.slotBytes : 0
      }
      region.word(offset).pointee.store(word(&generator), ordering: .releasing)
    }

    private func word(_ generator: inout SeededGenerator) -> UInt64 {
      let end = UInt64(geometry.regionBytes)
      switch Int.random(in: 0..<8, using: &generator) {
      case 0...2: return UInt64.random(in: 0...9, using: &generator)
      case 3: return end &- UInt64.random(in: 0...20_000, using: &generator)
      case 4: return UInt64(geometry.windowBytes) &+ UInt64.random(in: 0...2, using: &generator) &- 1
      case 5: return UInt64.random(in: 0...200, using: &generator) | generator.next() << 32
      case 6: return .max &- UInt64.random(in: 0...200, using: &generator)
      default: return generator.next()
      }
    }
  }

  /// Does what a rank's engine does with its links, and checks every promise of a link. Returns a checksum, so that what was
  /// read is used.
  private func use(_ scene: Scene, _ generator: inout SeededGenerator, _ sum: inout UInt64) {
    let lane = Int.random(in: 0..<Lane.count, using: &generator)
    let link = scene.victim
    let call = CallSignature(rawValue: 1)
    let bytes = Int.random(in: 0...scene.geometry.windowBytes, using: &generator)
    switch Int.random(in: 0..<4, using: &generator) {
    case 0:
      guard link.canSend(lane) else { return }
      let sequence = link.send(lane, call, 1, BytePool.shared.content(3), bytes, copied: false)
      guard scene.bystander.canSend(lane) else { return }
      _ = scene.bystander.sendShared(lane, call, 1, bytes, original: link, originalSequence: sequence)
    case 1:
      guard link.canSend(lane) else { return }
      memset(link.reserve(lane, bytes), 5, bytes)
      if link.canSend(lane) { _ = link.commit(lane, call, 1, bytes) }
    default:
      _ = link.hasArrival(lane)
      guard let arrival = link.peek(lane)?.pointee else { return }
      let first = arrival.payload
      let last = first + arrival.bytes
      #expect(arrival.bytes >= 0 && arrival.bytes <= scene.geometry.windowBytes)
      var next = first
      while next < last {
        sum = sum &+ UInt64(next.load(as: UInt8.self))
        next += min(64, max(1, last - next))
      }
      if arrival.bytes > 0 { sum = sum &+ UInt64((last - 1).load(as: UInt8.self)) }
      if Bool.random(using: &generator) { link.consume(lane) }
    }
  }

  private func expectNamed(_ scene: Scene, _ seed: UInt64) {
    if let failure = scene.victim.failure {
      #expect(failure.peer == Self.hostile && failure.message.contains("rank \(Self.hostile)"), "seed \(seed): \(failure)")
    }
    #expect(scene.bystander.failure == nil, "seed \(seed)")
  }

  /// What each impossible segment is said to be: the word that stands for its payload, its bytes, and words of the error.
  private static let impossible: [(reference: UInt64, bytes: Int, words: String)] = {
    let geometry = SharedMemoryGeometry(rankCount: 3, windowBytesMax: 16_384)
    let (end, longest) = (UInt64(geometry.regionBytes), geometry.windowBytes)
    return [
      (end - 999, 1000, "of 1000 bytes outside its shared memory region"),
      (0, longest + 1, "of \(longest + 1) bytes where at most \(longest) fit"),
      (SharedMemoryGeometry.Reference.registered, 1000, "outside the memory that it has registered"),
      (SharedMemoryGeometry.Reference.placed, 1000, "that rank 10 has not granted it"),
      (SharedMemoryGeometry.Reference.address | 4096, 1000, "as an address of its process"),
    ]
  }()

  @Test("the error says what is impossible about a segment", arguments: impossible.indices)
  func impossibleIsNamed(index: Int) throws {
    let (reference, bytes, words) = Self.impossible[index]
    // With single copies off, this rank reads no other process, and the peer must not send it there.
    let scene = try Scene(settings: PathSettings(singleCopy: .off))
    let line = scene.geometry.slots(peer: 0, lane: 0)
    scene.region.word(line + 24).pointee.store(UInt64(bytes), ordering: .relaxed)
    scene.region.word(line + 32).pointee.store(reference, ordering: .relaxed)
    scene.region.word(line).pointee.store(1, ordering: .releasing)
    #expect(scene.victim.peek(0) == nil)
    let failure = try #require(scene.victim.failure)
    #expect(failure.message.contains(words), "\(failure)")
    expectNamed(scene, 0)
    scene.close()
  }

  @Test("words written between the victim's calls") func between() throws {
    var sum: UInt64 = 0
    var failures = 0
    for round in 0..<150 {
      let seed = testSeed &+ UInt64(round)
      var generator = SeededGenerator(seed)
      let scene = try Scene()
      for _ in 0..<400 where !scene.victim.status.pointee.failed {
        for _ in 0..<Int.random(in: 0...4, using: &generator) { scene.scribble(&generator) }
        use(scene, &generator, &sum)
      }
      expectNamed(scene, seed)
      failures += scene.victim.failure == nil ? 0 : 1
      scene.close()
    }
    #expect(failures > 15, "the words hardly hurt: \(failures) of 150 links failed, checksum \(sum)")
  }

  @Test("words written during the victim's calls") func during() throws {
    for round in 0..<20 {
      let seed = testSeed &+ UInt64(round)
      let scene = try Scene()
      let isOver = Lock(false)
      let handed = Handed(scene)
      let scribbler = try TestThread {
        var generator = SeededGenerator(seed, 1)
        while !isOver.withLock({ $0 }) { for _ in 0..<50 { handed.value.scribble(&generator) } }
      }
      var generator = SeededGenerator(seed, 2)
      var sum: UInt64 = 0
      for _ in 0..<3000 where !scene.victim.status.pointee.failed { use(scene, &generator, &sum) }
      isOver.withLock { $0 = true }
      #expect(scribbler.join() == nil, "checksum \(sum)")
      expectNamed(scene, seed)
      scene.close()
    }
  }
}
