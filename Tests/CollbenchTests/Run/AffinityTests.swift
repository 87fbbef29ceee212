import Foundation
import Testing

/// `TUTTI_CPU_AFFINITY`, and ranks that start with a part of the processors, as a user sees them.
@Suite(.serialized) struct AffinityTests {
  /// The processors that a process or one of its threads may use: its `Cpus_allowed_list`.
  static func allowed(_ process: String = "self") -> [Int] {
    let status = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") } ?? ""
    return (line.split(whereSeparator: \.isWhitespace).last ?? "").split(separator: ",").flatMap { part in
      let ends = part.split(separator: "-").compactMap { Int($0) }
      return ends.isEmpty ? [] : Array(ends[0]...ends[ends.count - 1])
    }
  }

  static let own = allowed()
  static let hasTwo: Bool = own.count >= 2 || ProcessInfo.processInfo.environment["TUTTI_REQUIRE_ALL_TESTS"] == "1"

  /// The processors of a process's threads by the threads' names; that of the main thread under `main`.
  private func threads(of pid: pid_t) -> [String: [Int]] {
    let folder = "/proc/\(pid)/task"
    var found: [String: [Int]] = [:]
    for thread in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
      let name = (try? String(contentsOfFile: "\(folder)/\(thread)/comm", encoding: .utf8)) ?? ""
      found[thread == "\(pid)" ? "main" : name.trimmingCharacters(in: .newlines)] = Self.allowed("\(pid)/task/\(thread)")
    }
    return found
  }

  private func benchmark(_ affinity: String) throws -> Running {
    try Running(
      Tool.path, "all-reduce --ranks 2 --sizes 64K --iterations 1000000 --no-check".split(separator: " ").map(String.init),
      environment: ["TUTTI_CPU_AFFINITY": affinity])
  }

  /// The calling thread is confined; the service thread, which serves all communicators of the process, is not.
  @Test(.enabled(if: hasTwo, "needs two processors"), arguments: ["auto", "lists"])
  func ranksAreConfined(kind: String) async throws {
    let (first, last) = (Self.own[0], Self.own[Self.own.count - 1])
    let running = try benchmark(kind == "auto" ? "auto" : "\(first);\(last)")
    defer { kill(running.pid, SIGTERM) }
    var seen: [[String: [Int]]] = []
    let isDone = try await becomesTrue(within: 20) {
      seen = Processes.children(of: running.pid).sorted().map { threads(of: $0) }
      return seen.count == 2 && seen.allSatisfy { ($0["main"] ?? Self.own).count < Self.own.count }
    }
    #expect(isDone, "\(seen) \(running.errors)")
    guard isDone else { return }
    let masks = seen.compactMap { $0["main"] }
    #expect(
      kind == "auto"
        ? Set(masks.joined()) == Set(Self.own) && masks.joined().count == Self.own.count : masks == [[first], [last]])
    #expect(seen.allSatisfy { $0["tutti-service"] == Self.own }, "\(seen)")
    #expect(running.errors == "", "nothing to say")
  }

  @Test(arguments: ["auto", "none", "", "first", "first;first"])
  func resultsAreRight(affinity: String) async throws {
    let value = affinity.replacingOccurrences(of: "first", with: "\(Self.own[0])")
    for ranks in [1, 2] {
      let outcome = try await Tool.run(
        "all-reduce --ranks \(ranks) --sizes 8,64K --iterations 20 --format json", environment: ["TUTTI_CPU_AFFINITY": value]
      )
      #expect(outcome.status == 0, "\(outcome.errors)")
      #expect(try results(outcome.output).allSatisfy { $0["wrongElements"] as? Int == 0 })
    }
  }

  @Test(arguments: ["shm", "tcp"])
  func oneProcessorForAll(transport: String) async throws {
    let arguments =
      "-c \(Self.own[0]) \(Tool.path) all-reduce --ranks 2 --transport \(transport) --sizes 8,64K --iterations 20 --format json"
    let running = try Running(
      "/usr/bin/taskset", arguments.split(separator: " ").map(String.init), environment: ["TUTTI_CPU_AFFINITY": "auto"])
    let outcome = try await running.outcome(limit: 60)
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(try results(outcome.output).allSatisfy { $0["wrongElements"] as? Int == 0 })
    // Once, not once a rank.
    let notices = outcome.errors.split(separator: "\n")
    #expect(notices.count == 1 && notices.first?.contains("2 ranks share 1 processor") == true, "\(outcome.errors)")
  }

  @Test(arguments: [
    ("garbage", "is not auto, none or lists of processors"), ("0;", "is not auto, none or lists of processors"),
    ("9999", "names processor 9999"), ("8000", "names processor 8000"), ("first;8000", "names processor 8000 for rank 1"),
  ])
  func badValues(value: String, says: String) async throws {
    let value = value.replacingOccurrences(of: "first", with: "\(Self.own[0])")
    let outcome = try await Tool.run("all-reduce --ranks 2 --sizes 8", environment: ["TUTTI_CPU_AFFINITY": value], limit: 20)
    #expect(outcome.status == 1 && outcome.output == "")
    for rank in 0..<2 {
      let lines = outcome.errors(ofRank: rank)
      #expect(
        lines.count == 1 && lines.first?.contains("TUTTI_CPU_AFFINITY=\"\(value)\" \(says)") == true, "\(outcome.errors)")
    }
  }

  @Test func ranksMustAgree() async throws {
    let name = UUID().uuidString
    let ranks = try (0..<2).map { rank in
      try Running(
        Tool.path, ["all-reduce", "--sizes", "8"],
        environment: [
          "TUTTI_RANK": "\(rank)", "TUTTI_SIZE": "2", "TUTTI_RENDEZVOUS": "unix:@tutti-\(name)", "TUTTI_SECRET": name,
          "TUTTI_CPU_AFFINITY": rank == 0 ? "auto" : "\(Self.own[0])",
        ])
    }
    for running in ranks {
      let outcome = try await running.outcome(limit: 20)
      #expect(outcome.status == 1)
      #expect(outcome.errors.contains("setting TUTTI_CPU_AFFINITY must be equal on all ranks"), "\(outcome.errors)")
    }
  }

  @Test func listSaysThem() async throws {
    let outcome = try await Tool.run("list --format json")
    let processors = try #require(try parse(outcome.output)["processors"] as? Object)
    #expect(Set(processors.keys) == ["allowed", "count", "family", "quota", "numaNodes"])
    #expect(processors["count"] as? Int == Self.own.count)
    let list = try #require(processors["allowed"] as? String)
    let nodes = try #require(processors["numaNodes"] as? [Object])
    #expect(nodes.allSatisfy { Set($0.keys) == ["number", "processors"] })
    let table = try await Tool.run("list")
    #expect(table.output.contains("processors\n  \(list) (\(Self.own.count))"), "\(table.output)")
    #expect(table.output.contains("quota"))
  }
}
