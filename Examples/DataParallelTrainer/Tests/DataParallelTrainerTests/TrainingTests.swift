import Checkpoints
import Foundation
import Testing

/// Training as a user sees it: processes, files, and numbers that do not depend on how the work was divided.
@Suite struct TrainingTests {
  static let short = "--steps 40 --evaluate-every 100"
  static let tinyModel = "--model text --width 16 --heads 2 --layers 1 --context 16"

  /// The losses of a short run.
  private func losses(_ arguments: String) async throws -> [Double] {
    let folder = try TemporaryFolder()
    let outcome = try await Tool.run("\(Self.short) \(arguments) --output \(folder.path)")
    try #require(outcome.status == 0, "\(outcome.errors)")
    return try DataParallelTrainerTests.losses(folder).map(\.loss)
  }

  @Test func overlapChangesNoBit() async throws {
    let overlapped = try await losses("--ranks 2 --first-bucket-mb 0.01 --bucket-mb 0.05")
    #expect(overlapped.count == 40)
    #expect(try await losses("--ranks 2 --first-bucket-mb 0.01 --bucket-mb 0.05 --no-overlap") == overlapped)
    #expect(try await losses("--ranks 2 --first-bucket-mb 0.01 --bucket-mb 0.05 --zero") == overlapped)
  }

  /// Ranks of an agent, which is on this host and needs no ssh.
  @Test func ranksOfAHostfileFollowLocalOnes() async throws {
    let folder = try TemporaryFolder()
    let hosts = "\(folder.path)/hosts"
    try "localhost slots=2\n".write(toFile: hosts, atomically: true, encoding: .utf8)
    #expect(try await losses("--hostfile \(hosts)") == losses("--ranks 2"))
  }

  /// The same global batch on any number of ranks: sums are rounded in another order, and that is all.
  @Test(arguments: ["--dtype float64", "--dtype float32", "--dtype float64 \(tinyModel)"])
  func ranksFollowOneProcess(arguments: String) async throws {
    let text = try TinyText()
    let arguments = arguments + (arguments.contains("text") ? " --data \(text.path)" : "")
    let reference = try await losses(arguments)
    let tolerance = arguments.contains("float64") ? 1e-10 : 1e-4
    for ranks in arguments == "--dtype float64" ? ["--ranks 3 --accumulate 2", "--ranks 4 --zero"] : ["--ranks 3"] {
      let found = try await losses("\(arguments) \(ranks)")
      #expect(found.count == reference.count)
      for (one, other) in zip(reference, found) { #expect(abs(one - other) <= tolerance * abs(one), "\(ranks)") }
    }
  }

  @Test(arguments: ["--wire-dtype bfloat16", "--optimizer adamw --clip-norm 0.5", "--algorithm ring --nesterov"])
  func optionsTrain(arguments: String) async throws {
    let losses = try await losses("--ranks 2 \(arguments)")
    #expect(losses[39] < losses[0] / 2)
  }

  @Test func digitsReachTheirAccuracy() async throws {
    let outcome = try await Tool.run("--ranks 2 --epochs 6 --hidden 64 --target-accuracy 0.95")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("loss (nats)") && outcome.output.contains("accuracy 9"))
    let missed = try await Tool.run("\(Self.short) --target-accuracy 1")
    #expect(missed.status == 1 && missed.errors.contains("below the 1.0 of --target-accuracy"))
  }

  @Test func textWritesText() async throws {
    let folder = try TemporaryFolder()
    let text = try TinyText()
    let outcome = try await Tool.run(
      "\(Self.short) \(Self.tinyModel) --data \(text.path) --ranks 2 --checkpoint \(folder.path)")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("unigram entropy"))
    let sample = try await Tool.run("sample --checkpoint \(folder.path) --count 50 --prompt The")
    #expect(sample.status == 0 && sample.output.hasPrefix("The") && sample.output.count == 54, "\(sample.errors)")
    let same = try await Tool.run("sample --checkpoint \(folder.path)/step-00000040 --count 50 --prompt The")
    #expect(same.output == sample.output)
    let unknown = try await Tool.run("sample --checkpoint \(folder.path) --prompt \u{4E2D}")
    #expect(unknown.status == 1 && unknown.errors.contains("is not in the training text's vocabulary"))
  }

  @Test func outputIsComplete() async throws {
    let folder = try TemporaryFolder()
    let outcome = try await Tool.run("\(Self.short) --ranks 2 --output \(folder.path)/new")
    #expect(outcome.status == 0, "\(outcome.errors)")
    func text(_ name: String) throws -> String { try String(contentsOfFile: "\(folder.path)/new/\(name)", encoding: .utf8) }
    #expect(try text("loss.svg").contains("</svg>"))
    let timeline = try text("timeline.svg")
    for rank in ["rank 0", "rank 1"] { #expect(timeline.contains(rank)) }
    let trace = try JSONSerialization.jsonObject(with: Data(try text("trace.json").utf8)) as? [String: Any]
    let events = try #require(trace?["traceEvents"] as? [[String: Any]])
    let kinds = Set(events.compactMap { $0["cat"] as? String })
    #expect(kinds.isSuperset(of: ["forward", "backward", "communication", "waiting", "optimizer"]))
  }
}
