import Foundation
import Testing

/// Ranks that an agent starts, here without a remote shell: `Scripts/lib/test-remote` has the same over hosts and ssh.
@Suite(.serialized) struct AgentTests {
  private static let hosts = "all-reduce --hosts localhost:2"

  @Test func ranksOfAnAgentAreRight() async throws {
    let outcome = try await Tool.run("\(Self.hosts) --sizes 8,64K --iterations 3 --algorithm all --format json")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let results = try results(outcome.output)
    #expect(!results.isEmpty && results.allSatisfy { $0["wrongElements"] as? Int == 0 && $0["ranks"] as? Int == 2 })
  }

  @Test func linesHaveTheirRank() async throws {
    let outcome = try await Tool.run(
      "\(Self.hosts) --sizes 8 --iterations 3 --prefix-output", environment: ["TUTTI_SINGLE_COPY": "nonsense"])
    // The setting came with the job, and every rank complains about it.
    #expect(outcome.status == 1)
    for rank in [0, 1] {
      #expect(outcome.errors.contains("[rank \(rank)] collbench: rank \(rank): TUTTI_SINGLE_COPY"), "\(outcome.errors)")
    }
  }

  @Test func aReaderThatLeavesIsNoFailure() async throws {
    let arguments = ["-c", "\(Tool.path) \(Self.hosts) --min-bytes 8 --max-bytes 1M | head -n 3; echo ${PIPESTATUS[0]}"]
    let outcome = try await Running("/bin/bash", arguments).outcome(limit: 60)
    // On a busy machine it says that it waits for its agent.
    let complaints = outcome.errors.split(separator: "\n").filter { !$0.contains("hosts have answered") }
    #expect(outcome.output.split(separator: "\n").last == "141" && complaints.isEmpty, "\(outcome.errors)")
  }

  @Test func resultsThatDoNotArriveAreAFailure() async throws {
    let arguments = ["-c", "\(Tool.path) \(Self.hosts) --sizes 8 > /dev/full"]
    let outcome = try await Running("/bin/bash", arguments).outcome(limit: 60)
    #expect(outcome.status == 1 && outcome.errors.contains("standard output: No space left on device"), "\(outcome.errors)")
  }

  /// A reader that is slow, and one that reads nothing for a while, get all there is.
  @Test func slowReadersGetEverything() async throws {
    let command = "\(Self.hosts) --min-bytes 4 --max-bytes 512 --factor 2 --iterations 3 --algorithm all --format csv"
    let arguments = ["-c", "\(Tool.path) \(command) | (sleep 1; while read -r line; do echo \"$line\"; done)"]
    let outcome = try await Running("/bin/bash", arguments).outcome(limit: 90)
    let lines = outcome.output.split(separator: "\n")
    #expect(outcome.status == 0 && lines.count > 8 * 10, "\(lines.count) lines; \(outcome.errors)")
    #expect(Set(lines.map { $0.count { $0 == "," } }).count == 1, "lines are torn: \(outcome.output)")
  }

  @Test(arguments: [SIGKILL, SIGTERM]) func nothingOutlivesTheLauncher(_ signal: Int32) async throws {
    let running = try Running(
      Tool.path, "\(Self.hosts) --sizes 64K --iterations 10000000 --timeout 300".split(separator: " ").map(String.init))
    try #require(try await becomesTrue(within: 30) { running.output.contains("median") }, "\(running.errors)")
    let agents = Processes.children(of: running.pid)
    let ranks = agents.flatMap { Processes.children(of: $0) }
    try #require(agents.count == 1 && ranks.count == 2)
    let secret = try #require(Processes.variable("TUTTI_SECRET", of: ranks[0]))
    #expect(secret.count == 64)
    for pid in agents + ranks + [running.pid] {
      let words = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") ?? Data()
      #expect(!words.isEmpty && !String(decoding: words, as: UTF8.self).contains(secret))
    }
    kill(running.pid, signal)
    #expect(try await becomesTrue(within: 10) { !(agents + ranks).contains(where: Processes.isRunning) })
    #expect(try await becomesTrue(within: 10) { !running.isRunning })
  }

  @Test func aKilledAgentEndsTheJob() async throws {
    let running = try Running(
      Tool.path, "\(Self.hosts) --sizes 64K --iterations 10000000 --timeout 300".split(separator: " ").map(String.init))
    try #require(try await becomesTrue(within: 30) { running.output.contains("median") }, "\(running.errors)")
    let agent = try #require(Processes.children(of: running.pid).first)
    let ranks = Processes.children(of: agent)
    kill(agent, SIGKILL)
    let outcome = try await running.outcome(limit: 20)
    #expect(outcome.status == 1)
    #expect(outcome.errors.contains("host localhost is lost: its connection ended (collbench was ended by signal 9)"))
    #expect(try await becomesTrue(within: 10) { !ranks.contains(where: Processes.isRunning) }, "\(ranks)")
  }
}
