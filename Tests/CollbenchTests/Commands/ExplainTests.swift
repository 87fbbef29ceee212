import Foundation
import Testing

/// `collbench explain`, as a user runs it. What times are predicted is tested where they are.
@Suite struct ExplainTests {
  private static let topologies = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().appending(path: "Topologies").path

  @Test func tableIsTheDefault() async throws {
    let outcome = try await Tool.run("explain all-reduce --bytes 16M --topology \(Self.topologies)/ethernet-4.yaml")
    #expect(outcome.status == 0)
    #expect(outcome.errors == "")
    #expect(outcome.output.hasPrefix("# all-reduce, 16777216 bytes, 8 ranks, 4 groups of 2 (host)\n"))
    #expect(outcome.output.contains("\nring "))
    #expect(outcome.output.contains("host link  <- auto\n") && outcome.output.contains("\n# auto: "))
  }

  @Test func jsonHasEveryCandidate() async throws {
    let file = "\(Self.topologies)/ethernet-4.yaml"
    let outcome = try await Tool.run("explain all-reduce --bytes 16M --topology \(file) --format json --bits any")
    #expect(outcome.status == 0)
    let object = try parse(outcome.output)
    #expect(object["collective"] as? String == "all-reduce" && object["bytes"] as? Int == 16 << 20)
    #expect(object["ranks"] as? Int == 8 && object["levels"] as? [String] == ["host", "rank"])
    #expect(((object["topology"] as? Object)?["hash"] as? String)?.count == 32)
    let candidates = try #require(object["candidates"] as? [Object])
    let ring = try #require(candidates.first { $0["name"] as? String == "ring" })
    #expect(ring["boundBy"] as? String == "host link" && ring["defined"] as? Bool == true)
    // 1.75 times 16 MiB at 1 Gb/s.
    #expect((235_000.0..<260_000).contains(ring["timeMicroseconds"] as? Double ?? 0))
    #expect((ring["linkMicroseconds"] as? [Double])?.count == 2)
    let chosen = try #require(object["chosen"] as? String)
    #expect(candidates.contains { $0["name"] as? String == chosen })
    #expect((object["reason"] as? String)?.isEmpty == false)
  }

  @Test func hostsNeedNoFile() async throws {
    let several = try parse(try await Tool.run("explain all-reduce --bytes 64K --ranks 5 --hosts 2 --format json").output)
    #expect(several["levels"] as? [String] == ["host", "rank"] && several["topology"] is NSNull)
    let one = try await Tool.run("explain all-reduce --bytes 64K --ranks 4")
    #expect(one.output.contains("two-shot") && !one.output.contains("hierarchical"))
    let apart = try parse(try await Tool.run("explain gather --bytes 8 --ranks 3 --hosts 3 --format json").output)
    #expect(apart["levels"] as? [String] == ["network"] && apart["chosen"] as? String == "direct")
    let barrier = try await Tool.run("explain barrier --ranks 8 --hosts 2")
    #expect(barrier.status == 0 && barrier.output.hasPrefix("# barrier, 0 bytes, 8 ranks"))
  }

  @Test(arguments: [
    ("all-reduc --bytes 8 --ranks 2", ["unknown collective 'all-reduc'", "Did you mean 'all-reduce'?"]),
    ("all-reduce --ranks 2", ["--bytes"]),
    ("all-reduce --bytes 8x --ranks 2", ["--bytes: '8x' is not a size", "8, 4K, 2M, 1G"]),
    ("barrier --bytes 8 --ranks 2", ["barrier carries no data: leave --bytes out"]),
    ("all-reduce --bytes 8", ["--topology FILE", "--ranks N"]),
    ("all-reduce --bytes 8 --hosts 2", ["--topology FILE", "--ranks N"]),
    ("all-reduce --bytes 8 --ranks 0", ["--ranks 0", "1 to 65536"]),
    ("all-reduce --bytes 8 --ranks 2 --hosts 3", ["--hosts 3", "1 to 2"]),
    ("all-reduce --bytes 8 --ranks 2 --topology x.yaml", ["leave --ranks, --hosts and --processors out"]),
    ("all-reduce --bytes 8 --topology /nonexistent.yaml", ["/nonexistent.yaml: No such file or directory"]),
    ("all-reduce --bytes 8 --topology /tmp", ["/tmp: Is a directory"]),
    ("barrier --ranks 2 --format jsn", ["unknown format 'jsn'", "Did you mean 'json'?"]),
    ("barrier --ranks 2 --format table --json", ["--json and --format table contradict each other"]),
  ])
  func mistakesAreRefused(_ arguments: String, _ says: [String]) async throws {
    let outcome = try await Tool.run("explain " + arguments, limit: 20)
    #expect(outcome.status == 1 || outcome.status == 64)
    #expect(outcome.output == "")
    for text in says { #expect(outcome.errors.contains(text), "\(outcome.errors)") }
  }

  @Test func formatIsChosenAsElsewhere() async throws {
    let command = "explain barrier --ranks 8 --hosts 2"
    let json = try await Tool.run(command + " --format json")
    #expect(json.status == 0)
    #expect(try parse(json.output)["collective"] as? String == "barrier")
    for arguments in [" --json", " --json --format json"] {
      let same = try await Tool.run(command + arguments)
      #expect(same.output == json.output)
    }
    let table = try await Tool.run(command + " --format table")
    let plain = try await Tool.run(command)
    #expect(table.status == 0 && table.output == plain.output)
  }

  @Test func helpHasExamples() async throws {
    let outcome = try await Tool.run("explain --help")
    #expect(outcome.status == 0)
    #expect(outcome.output.contains("collbench explain all-reduce --bytes 16M --topology"))
  }
}
