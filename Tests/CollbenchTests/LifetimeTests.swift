import Foundation
import Testing

/// How a job ends when something ends it: everyone hears why, quickly, and no process stays behind.
@Suite(.serialized) struct LifetimeTests {
  static let rankCount = 4

  /// A job that would run for a long time, with its ranks' processes by rank. All of them are in the timed operations.
  private func endlessJob(_ flags: String) async throws -> (launcher: Running, ranks: [Int: pid_t]) {
    let arguments = "all-reduce --ranks \(Self.rankCount) --sizes 1M --iterations 1000000 " + flags
    let launcher = try Running(Tool.path, arguments.split(separator: " ").map(String.init))
    // Rank 0 prints the head of the table when all have joined.
    try #require(try await becomesTrue(within: 30) { launcher.output.contains("algbw") }, "\(launcher.errors)")
    try await Task.sleep(for: .seconds(0.5 * Tool.slowness))
    var ranks: [Int: pid_t] = [:]
    for pid in Processes.children(of: launcher.pid) {
      if let rank = Processes.variable("TUTTI_RANK", of: pid).flatMap({ Int($0) }) { ranks[rank] = pid }
    }
    try #require(ranks.count == Self.rankCount)
    return (launcher, ranks)
  }

  private func expectGone(_ ranks: [Int: pid_t], sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let gone = try await becomesTrue(within: 2) { !ranks.values.contains { Processes.isRunning($0) } }
    #expect(gone, "a rank stayed behind", sourceLocation: sourceLocation)
  }

  @Test(arguments: [SIGINT, SIGTERM]) func stoppingTheLauncherEndsAll(signal: Int32) async throws {
    let (launcher, ranks) = try await endlessJob("--format table")
    kill(launcher.pid, signal)
    let outcome = try await launcher.outcome(limit: 5)
    #expect(outcome.status == 128 + signal)
    // Nobody complains about what the user wanted.
    #expect(outcome.errors == "")
    try await expectGone(ranks)
  }

  @Test func killingTheLauncherEndsAll() async throws {
    let (launcher, ranks) = try await endlessJob("--format table")
    kill(launcher.pid, SIGKILL)
    _ = try await launcher.outcome(limit: 5)
    try await expectGone(ranks)
  }

  @Test(arguments: ["shm", "tcp"]) func aKilledRankIsNamed(transport: String) async throws {
    let (launcher, ranks) = try await endlessJob("--transport \(transport) --timeout 60")
    let start = ContinuousClock.now
    kill(try #require(ranks[2]), SIGKILL)
    let outcome = try await launcher.outcome(limit: 10)
    let took = ContinuousClock.now - start
    #expect(took < .seconds(1 * Tool.slowness), "the others took \(took)")
    #expect(outcome.status == 1)
    for rank in [0, 1, 3] { #expect(outcome.errors(ofRank: rank).contains { $0.contains("rank 2") }, "\(outcome.errors)") }
    #expect(outcome.errors.contains("ended by signal 9"))
    try await expectGone(ranks)
  }

  @Test(arguments: ["shm", "tcp"]) func aSilentRankIsNamedAtTheDeadline(transport: String) async throws {
    let seconds = 2 * Tool.slowness
    let (launcher, ranks) = try await endlessJob("--transport \(transport) --timeout \(seconds)")
    let start = ContinuousClock.now
    kill(try #require(ranks[2]), SIGSTOP)
    let outcome = try await launcher.outcome(limit: 30)
    let took = ContinuousClock.now - start
    // The deadline, a little to find out who it is, and the launcher's patience with a process that cannot end.
    #expect(took > .seconds(seconds - 0.5) && took < .seconds(seconds + 3 + 2 * Tool.slowness), "took \(took)")
    #expect(outcome.status == 1)
    for rank in [0, 1, 3] { #expect(outcome.errors(ofRank: rank).contains { $0.contains("rank 2") }, "\(outcome.errors)") }
    #expect(outcome.errors.contains("rank 2 did not end after the others: killed"))
    try await expectGone(ranks)
  }
}
