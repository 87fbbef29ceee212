import Foundation
import Testing

/// Ranks that die or stop in the middle of an operation, as processes: the others name them, quickly, and no process stays
/// behind.
@Suite(.serialized) struct FaultTests {
  /// Processes that run `faultrank`, one a rank. All are killed when it goes away, with the children they forked.
  private final class Job {
    let ranks: [Running]
    private(set) var sleepers: [pid_t] = []

    init(
      _ rankCount: Int, _ transport: String, algorithm: String, bytes: Int, timeout: Double, forks: Bool,
      registers: Bool = false
    ) throws {
      ranks = try FaultRanks.start(
        rankCount,
        [transport, algorithm, "\(bytes)", "\(timeout)"] + (forks ? ["fork"] : []) + (registers ? ["registered"] : []))
    }

    deinit { for pid in sleepers { kill(pid, SIGKILL) } }

    /// Returns when every rank is in the middle of the large operation.
    func enter(forks: Bool) async throws {
      try await FaultRanks.awaitInside(ranks)
      if forks {
        sleepers = ranks.flatMap { Processes.children(of: $0.pid) }
        try #require(sleepers.count == ranks.count)
      }
      try await Task.sleep(for: .seconds(0.3 * Tool.slowness))
      try #require(!ranks.contains { !$0.isRunning }, "\(ranks.map(\.errors))")
    }

    /// Waits until all ranks but one have ended, and checks that each of them named it.
    func expectAllButOne(
      _ odd: Int, toNameIt code: String, within seconds: ClosedRange<Double>,
      sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
      let start = ContinuousClock.now
      let others = ranks.indices.filter { $0 != odd }
      let haveEnded = try await becomesTrue(within: 20) { !others.contains { ranks[$0].isRunning } }
      let took = ContinuousClock.now - start
      #expect(haveEnded, "a rank hangs: \(ranks.map(\.errors))", sourceLocation: sourceLocation)
      #expect(
        took >= .seconds(seconds.lowerBound) && took <= .seconds(seconds.upperBound * Tool.slowness),
        "the others took \(took)", sourceLocation: sourceLocation)
      for rank in others where haveEnded {
        let outcome = try await ranks[rank].outcome(limit: 1, sourceLocation: sourceLocation)
        #expect(outcome.status == 1, sourceLocation: sourceLocation)
        #expect(
          outcome.errors.hasPrefix("\(code) \(odd): ") && outcome.errors.contains("rank \(odd)"),
          "rank \(rank): \(outcome.errors)", sourceLocation: sourceLocation)
      }
    }
  }

  /// 1 GiB, or less where ranks that each have as much would not fit into memory.
  private func largeBytes(rankCount: Int) -> Int {
    let text = (try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
    let kilobytes = line.flatMap { Int($0.split(separator: " ")[1]) } ?? 0
    return kilobytes >> 20 > 2 * rankCount ? 1 << 30 : 256 << 20
  }

  @Test(arguments: ["shm", "tcp"], [false, true])
  func aKilledRankIsNamed(transport: String, forks: Bool) async throws {
    let job = try Job(
      4, transport, algorithm: "auto", bytes: largeBytes(rankCount: 4), timeout: 60, forks: forks)
    try await job.enter(forks: forks)
    kill(job.ranks[2].pid, SIGKILL)
    try await job.expectAllButOne(2, toNameIt: "peerLost", within: 0...1)
  }

  /// The others were reading its memory, and it was writing into theirs.
  @Test(arguments: [2, 4]) func aKilledRankWithRegisteredMemoryIsNamed(rankCount: Int) async throws {
    let job = try Job(
      rankCount, "shm", algorithm: "auto", bytes: 256 << 20, timeout: 60, forks: false, registers: true)
    try await job.enter(forks: false)
    kill(job.ranks[1].pid, SIGKILL)
    try await job.expectAllButOne(1, toNameIt: "peerLost", within: 0...1)
  }

  /// In a ring most ranks have no link to the one that died.
  @Test(arguments: ["shm", "tcp"], [false, true])
  func aKilledRankOfARingIsNamed(transport: String, forks: Bool) async throws {
    let job = try Job(8, transport, algorithm: "ring", bytes: 64 << 20, timeout: 60, forks: forks)
    try await job.enter(forks: forks)
    kill(job.ranks[5].pid, SIGKILL)
    try await job.expectAllButOne(5, toNameIt: "peerLost", within: 0...1)
  }

  /// Rank 0 led the rendezvous and is the root of the control tree; its end is no different.
  @Test(arguments: ["shm", "tcp"])
  func theFirstRankIsLikeAnyOther(transport: String) async throws {
    let job = try Job(5, transport, algorithm: "double-binary-tree", bytes: 16 << 20, timeout: 60, forks: false)
    try await job.enter(forks: false)
    kill(job.ranks[0].pid, SIGKILL)
    try await job.expectAllButOne(0, toNameIt: "peerLost", within: 0...1)
  }

  @Test(arguments: ["shm", "tcp"])
  func aStoppedRankIsNamedAtTheDeadline(transport: String) async throws {
    let seconds = 2 * Tool.slowness
    let job = try Job(8, transport, algorithm: "ring", bytes: 16 << 20, timeout: seconds, forks: false)
    try await job.enter(forks: false)
    kill(job.ranks[3].pid, SIGSTOP)
    try await job.expectAllButOne(3, toNameIt: "timeout", within: (seconds - 0.5)...(seconds + 1.5 * Tool.slowness))
  }

  /// The time for which a rank was stopped counts neither against a message with a tag that has a body, nor against the one
  /// after it.
  @Test(arguments: ["shm", "tcp"])
  func aStopIsNoPartOfTheLimitOfTaggedMessages(transport: String) async throws {
    let seconds = 2 * Tool.slowness
    let ranks = try FaultRanks.start(2, [transport, "auto", "\(1 << 20)", "\(seconds)", "tagged"])
    try await FaultRanks.awaitInside(ranks)
    try await Task.sleep(for: .seconds(0.1 * seconds))
    kill(ranks[1].pid, SIGSTOP)
    try await Task.sleep(for: .seconds(1.5 * seconds))
    kill(ranks[1].pid, SIGCONT)
    for rank in ranks {
      let outcome = try await rank.outcome(limit: 30)
      #expect(outcome.status == 0, "\(outcome.errors)")
    }
    #expect(ranks[1].output.contains("has all"), "\(ranks[1].output)")
  }

  /// Two at once: every rank that is left names one of them.
  @Test(arguments: ["shm", "tcp"])
  func twoKilledAtOnce(transport: String) async throws {
    let job = try Job(6, transport, algorithm: "two-shot", bytes: 16 << 20, timeout: 60, forks: false)
    try await job.enter(forks: false)
    for rank in [1, 4] { kill(job.ranks[rank].pid, SIGKILL) }
    let left = [0, 2, 3, 5]
    #expect(try await becomesTrue(within: 1) { !left.contains { job.ranks[$0].isRunning } }, "a rank hangs")
    for rank in left {
      let outcome = try await job.ranks[rank].outcome(limit: 1)
      #expect(
        outcome.status == 1 && ["peerLost 1: ", "peerLost 4: "].contains { outcome.errors.hasPrefix($0) },
        "\(outcome.errors)")
    }
  }
}
