import Foundation
import Testing
import TuttiSystem

/// Whole communicators in one thread and in virtual time, by seed: results bit for bit, or the failure that the
/// seed's fault leads to.
///
/// The simulator of TigerBeetle is the model. `TUTTI_TEST_SEED=N` replays one seed; `TUTTI_TEST_SIMULATIONS=N` runs so many.
@Suite struct SimulationTests {
  /// Enough to see every kind of fault many times.
  private static let seedCount = 2_000

  @Test func seeds() async throws {
    let environment = ProcessInfo.processInfo.environment
    if let seed = environment["TUTTI_TEST_SEED"].flatMap(UInt64.init) { return try Self.run(seed) }
    let count = environment["TUTTI_TEST_SIMULATIONS"].flatMap(Int.init) ?? Self.seedCount
    let first = UInt64.random(in: 0...UInt64.max >> 1)
    let next = Lock(0)
    let failures = Lock<[String]>([])
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<2 {
        group.addTask {
          while true {
            let index = next.withLock { index in
              defer { index += 1 }
              return index
            }
            if index >= count || failures.withLock({ $0.count }) >= 5 { return }
            do { try Self.run(first + UInt64(index)) } catch { failures.withLock { $0.append("\(error)") } }
          }
        }
      }
    }
    for failure in failures.withLock({ $0 }) { Issue.record(Comment(rawValue: failure)) }
  }

  /// The same seed is the same run, or a failure could not be replayed.
  @Test func aSeedIsOneRun() throws {
    for seed in 0..<50 as Range<UInt64> {
      let fingerprints = try (0..<2).map { _ in
        let world = try SimulatedWorld(seed: seed)
        try world.run()
        return world.fingerprint
      }
      #expect(fingerprints[0] == fingerprints[1], "seed \(seed)")
    }
  }

  private static func run(_ seed: UInt64) throws {
    let world = try SimulatedWorld(seed: seed)
    do { try world.run() } catch {
      throw SimulationError(description: "TUTTI_TEST_SEED=\(seed): \(error)\n\(world.scenario)")
    }
  }
}
