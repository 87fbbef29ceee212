import Foundation
import Testing

/// `collbench plan`, as a user runs it. What the drawings hold is tested where they are made.
@Suite struct PlanTests {
  @Test func textIsTheDefault() async throws {
    let outcome = try await Tool.run("plan all-reduce --algorithm ring --ranks 3")
    #expect(outcome.status == 0)
    #expect(outcome.errors == "")
    #expect(outcome.output.hasPrefix("all-reduce ring, 3 ranks\n3 chunks, 1 channel, 12 messages in 4 rounds\n"))
    #expect(outcome.output.contains("     2      1  reduce output[2] = slot 0 + input[2] (channel 0)\n"))
  }

  @Test(arguments: [("dot", "digraph \"reduce binomial, 5 ranks, root 2\" {"), ("svg", "<?xml version=\"1.0\"")])
  func drawingsGoToAFile(_ format: String, _ start: String) async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "collbench-plan-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "drawing").path
    let command = "plan reduce --algorithm binomial --ranks 5 --root 2 --format \(format)"
    let written = try await Tool.run(command + " --output \(file)")
    #expect(written.status == 0)
    #expect(written.output == "")
    let text = try String(contentsOfFile: file, encoding: .utf8)
    #expect(text.hasPrefix(start))
    let printed = try await Tool.run(command)
    #expect(printed.output == text, "the same on standard output")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["drawing"], "nothing else is left")
  }

  @Test(arguments: [
    ("all-reduc --algorithm ring --ranks 2", ["unknown collective 'all-reduc'", "Did you mean 'all-reduce'?"]),
    ("all-reduce --algorithm rign --ranks 2", ["unknown all-reduce algorithm 'rign'", "Did you mean 'ring'?", "two-shot"]),
    ("all-reduce --ranks 2", ["--algorithm"]),
    ("all-reduce --algorithm ring", ["--ranks"]),
    ("all-reduce --algorithm ring --ranks 0", ["--ranks 0", "1 to 64"]),
    ("all-reduce --algorithm ring --ranks 65", ["--ranks 65", "1 to 64"]),
    ("all-reduce --algorithm ring --ranks 2 --root 0", ["all-reduce has no root", "broadcast, reduce, gather, scatter"]),
    ("gather --algorithm chain --ranks 4 --root 4", ["--root 4", "0 to 3"]),
    ("gather --algorithm chain --ranks 4 --format sgv", ["unknown format 'sgv'", "Did you mean 'svg'?"]),
    ("gather --algorithm chain --ranks 4 --output /nonexistent/x.svg", ["/nonexistent", "does not exist"]),
  ])
  func mistakesAreRefused(_ arguments: String, _ says: [String]) async throws {
    let outcome = try await Tool.run("plan " + arguments, limit: 20)
    #expect(outcome.status == 1 || outcome.status == 64)
    #expect(outcome.output == "")
    for text in says { #expect(outcome.errors.contains(text), "\(outcome.errors)") }
  }
}
