import TuttiSystem
import CTuttiLinux
import Foundation
import Testing

@testable import Tutti

/// A rank whose shared region is overwritten at random while all communicate: each rank ends, with wrong data or with an
/// error, before its deadline and without a crash.
@Suite(.serialized) struct HostileRankTests {
  /// Where this process has regions mapped that it may write to: those of its own ranks.
  private static func writableRegions() throws -> Set<Region> {
    let text = try #require(readSmallFile("/proc/self/maps", bytesMax: 1 << 20))
    let lines = text.split(separator: "\n").filter { $0.contains(" rw-s ") && $0.contains("/memfd:tutti (deleted)") }
    return Set(
      lines.compactMap { line in
        let range = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
        return range.count == 2 ? Region(base: range[0], bytes: Int(range[1] - range[0])) : nil
      })
  }

  private struct Region: Hashable {
    let base: UInt
    let bytes: Int

    func scribble(_ generator: inout SeededGenerator) {
      // Most of it where the rings are.
      let bound = Int.random(in: 0..<4, using: &generator) == 0 ? bytes : min(bytes, 20_000)
      // Not the line that says that the rank has closed its links: that would end it all too soon.
      let offset = Int.random(in: 32..<bound / 8, using: &generator) * 8
      let word = [generator.next(), generator.next() % 10, UInt64(bytes) &- generator.next() % 5000, .max]
        .randomElement(using: &generator)!
      UnsafeMutableRawPointer(bitPattern: base + UInt(offset))!.storeBytes(of: word, as: UInt64.self)
    }
  }

  @Test(arguments: [8, 4096, 1 << 20]) func everyRankEnds(bytes: Int) throws {
    let seed = testSeed("HostileRankTests.everyRankEnds")
    for round in 0..<8 {
      var generator = SeededGenerator(seed: seed &+ UInt64(round))
      let before = try Self.writableRegions()
      let communicators = try makeCommunicators(3, .sharedMemory, timeout: .seconds(1))
      let region = try #require(Self.writableRegions().subtracting(before).randomElement(using: &generator))
      let isOver = Lock(false)
      let scribbler = DispatchSemaphore(value: 0)
      let pause = UInt64.random(in: 0..<200_000, using: &generator)
      Thread.detachNewThread { [generator] in
        var generator = generator
        while !isOver.withLock({ $0 }) {
          region.scribble(&generator)
          let next = monotonicNanoseconds() + pause
          while monotonicNanoseconds() < next {}
        }
        scribbler.signal()
      }
      let start = ContinuousClock.now
      let ended = try endings(communicators) { communicator throws(TuttiError) in
        let buffer = TuttiBuffer<Int32>(count: bytes / 4, repeating: 1)
        for _ in 0..<50 {
          try communicator.startAllReduce(buffer, .sum).wait()
          try communicator.barrier()
        }
      }
      isOver.withLock { $0 = true }
      scribbler.wait()
      for ending in ended {
        // A second of the operation's own, and what finding the cause takes.
        #expect(
          ending.time - start < .seconds(10 * slowness),
          "seed \(seed), round \(round): \(ending.error.map { "\($0)" } ?? "")")
      }
      #expect(ended.count == 3)
      communicators.forEach { $0.close() }
    }
  }
}
