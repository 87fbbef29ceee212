import Foundation
import Testing

/// How a job ends when something ends it: everyone hears why, quickly, and no process stays behind.
@Suite(.serialized) struct LifetimeTests {
  static let rankCount = 4

  /// A job that would run for a long time, with its ranks' processes by rank. All of them are in the timed operations.
  private func endlessJob(
    _ flags: String, after: String? = nil
  ) async throws -> (launcher: Running, ranks: [Int: pid_t]) {
    let arguments = "all-reduce --ranks \(Self.rankCount) --sizes 1M --iterations 1000000 " + flags
    let words = (after.map(FaultRanks.after) ?? []) + [Tool.path] + arguments.split(separator: " ").map(String.init)
    let launcher = try Running(words[0], Array(words.dropFirst()))
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

  @Test("nohup, and a shell's background, stay what they are") func anIgnoredSignalStaysIgnored() async throws {
    let (launcher, ranks) = try await endlessJob("--format table", after: "trap '' HUP INT")
    for signal in [SIGHUP, SIGINT] { kill(launcher.pid, signal) }
    for rank in ranks.values { kill(rank, SIGHUP) }
    try await Task.sleep(for: .seconds(0.5))
    #expect(launcher.isRunning && ranks.values.allSatisfy { Processes.isRunning($0) })
    kill(launcher.pid, SIGTERM)
    #expect(try await launcher.outcome(limit: 5).status == 128 + SIGTERM)
    try await expectGone(ranks)
  }

  @Test("Ctrl-Z stops all ranks, and they go on with the launcher") func pausing() async throws {
    func state(_ pid: pid_t) -> Substring? {
      let text = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
      return text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ").dropFirst().first
    }
    let (launcher, ranks) = try await endlessJob("--format table")
    let all = Array(ranks.values) + [launcher.pid]
    kill(launcher.pid, SIGTSTP)
    #expect(try await becomesTrue(within: 5) { all.allSatisfy { state($0) == "T" } })
    kill(launcher.pid, SIGCONT)
    #expect(try await becomesTrue(within: 5) { all.allSatisfy { state($0) != "T" } })
    kill(launcher.pid, SIGTERM)
    #expect(try await launcher.outcome(limit: 5).status == 128 + SIGTERM)
  }

  @Test(.enabled(if: access("/usr/bin/perl", X_OK) == 0, "needs perl")) func aParentMayIgnoreItsChildren() async throws {
    // A signal that perl ignores is ignored by the program after exec, too; bash has no way to do that.
    let words = ["-e", "$SIG{CHLD} = 'IGNORE'; exec @ARGV", Tool.path]
    let flags = "all-reduce --ranks 2 --sizes 8 --iterations 2".split(separator: " ").map(String.init)
    let outcome = try await Running("/usr/bin/perl", words + flags).outcome(limit: 20)
    #expect(outcome.status == 0 && outcome.errors == "", "\(outcome.errors)")
    let wrong = try await Running("/usr/bin/perl", words + flags + ["--algorithm", "no-such"]).outcome(limit: 20)
    #expect(wrong.status == 64, "\(wrong.status)")
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
