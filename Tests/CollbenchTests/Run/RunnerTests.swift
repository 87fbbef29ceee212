import Foundation
import Testing

/// Ranks that a test starts end with the test runner, however it ends: one is killed here.
@Suite(.serialized) struct RunnerTests {
  /// Words that are put before the program of one rank.
  private static let inside: [[String]] = {
    var words = [[], FaultRanks.sandbox("pidfd_open=1"), ["/bin/sh", "-c", "\"$@\"; exit 0", "sh"]]
    // A rank with another parent than the runner, and one that the kernel no longer ties to its parent, because it is
    // another user's.
    if TestHosts.canRun { words.append(["/usr/bin/unshare", "--pid", "--fork", "--"]) }
    if geteuid() == 0 { words.append(["/usr/bin/setpriv", "--reuid", "65534", "--clear-groups", "--"]) }
    return words
  }()
  private static let isRunner = ProcessInfo.processInfo.environment["TUTTI_TEST_RUNNER"] != nil

  /// The runner that is going to be killed: this program, started once more, with this test alone.
  @Test(.enabled(if: isRunner, "started by aKilledRunnerLeavesNothing")) func runner() async throws {
    let words = ["tcp", "auto", "8", "60"]
    let ranks = try FaultRanks.start(
      Self.inside.count, words, inside: Dictionary(uniqueKeysWithValues: Self.inside.enumerated().map { ($0, $1) }))
    try await FaultRanks.awaitInside(ranks)
    FileHandle.standardError.write(Data("ranks are inside\n".utf8))
    try await Task.sleep(for: .seconds(60))
    withExtendedLifetime(ranks) {}
  }

  @Test(.enabled(if: !isRunner, "is the runner"), arguments: [SIGKILL, SIGTERM])
  func aKilledRunnerLeavesNothing(signal: Int32) async throws {
    let mark = UUID().uuidString
    let runner = try Running(
      "/proc/self/exe", ["--testing-library", "swift-testing", "--filter", "RunnerTests/runner"],
      environment: ["TUTTI_TEST_RUNNER": mark])
    let started = try await becomesTrue(within: 60) { runner.errors.contains("ranks are inside") || !runner.isRunning }
    try #require(started && runner.isRunning, "\(runner.output) \(runner.errors)")
    let pid = runner.pid
    let family = Self.marked(mark).filter { $0 != pid }
    #expect(family.count >= Self.inside.count, "\(family)")
    kill(pid, signal)
    let isGone = try await becomesTrue(within: 5) { Self.marked(mark).isEmpty }
    #expect(isGone, "\(Self.marked(mark)) stayed behind")
    for pid in Self.marked(mark) { kill(pid, SIGKILL) }
  }

  /// The processes that have the mark in their environment, without zombies.
  private static func marked(_ mark: String) -> [pid_t] {
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return entries.compactMap { pid_t($0) }.filter { Processes.variable("TUTTI_TEST_RUNNER", of: $0) == mark }
  }
}
