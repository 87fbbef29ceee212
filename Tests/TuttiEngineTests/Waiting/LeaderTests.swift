import Patience
import Synchronization
import Testing
import TuttiSystem

@testable import TuttiEngine

/// Threads that wait in one engine at the same time: one of them leads, the others follow.
@Suite(.serialized) struct LeaderTests {
  private static let callCount = 40
  private static let threadCount = 4
  private static let elementCount = 500

  /// Every thread waits for every call, in an order of its own; each call ends once and right.
  @Test func followersSeeWhatTheLeaderEnds() throws {
    let seed = testSeed("followersSeeWhatTheLeaderEnds")
    for round in 0..<5 as Range<UInt64> {
      let ranks = try ThreadedRank.makePair(seed: seed &+ round)
      let memory = UnsafeMutablePointer<UInt32>.allocate(capacity: 2 * Self.callCount * Self.elementCount)
      defer { memory.deallocate() }
      // The threads have ended before the memory goes.
      nonisolated(unsafe) let elements = memory
      for index in 0..<2 * Self.callCount * Self.elementCount { elements[index] = UInt32(index) }
      let over = Atomic<Int>(0)
      let failures = Lock<[String]>([])
      for rank in ranks {
        try startDetachedThread("rank") {
          do {
            let numbers = try (0..<Self.callCount).map { call in
              try rank.start(
                elements + (rank.rank * Self.callCount + call) * Self.elementCount, count: Self.elementCount)
            }
            for thread in 0..<Self.threadCount {
              try startDetachedThread("waiter") {
                var generator = SeededGenerator(seed: seed &+ UInt64(rank.rank * Self.threadCount + thread))
                do {
                  for number in numbers.shuffled(using: &generator) {
                    try rank.engine.wait(for: number)
                    if !rank.engine.isDone(number) { failures.withLock { $0.append("call \(number) is not done") } }
                  }
                } catch { failures.withLock { $0.append("\(error)") } }
                over.wrappingAdd(1, ordering: .sequentiallyConsistent)
              }
            }
          } catch { failures.withLock { $0.append("\(error)") } }
        }
      }
      let hasEnded = Clock.wait(until: Patience.deadline(seconds: 30)) {
        over.load(ordering: .sequentiallyConsistent) == 2 * Self.threadCount
          || failures.withLock { !$0.isEmpty }
      }
      #expect(hasEnded && failures.withLock { $0 } == [], "round \(round)")
      for index in 0..<Self.callCount * Self.elementCount {
        let sum = UInt32(index) &+ UInt32(index + Self.callCount * Self.elementCount)
        if elements[index] != sum || elements[index + Self.callCount * Self.elementCount] != sum {
          Issue.record("element \(index) is wrong")
          break
        }
      }
      for rank in ranks { rank.close() }
    }
  }

  /// An abort ends the leader's wait, and every follower's, with the same cause.
  @Test func anAbortEndsAllWaits() throws {
    let ranks = try ThreadedRank.makePair(seed: testSeed("anAbortEndsAllWaits"))
    let memory = UnsafeMutablePointer<UInt32>.allocate(capacity: 10)
    memory.initialize(repeating: 1, count: 10)
    defer { memory.deallocate() }
    // The other rank never calls.
    let number = try ranks[0].start(memory, count: 10)
    let causes = Lock<[String]>([])
    let rank = ranks[0]
    for _ in 0..<Self.threadCount {
      try startDetachedThread("waiter") {
        do throws(FailureReport) {
          try rank.engine.wait(for: number)
          causes.withLock { $0.append("ended") }
        } catch { causes.withLock { $0.append(error.message) } }
      }
    }
    let follow = Clock.wait(until: Patience.deadline(seconds: 10)) {
      rank.engine.lock.lock()
      defer { rank.engine.lock.unlock() }
      return rank.engine.core.pointee.hasLeader && rank.engine.core.pointee.followers == Self.threadCount - 1
    }
    #expect(follow, "one leads, the others follow")
    rank.engine.abort(FailureReport(.aborted, rank: 0, "enough"))
    let haveEnded = Clock.wait(until: Patience.deadline(seconds: 10)) { causes.withLock { $0.count } == Self.threadCount }
    #expect(haveEnded && causes.withLock { $0 } == Array(repeating: "enough", count: Self.threadCount))
    for rank in ranks { rank.close() }
  }
}
