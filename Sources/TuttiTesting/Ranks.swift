// Ranks as threads of one process, for tests.

import Foundation
import Tutti
import TuttiTransport

/// What a rank of a test threw.
public struct RankFailure: Error, CustomStringConvertible {
  public let rank: Int
  public let error: any Error

  public var description: String { "rank \(rank): \(error)" }
}

/// Runs `body` as each rank of a communicator, every rank on a thread of its own, and returns when all have ended.
///
/// ```swift
/// try withRanks(4) { communicator in
///   var values = [Float(communicator.rank)]
///   try communicator.allReduce(&values, .sum)
///   #expect(values == [6])
/// }
/// ```
///
/// - Parameters:
///   - rankCount: 1 to 512.
///   - transport: `.inProcess` is the quickest. With `.sharedMemory`, `.tcp` or `.auto` the ranks join like processes, through a rendezvous,
///     and talk over real memory or sockets of this host.
///   - options: How the communicator is made, but for its transport. Its timeout bounds every call.
///   - faults: How links misbehave; in process only.
///   - timeout: After this many seconds without the end of all ranks, ``RankFailure`` names one that hangs. Its thread is left behind.
/// - Throws: ``RankFailure`` of the lowest rank that failed.
public func withRanks(
  _ rankCount: Int, over transport: TransportChoice = .inProcess, options: CommunicatorOptions = CommunicatorOptions(),
  faults: LinkFaults? = nil, timeout: Double = 180, _ body: @escaping @Sendable (Communicator) throws -> Void
) throws {
  let communicators = try makeCommunicators(rankCount, over: transport, options: options, faults: faults?.faults)
  try onThreads(rankCount, timeout: timeout) { rank in
    try body(communicators[rank])
    communicators[rank].close()
  }
}

/// Makes a communicator of threads of this process; element r is rank r's.
package func makeCommunicators(
  _ rankCount: Int, over transport: TransportChoice, options: CommunicatorOptions, faults: InProcessFaults? = nil
) throws -> [Communicator] {
  var options = options
  options.transport = transport
  if transport == .inProcess {
    return try Communicator.inProcess(rankCount: rankCount, options: options, faults: faults)
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

/// What a launcher would set for a rank of a test.
package func testEnvironment(_ rank: Int, _ rankCount: Int, _ rendezvous: String) -> [String: String] {
  [
    "TUTTI_RANK": String(rank), "TUTTI_SIZE": String(rankCount), "TUTTI_RENDEZVOUS": rendezvous,
    "TUTTI_SECRET": "0123456789abcdef0123456789abcdef",
  ]
}

/// Runs `body(0)...body(count - 1)` on threads, waits for all, and throws the failure of the lowest.
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
  if let first = failures.withLock({ $0.min { $0.rank < $1.rank } }) { throw first }
}

/// A rank of a test did not come to its end.
public struct HangingRank: Error, CustomStringConvertible {
  public let seconds: Double

  public var description: String { "has not ended after \(seconds) seconds" }
}
