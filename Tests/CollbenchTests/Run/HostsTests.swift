import Foundation
import Testing

/// Whether this machine lets tests make hosts of network namespaces.
enum TestHosts {
  /// Where every test has to run, one that cannot fails instead of being skipped.
  static let canRun: Bool = {
    if ProcessInfo.processInfo.environment["TUTTI_REQUIRE_ALL_TESTS"] == "1" { return true }
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("CapEff:") }
    let capabilities = line.flatMap { UInt64($0.split(whereSeparator: \.isWhitespace).last ?? "", radix: 16) } ?? 0
    // CAP_NET_ADMIN and CAP_SYS_ADMIN: root in a container often lacks them.
    return capabilities & (1 << 12 | 1 << 21) == (1 << 12 | 1 << 21)
  }()
}

/// collbench over several hosts, which `Scripts/test-hosts` makes of network namespaces.
@Suite(.serialized, .enabled(if: TestHosts.canRun, "needs root and network namespaces: run Scripts/test as root"))
struct HostsTests {
  /// Two hosts with two ranks each.
  private func run(_ flags: String, _ command: String, limit: Double) async throws -> Outcome {
    let arguments = "2 --ranks-per-host 2 \(flags) -- \(Tool.path) \(command)"
    let script = Tool.root.appending(path: "Scripts/test-hosts").path
    let running = try Running(script, arguments.split(separator: " ").map(String.init))
    let pid = running.pid
    let outcome = try await running.outcome(limit: limit)
    let left = (try? FileManager.default.contentsOfDirectory(atPath: "/run/netns")) ?? []
    #expect(!left.contains { $0.hasPrefix("tutti-\(pid)-") }, "namespaces stayed behind: \(left)")
    return outcome
  }

  @Test func sharedMemoryInsideTCPBetween() async throws {
    let outcome = try await run(
      "--rate 2gbit", "all-reduce --sizes 8,64K,1M --iterations 5 --algorithm all --format json", limit: 120)
    #expect(outcome.status == 0, "\(outcome.errors)")
    let results = try results(outcome.output)
    let names = Set(results.compactMap { $0["algorithm"] as? String })
    #expect(results.count == 3 * names.count && names.isSuperset(of: RunTests.allReduceAlgorithms))
    #expect(names.isSuperset(of: ["hierarchical", "hierarchical:direct+ring", "leader:binomial+ring", "torus"]))
    for result in results {
      #expect(result["wrongElements"] as? Int == 0)
      #expect(result["ranks"] as? Int == 4)
    }
    let transports = Set(results.compactMap { $0["transport"] as? String })
    #expect(transports.contains("shm+tcp"), "\(transports)")
    #expect(transports.allSatisfy { $0.contains("tcp") }, "\(transports)")
  }

  @Test func aCutLinkGivesEveryRankAnError() async throws {
    let slowness = Tool.slowness
    let outcome = try await run(
      "--cut-after \(3 * slowness) --grace 30", "all-reduce --sizes 64K --iterations 1000000 --timeout \(4 * slowness)",
      limit: 60)
    #expect(outcome.status == 1)
    #expect(outcome.errors.contains("unplugging host 1"))
    for rank in 0..<4 { #expect(!outcome.errors(ofRank: rank).isEmpty, "rank \(rank): \(outcome.errors)") }
  }

  /// The root is done long before a slow network has carried its data, and what the others say meanwhile finds it gone.
  @Test(arguments: ["close", "leave"])
  func whoeverIsDoneMayEnd(manner: String) async throws {
    let script = Tool.root.appending(path: "Scripts/test-hosts").path
    let rank = FaultRanks.program + " tcp auto \(4 << 20) 60 \(manner)"
    let arguments = "3 --rate 200mbit -- \(rank)".split(separator: " ").map(String.init)
    let outcome = try await Running(script, arguments).outcome(limit: 60)
    #expect(outcome.status == 0, "\(outcome.errors)")
    let all = outcome.output + outcome.errors
    #expect(all.components(separatedBy: "has all").count == 4, "\(all)")
  }

  @Test func theFirstFailureIsTheStatus() async throws {
    let script = Tool.root.appending(path: "Scripts/test-hosts").path
    let arguments = ["3", "--grace", "0.5", "--", "bash", "-c", "[ $TUTTI_RANK = 1 ] && exit 7; sleep 600"]
    let outcome = try await Running(script, arguments).outcome(limit: 20)
    #expect(outcome.status == 7)
    #expect(outcome.errors.contains("rank 1 failed with status 7"))
  }

  /// Each rank says which host it was told, and which address it finds there.
  @Test(arguments: [("", [0, 0, 1, 1, 2, 2]), ("--round-robin", [0, 1, 2, 0, 1, 2])])
  func ranksAreOnTheirHosts(flags: String, hosts: [Int]) async throws {
    let script = Tool.root.appending(path: "Scripts/test-hosts").path
    let arguments = ["3", "--ranks-per-host", "2"] + flags.split(separator: " ").map(String.init)
    let words = "host $TUTTI_HOST_INDEX has $(ip -br -4 address show dev eth0)"
    let outcome = try await Running(script, arguments + ["--", "bash", "-c", "echo \"\(words)\""]).outcome(limit: 20)
    #expect(outcome.status == 0, "\(outcome.errors)")
    for (rank, host) in hosts.enumerated() {
      let text = rank == 0 ? outcome.output : outcome.errors
      let line = text.split(separator: "\n").first { $0.hasPrefix(rank == 0 ? "host" : "[rank \(rank)] ") } ?? ""
      #expect(line.contains("host \(host) has ") && line.contains(" 10.77.0.\(host + 1)/24"), "rank \(rank): \(text)")
    }
  }
}
