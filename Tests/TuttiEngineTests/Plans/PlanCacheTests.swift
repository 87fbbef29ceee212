import Testing
import TuttiSchedule
import TuttiSystem

@testable import TuttiEngine

/// The plans that are kept: all that fit in the memory for them, the least recently used go first.
struct PlanCacheTests {
  private func plan() throws -> CompiledPlan {
    let schedule = ScheduleBuilder(.barrier, rank: 0, rankCount: 1, chunkCount: 1).finish()
    return CompiledPlan(
      try Plan(
        lowering: schedule, chunkMap: ChunkMap(balanced: 0, chunkCount: 1, granule: 1), elementBytes: 1, inPlace: false,
        segmentBytes: 1024, streaming: false),
      of: key(0), algorithm: ("none", 1, 1), hasBlocks: false)
  }

  private func key(_ count: Int) -> PlanKey {
    PlanKey(collective: .allReduce, algorithm: 0, dataType: 0, inPlace: false, count: UInt64(count))
  }

  /// Digests travel between hosts, whose builds may differ.
  @Test func digestsStayWhatTheyAre() {
    #expect(PlanKey.digest(ofBlocks: []) == 0xCBF2_9CE4_8422_2325)
    #expect(PlanKey.digest(ofBlocks: [0]) == 0xD01E_5F38_B9A2_547E)
    #expect(PlanKey.digest(ofBlocks: [1, 2, 3]) == 0x9CC7_7043_4534_6091)
  }

  @Test func leastRecentlyUsedGoesFirst() throws {
    let size = try plan().bytes
    var cache = PlanCache(bytesMax: 10 * size)
    var dropped: [UInt64] = []
    for count in 0..<10 { cache.insert(try plan(), for: key(count)) { dropped.append($0.count) } }
    #expect(cache.count == 10 && dropped.isEmpty && cache.bytes == 10 * size)
    let found = cache.find(key(0))
    let used = try #require(found)
    used.uses = 1
    let isKept = cache.find(key(1)) != nil
    #expect(isKept)
    cache.insert(try plan(), for: key(10)) { dropped.append($0.count) }
    #expect(dropped == [2])
    for count in 11..<25 { cache.insert(try plan(), for: key(count)) { dropped.append($0.count) } }
    // In use, so it stays; 1 was used after those before it.
    let (stays, isGone) = (cache.find(key(0)) === used, cache.find(key(1)) == nil)
    #expect(stays && isGone)
    #expect(cache.count == 10 && dropped.count == 15 && cache.bytes == 10 * size)
    let newest = (16..<25).map { cache.find(key($0)) != nil }
    #expect(newest == Array(repeating: true, count: 9))
  }

  /// Beside a list that is searched from end to end, at random.
  @Test func isTheSameAsAList() throws {
    var generator = SeededGenerator(seed: testSeed("isTheSameAsAList"))
    let size = try plan().bytes
    var cache = PlanCache(bytesMax: 8 * size)
    // From the one used longest ago.
    var list: [(count: Int, plan: CompiledPlan)] = []
    for _ in 0..<5_000 {
      let count = Int.random(in: 0..<20, using: &generator)
      let place = list.firstIndex { $0.count == count }
      let found = cache.find(key(count))
      #expect(found === place.map { list[$0].plan })
      if let place {
        list.append(list.remove(at: place))
        // Some are run for a while.
        if Int.random(in: 0..<4, using: &generator) == 0 { list[list.count - 1].plan.uses ^= 1 }
        continue
      }
      var dropped: [Int] = []
      let new = try plan()
      cache.insert(new, for: key(count)) { dropped.append(Int($0.count)) }
      var expected: [Int] = []
      while (list.count + 1) * size > 8 * size, let oldest = list.firstIndex(where: { $0.plan.uses == 0 }) {
        expected.append(list.remove(at: oldest).count)
      }
      list.append((count, new))
      #expect(dropped == expected && cache.count == list.count && cache.bytes == list.count * size)
    }
  }
}
