import CTuttiLinux
import Foundation
import Testing
import TuttiSystem

/// Ranks killed at random moments of small, middle and large operations over shared memory: whatever the dead one held, the
/// others name it within 100 ms of its death.
///
/// `TUTTI_TEST_KILLS` is how many, 30 by default; `TUTTI_TEST_SEED` replays the choice of moments, as far as the machine's
/// timing allows.
@Suite(.serialized) struct KillTests {
  private static let environment = ProcessInfo.processInfo.environment

  @Test func atRandomMoments() async throws {
    let seed = Self.environment["TUTTI_TEST_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0...UInt64.max)
    FileHandle.standardError.write(Data("KillTests.atRandomMoments: TUTTI_TEST_SEED=\(seed)\n".utf8))
    var generator = SeededGenerator(seed: seed)
    let kills = Self.environment["TUTTI_TEST_KILLS"].flatMap(Int.init) ?? 30
    var milliseconds: [Double] = []
    for round in 0..<kills {
      let rankCount = Int.random(in: 3...4, using: &generator)
      let victim = Int.random(in: 0..<rankCount, using: &generator)
      let bytes = [8, 64 << 10, 4 << 20][round % 3]
      let pause = UInt64.random(in: 0..<20_000_000, using: &generator)
      let algorithm = ["auto", "ring", "two-shot"].randomElement(using: &generator)!
      let times = try await kill(victim, of: rankCount, bytes, algorithm, after: pause, "round \(round), seed \(seed)")
      milliseconds += times
    }
    let sorted = milliseconds.sorted()
    let summary = "\(kills) kills: median \(sorted[sorted.count / 2]) ms, longest \(sorted.last!) ms"
    FileHandle.standardError.write(Data("KillTests.atRandomMoments: \(summary)\n".utf8))
  }

  /// Memory is anonymous and sockets have no files, so the end of the processes is the end of everything.
  @Test func aCrashOfAllLeavesNothingBehind() async throws {
    func traces() throws -> Set<String> {
      let files = ["/dev/shm", "/tmp", "/run", "/var/tmp"].flatMap { folder in
        (try? FileManager.default.contentsOfDirectory(atPath: folder))?.map { folder + "/" + $0 } ?? []
      }
      // Read to its end: what Foundation takes for the file's size is not.
      let table = try #require(FileHandle(forReadingAtPath: "/proc/net/unix")).readToEnd() ?? Data()
      let sockets = String(decoding: table, as: UTF8.self).split(separator: "\n")
        .compactMap { $0.split(separator: " ").last }.filter { $0.hasPrefix("@tutti-") }
      return Set(files.filter { $0.contains("tutti") } + sockets.map(String.init))
    }
    let before = try traces()
    let ranks = try FaultRanks.start(4, ["shm", "auto", "4194304", "60"])
    try await FaultRanks.awaitInside(ranks)
    let during = try traces().subtracting(before)
    #expect(during.allSatisfy { $0.hasPrefix("@") } && !during.isEmpty, "\(during)")
    // No rank must have the time to end by itself because of another's death.
    for signal in [SIGSTOP, SIGKILL] {
      for rank in ranks { Glibc.kill(rank.pid, signal) }
    }
    for rank in ranks { #expect(try await rank.outcome(limit: 5).status == -SIGKILL) }
    let isGone = try await becomesTrue(within: 5) { (try? traces().intersection(during).isEmpty) == true }
    #expect(isGone, "\(during)")
  }

  /// Kills a rank in the middle of its operations. Returns how long after its death each other rank had the error, in
  /// milliseconds.
  private func kill(
    _ victim: Int, of rankCount: Int, _ bytes: Int, _ algorithm: String, after pause: UInt64, _ round: String
  ) async throws -> [Double] {
    let ranks = try FaultRanks.start(rankCount, ["shm", algorithm, "\(bytes)", "60"])
    try await FaultRanks.awaitInside(ranks)
    let moment = tutti_now_ns() + pause
    while tutti_now_ns() < moment {}
    let death = tutti_now_ns()
    try #require(Glibc.kill(ranks[victim].pid, SIGKILL) == 0)
    var times: [Double] = []
    for (rank, running) in ranks.enumerated() where rank != victim {
      let outcome = try await running.outcome(limit: 10)
      let what =
        "\(round): rank \(rank) of \(rankCount) after the end of \(victim), \(bytes) bytes, \(algorithm): \(outcome.errors)"
      #expect(outcome.status == 1 && outcome.errors.hasPrefix("peerLost \(victim): "), "\(what)")
      let took = Double((outcome.failedAt ?? .max) - death) / 1e6
      #expect(took < 100 * Tool.slowness, "\(took) ms: \(what)")
      times.append(took)
    }
    return times
  }
}
