import Patience
import TuttiSystem
import Foundation
import Testing
import TuttiTesting
import TuttiTransport

@testable import Tutti

/// Where the ranks of a test are, and what carries their data. All are threads of the test's process; but for `inProcess`
/// they join like processes, through a rendezvous, a handshake and a control plane of their own.
enum Fabric: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case inProcess, sharedMemory, tcp, rdma

  var testDescription: String { rawValue }

  var transport: TransportChoice {
    switch self {
    case .inProcess: .inProcess
    case .sharedMemory: .sharedMemory
    case .tcp: .tcp
    case .rdma: .rdma
    }
  }

  /// Those that tests run over: all that this machine has, or those that `TUTTI_TEST_FABRICS` names as `--transport` does:
  /// `rdma,shm`. `FabricTests` says what is missing.
  static let allCases: [Fabric] = {
    let known: [Fabric] = [.inProcess, .sharedMemory, .tcp] + (rdmaObstacle == nil ? [.rdma] : [])
    guard let wanted = wantedNames else { return known }
    return known.filter { wanted.contains($0.transport.name) }
  }()

  static let wantedNames = ProcessInfo.processInfo.environment["TUTTI_TEST_FABRICS"].flatMap { text in
    text.isEmpty ? nil : text.split(separator: ",").map(String.init)
  }

  /// Why no test runs over RDMA here; nil when they do.
  static let rdmaObstacle = transportReports().first { $0.name == "rdma" }?.report.obstacle
}

typealias SeededGenerator = TuttiTesting.SeededGenerator

/// Makes a communicator of threads of this process; element r is rank r's.
func makeCommunicators(
  _ rankCount: Int, _ fabric: Fabric = .inProcess, faults: InProcessFaults? = nil,
  timeout: Duration = .seconds(60 * slowness)
) throws -> [Communicator] {
  var options = CommunicatorOptions()
  options.timeout = timeout
  do {
    return try TuttiTesting.makeCommunicators(rankCount, over: fabric.transport, options: options, faults: faults)
  } catch let failure as RankFailure { throw failure.error }
}

/// Runs `body` as each rank of a communicator on a thread of its own, and throws the first failure.
func withRanks(
  _ rankCount: Int, _ fabric: Fabric = .inProcess, faults: InProcessFaults? = nil,
  timeout: Duration = .seconds(60 * slowness),
  _ body: @escaping @Sendable (Communicator) throws -> Void
) throws {
  let communicators = try makeCommunicators(rankCount, fabric, faults: faults, timeout: timeout)
  do {
    try onThreads(rankCount) { rank in
      try body(communicators[rank])
      communicators[rank].close()
    }
  } catch let failure as RankFailure { throw failure.error }
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
  testEnvironment(rank, rankCount, rendezvous)
}

/// Runs `body(0)...body(count - 1)` on threads and waits for all, at most three minutes times slowness.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) throws -> Void) throws {
  try TuttiTesting.onThreads(count, timeout: Patience.seconds(180), body)
}

/// The seed of a randomised test: `TUTTI_TEST_SEED`, or a new one. Printed, so that a failure can be replayed.
func testSeed(_ name: String) -> UInt64 {
  let seed = ProcessInfo.processInfo.environment["TUTTI_TEST_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0...UInt64.max)
  FileHandle.standardError.write(Data("\(name): TUTTI_TEST_SEED=\(seed)\n".utf8))
  return seed
}

/// What bounds of time are multiplied by.
var slowness: Int { Patience.factor }
