import Checkpoints
import Foundation

/// Ranks that are threads, and what lets them meet: for tests of what ranks do together.
///
/// Invariant: a rank that fails lets the others go, with an error instead of a wait.
final class Meeting: @unchecked Sendable {
  // @unchecked: all state is under the condition's lock.

  struct Abandoned: Error {}

  private let condition = NSCondition()
  private let rankCount: Int
  private var given: [Int: [UInt8]] = [:]
  private var taken: [[UInt8]] = []
  private var round = 0
  private var isAbandoned = false

  init(rankCount: Int) { self.rankCount = rankCount }

  func exchange(_ bytes: [UInt8], rank: Int) throws -> [[UInt8]] {
    condition.lock()
    defer { condition.unlock() }
    let own = round
    given[rank] = bytes
    if given.count == rankCount {
      taken = (0..<rankCount).map { given[$0]! }
      given = [:]
      round += 1
      condition.broadcast()
    }
    let limit = Date(timeIntervalSinceNow: 20)
    while round == own && !isAbandoned {
      if !condition.wait(until: limit) { throw Abandoned() }
    }
    if round == own { throw Abandoned() }
    return taken
  }

  func abandon() {
    condition.lock()
    isAbandoned = true
    condition.broadcast()
    condition.unlock()
  }
}

/// Runs `body` on a thread for each rank, and returns each rank's result.
func withRanks<Value: Sendable>(
  _ rankCount: Int, _ body: @escaping @Sendable (_ rank: Int, _ exchange: @escaping CheckpointStore.Exchange) throws -> Value
) -> [Result<Value, any Error>] {
  let results = Results<Value>()
  let meeting = Meeting(rankCount: rankCount)
  let group = DispatchGroup()
  for rank in 0..<rankCount {
    group.enter()
    Thread.detachNewThread {
      let result = Result { try body(rank) { try meeting.exchange($0, rank: rank) } }
      if case .failure = result { meeting.abandon() }
      results.lock.withLock { results.values[rank] = result }
      group.leave()
    }
  }
  group.wait()
  return (0..<rankCount).map { results.values[$0]! }
}

private final class Results<Value: Sendable>: @unchecked Sendable {
  // @unchecked: each thread writes under the lock, and the reader comes after all of them.
  let lock = NSLock()
  var values: [Int: Result<Value, any Error>] = [:]
}
