import Foundation
import Testing
import TuttiTransport

@testable import Tutti

/// Where the ranks of a test are, and what carries their data. All are threads of the test's process; over `shm` and `tcp`
/// they join like processes, through a rendezvous, a handshake and a control plane of their own.
enum Fabric: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case inProcess, sharedMemory, tcp

  var testDescription: String { rawValue }
}

/// Makes a communicator of threads of this process; element r is rank r's.
func makeCommunicators(
  _ rankCount: Int, _ fabric: Fabric = .inProcess, faults: InProcessFaults? = nil, timeout: Duration = .seconds(60)
) throws -> [Communicator] {
  var options = CommunicatorOptions()
  options.timeout = timeout
  if fabric == .inProcess { return try Communicator.inProcess(rankCount: rankCount, options: options, faults: faults) }
  options.transport = fabric == .tcp ? .tcp : .sharedMemory
  let rendezvous = "unix:@tutti-test-\(UUID().uuidString.prefix(12))"
  let joined = Lock<[Int: Communicator]>([:])
  let failures = Lock<[any Error]>([])
  try onThreads(rankCount) { [options] rank in
    do {
      let communicator = try Communicator.join(
        environment: environment(rank, rankCount, rendezvous), options: options)
      joined.withLock { $0[rank] = communicator }
    } catch {
      failures.withLock { $0.append(error) }
    }
  }
  if let first = failures.withLock({ $0.first }) { throw first }
  return joined.withLock { joined in (0..<rankCount).compactMap { joined[$0] } }
}

/// Runs `body` as each rank of a communicator on a thread of its own, and throws the first failure.
func withRanks(
  _ rankCount: Int, _ fabric: Fabric = .inProcess, faults: InProcessFaults? = nil, timeout: Duration = .seconds(60),
  _ body: @escaping @Sendable (Communicator) throws -> Void
) throws {
  let communicators = try makeCommunicators(rankCount, fabric, faults: faults, timeout: timeout)
  let failures = Lock<[(Int, any Error)]>([])
  try onThreads(rankCount) { rank in
    do {
      try body(communicators[rank])
      communicators[rank].close()
    } catch {
      failures.withLock { $0.append((rank, error)) }
    }
  }
  if let first = failures.withLock({ $0.min { $0.0 < $1.0 } }) { throw first.1 }
}

/// How one rank's part of a test ended.
struct Ending: Sendable {
  /// What it threw; nil when it ended well.
  let error: TuttiError?
  /// When it ended.
  let time: ContinuousClock.Instant
}

/// Runs `body` as each rank on a thread of its own, and returns how each ended, by rank. The communicators stay open.
func endings(
  _ communicators: [Communicator], _ body: @escaping @Sendable (Communicator) throws(TuttiError) -> Void
) throws -> [Ending] {
  let endings = Lock<[Int: Ending]>([:])
  try onThreads(communicators.count) { rank in
    var caught: TuttiError?
    do throws(TuttiError) { try body(communicators[rank]) } catch { caught = error }
    let ending = Ending(error: caught, time: .now)
    endings.withLock { $0[rank] = ending }
  }
  return endings.withLock { endings in communicators.indices.compactMap { endings[$0] } }
}

func environment(_ rank: Int, _ rankCount: Int, _ rendezvous: String) -> [String: String] {
  [
    "TUTTI_RANK": String(rank), "TUTTI_SIZE": String(rankCount), "TUTTI_RENDEZVOUS": rendezvous,
    "TUTTI_SECRET": "0123456789abcdef0123456789abcdef",
  ]
}

/// Runs `body(0)...body(count - 1)` on threads and waits for all, at most three minutes.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) throws {
  let group = DispatchGroup()
  for index in 0..<count {
    group.enter()
    let thread = Thread {
      body(index)
      group.leave()
    }
    thread.stackSize = 1 << 20
    thread.start()
  }
  try #require(group.wait(timeout: .now() + 180) == .success, "a rank hangs")
}

/// splitmix64: small, and the same everywhere.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

/// The seed of a randomised test: `TUTTI_TEST_SEED`, or a new one. Printed, so that a failure can be replayed.
func testSeed(_ name: String) -> UInt64 {
  let seed = ProcessInfo.processInfo.environment["TUTTI_TEST_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0...UInt64.max)
  FileHandle.standardError.write(Data("\(name): TUTTI_TEST_SEED=\(seed)\n".utf8))
  return seed
}

/// What bounds of time are multiplied by: sanitizers make everything slower.
let slowness = ProcessInfo.processInfo.environment["TUTTI_TEST_SANITIZER"] == nil ? 1 : 10
