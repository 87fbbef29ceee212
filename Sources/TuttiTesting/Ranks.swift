// Ranks as threads of one process, for tests.

import Foundation
import Tutti
import TuttiSystem
import TuttiTransport

/// What a rank of a test threw.
public struct RankFailure: Error, CustomStringConvertible {
  /// The rank that threw the error.
  public let rank: Int
  /// What it threw: a `TuttiError`, a ``HangingRank``, or an error of the test's own.
  public let error: any Error

  public var description: String { "rank \(rank): \(error)" }
}

/// Runs `body` as each rank of a communicator, every rank on a thread of its own, and returns what they return when all have
/// ended.
///
/// ```swift
/// let sums = try withRanks(4) { communicator in
///   var values = [Float(communicator.rank)]
///   try communicator.allReduce(&values, .sum)
///   return values[0]
/// }
/// #expect(sums == [6, 6, 6, 6])
/// ```
///
/// A rank that throws aborts the communicator, so that the others do not wait for it. Blocks the calling thread.
///
/// - Parameters:
///   - rankCount: 1 to 512.
///   - transport: `.inProcess` is the quickest. With any other, the ranks join like processes, through a rendezvous, and
///     communicate over real memory, sockets or devices of this host. `.rdma` needs an RDMA device: `TuttiError` with
///     `.configuration` says what prevents it.
///   - options: The options of the communicator, except for its transport.
///   - faults: How links misbehave; only with `.inProcess`.
///   - timeout: The wall-clock limit of everything. A call that sets no limit of its own has half of it, so that the library
///     itself can say which rank it waits for. When all of it has passed, ``RankFailure`` names a rank that hangs, whose
///     thread is left behind.
/// - Returns: What each rank returned, by rank.
/// - Throws: ``RankFailure`` of the lowest rank that failed, not counting those that failed only because another one did.
///   `TuttiError` when no such communicator can be made.
@discardableResult
public func withRanks<Result: Sendable>(
  _ rankCount: Int, over transport: TransportChoice = .inProcess, options: CommunicatorOptions = CommunicatorOptions(),
  faults: LinkFaults? = nil, timeout: Duration = .seconds(180), _ body: @escaping @Sendable (Communicator) throws -> Result
) throws -> [Result] {
  precondition(faults == nil || transport == .inProcess, "faults are for the in-process transport, not \(transport.name)")
  var options = options
  options.timeout = min(options.timeout, timeout / 2)
  let communicators = try makeCommunicators(rankCount, over: transport, options: options, faults: faults?.faults)
  let results = Lock<[Int: Result]>([:])
  do {
    try onThreads(rankCount, timeout: timeout / .seconds(1)) { rank in
      let communicator = communicators[rank]
      do {
        let result = try body(communicator)
        results.withLock { $0[rank] = result }
        communicator.close()
      } catch {
        // If this is not the first cause, the first cause stays.
        communicator.abort("its part of the test threw \(error)")
        throw error
      }
    }
  } catch let failure as RankFailure where failure.error is HangingRank {
    // This frees ranks that wait in a call with a longer limit.
    for communicator in communicators { communicator.abort("\(failure)") }
    throw failure
  }
  return results.withLock { results in (0..<rankCount).compactMap { results[$0] } }
}

/// Makes a communicator of threads of this process; element r is rank r's.
package func makeCommunicators(
  _ rankCount: Int, over transport: TransportChoice, options: CommunicatorOptions, faults: InProcessFaults? = nil
) throws -> [Communicator] {
  var options = options
  options.transport = transport
  if transport == .inProcess {
    return try Communicator.makeInProcess(rankCount: rankCount, options: options, faults: faults)
  }
  let rendezvous = "unix:@tutti-test-\(UUID().uuidString.prefix(12))"
  let joined = Lock<[Int: Communicator]>([:])
  try onThreads(rankCount) { [options] rank in
    let communicator = try Communicator.join(
      environment: testEnvironment(rank, rankCount, rendezvous), options: options)
    joined.withLock { $0[rank] = communicator }
  }
  return joined.withLock { joined in (0..<rankCount).compactMap { joined[$0] } }
}

/// The environment that a launcher would set for a rank of a test.
package func testEnvironment(_ rank: Int, _ rankCount: Int, _ rendezvous: String) -> [String: String] {
  [
    "TUTTI_RANK": String(rank), "TUTTI_SIZE": String(rankCount), "TUTTI_RENDEZVOUS": rendezvous,
    "TUTTI_SECRET": "0123456789abcdef0123456789abcdef",
  ]
}

/// Runs `body(0)...body(count - 1)` on threads, waits for all, and throws the failure of the lowest that did not fail
/// because of another.
///
/// - Parameter timeout: The limit in seconds.
package func onThreads(
  _ count: Int, timeout: Double = 180, _ body: @escaping @Sendable (Int) throws -> Void
) throws {
  let group = DispatchGroup()
  let running = Lock(Set(0..<count))
  let failures = Lock<[RankFailure]>([])
  for rank in 0..<count {
    group.enter()
    let thread = Thread {
      do { try body(rank) } catch { failures.withLock { $0.append(RankFailure(rank: rank, error: error)) } }
      _ = running.withLock { $0.remove(rank) }
      group.leave()
    }
    thread.name = "rank \(rank)"
    thread.stackSize = 1 << 20
    thread.start()
  }
  if group.wait(timeout: .now() + timeout) == .timedOut, let rank = running.withLock({ $0.min() }) {
    throw RankFailure(rank: rank, error: HangingRank(seconds: timeout))
  }
  let failed = failures.withLock { $0.sorted { $0.rank < $1.rank } }
  if let first = failed.first(where: { !$0.isConsequence }) ?? failed.first { throw first }
}

extension RankFailure {
  /// Whether another rank's abort is all that happened here.
  fileprivate var isConsequence: Bool {
    guard let error = error as? TuttiError else { return false }
    return error.code == .aborted && error.peer != rank
  }
}

/// The error for a rank of a test that has not ended.
public struct HangingRank: Error, CustomStringConvertible {
  /// How long the test waited for it.
  public let seconds: Double

  public var description: String { "has not ended after \(seconds) seconds" }
}
