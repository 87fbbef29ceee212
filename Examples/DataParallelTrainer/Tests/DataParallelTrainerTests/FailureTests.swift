import Checkpoints
import Foundation
import Testing

/// What goes wrong ends every rank, with an error that says who and what; nothing that was saved is lost.
@Suite struct FailureTests {
  /// A rank is killed; the run goes on from its checkpoint with fewer ranks, as if nothing had happened.
  @Test(arguments: ["", "--zero"]) func killedRank(option: String) async throws {
    let (folder, output, reference) = (try TemporaryFolder(), try TemporaryFolder(), try TemporaryFolder())
    let run = "--steps 60 --hidden 32 --evaluate-every 100 --dtype float64 --optimizer adamw \(option)"
    let saved = "\(run) --checkpoint \(folder.path) --checkpoint-every 20 --output \(output.path)"
    let killed = try await Tool.run("\(saved) --ranks 3 --inject kill:1:50")
    #expect(killed.status == 1)
    // What the first one noticed, on both that are left.
    let lines = killed.errors.split(separator: "\n").filter { $0.contains(": rank 1 (pid ") }
    #expect(lines.count == 2, "\(killed.errors)")
    #expect(killed.errors.contains("was ended by signal 9") && killed.errors.contains("--resume"))
    #expect(killed.errors.contains("The last checkpoint is of step 40"))

    #expect(try await Tool.run("\(run) --output \(reference.path)").status == 0)
    for ranks in ["", "--ranks 2"] {
      let copy = try TemporaryFolder()
      try FileManager.default.copyItem(
        atPath: "\(folder.path)/step-00000040", toPath: "\(copy.path)/step-00000040")
      let resumed = try await Tool.run(
        "\(run) --checkpoint \(copy.path) --checkpoint-every 20 --output \(output.path) --resume \(ranks)")
      #expect(resumed.status == 0, "\(resumed.errors)")
      #expect(CheckpointFolder(path: copy.path).steps == [40, 60])
      let (found, expected) = (try losses(output), try losses(reference))
      #expect(found.map(\.step) == Array(1...60))
      for (one, other) in zip(expected, found) {
        #expect(abs(one.loss - other.loss) <= 1e-10 * one.loss, "step \(one.step)")
      }
    }
  }

  @Test func foreignCheckpoint() async throws {
    let folder = try TemporaryFolder()
    let run = "--steps 5 --checkpoint \(folder.path) --ranks 2"
    #expect(try await Tool.run("\(run) --hidden 16").status == 0)
    let before = try CheckpointFolder(path: folder.path).latest().manifest
    for (arguments, says) in [
      ("\(run) --hidden 32 --resume", "its hidden layers is 16, not 32"),
      ("\(run) --hidden 32", "its hidden layers is 16, not 32"),
      ("\(run) --hidden 16 --seed 2 --resume", "its seed is 1, not 2"),
      ("\(run) --hidden 16 --optimizer adamw --resume", "its optimizer keeps momentum, not mean of gradients"),
      ("\(run) --hidden 16", "has checkpoints up to step 5 already"),
    ] {
      let outcome = try await Tool.run(arguments)
      #expect(outcome.status == 1 && outcome.output == "")
      #expect(outcome.errors.contains(says) && outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
    }
    #expect(try CheckpointFolder(path: folder.path).latest().manifest == before)
  }

  /// A model that has diverged is an error, said once, and replaces no checkpoint.
  @Test func divergence() async throws {
    let (folder, output) = (try TemporaryFolder(), try TemporaryFolder())
    let run =
      "--ranks 2 --learning-rate 100 --warmup 0 --steps 60 --evaluate-every 1 --checkpoint-every 1 --checkpoint-keep 1"
    let outcome = try await Tool.run("\(run) --checkpoint \(folder.path) --output \(output.path)")
    #expect(outcome.status == 1)
    #expect(outcome.errors.components(separatedBy: "diverged").count == 2, "\(outcome.errors)")
    let step = try #require(CheckpointFolder(path: folder.path).steps.last)
    let kept = try losses(output)
    #expect(step < 60 && kept.allSatisfy(\.loss.isFinite))
  }

  /// What an earlier run has written is not replaced.
  @Test func occupiedOutput() async throws {
    let folder = try TemporaryFolder()
    #expect(try await Tool.run("--steps 5 --hidden 8 --output \(folder.path)").status == 0)
    let before = try losses(folder)
    let again = try await Tool.run("--ranks 2 --steps 5 --hidden 8 --output \(folder.path)")
    #expect(again.status == 1 && again.errors.contains("has the losses of another run"))
    #expect(again.errors.split(separator: "\n").count == 1, "\(again.errors)")
    let after = try losses(folder)
    #expect(after.map(\.loss) == before.map(\.loss))
  }

  @Test func fewerStepsThanWereMade() async throws {
    let folder = try TemporaryFolder()
    let run = "--hidden 8 --checkpoint \(folder.path)"
    #expect(try await Tool.run("\(run) --steps 5").status == 0)
    let outcome = try await Tool.run("\(run) --ranks 2 --steps 3 --resume")
    #expect(
      outcome.status == 1 && outcome.errors.contains("is of step 5, and the run has only 3 steps"), "\(outcome.errors)")
  }

  @Test func noCheckpoint() async throws {
    let folder = try TemporaryFolder()
    let outcome = try await Tool.run("--ranks 2 --checkpoint \(folder.path) --resume")
    #expect(outcome.status == 1)
    #expect(outcome.errors.contains("\(folder.path): has no checkpoint to go on from"))
  }

  @Test func disagreement() async throws {
    let outcomes = try await Tool.runRanks(["--steps 5 --learning-rate 0.1", "--steps 5 --learning-rate 0.2"])
    for outcome in outcomes {
      #expect(outcome.status == 1)
      #expect(outcome.errors.contains("--learning-rate: 0.1 on rank 0, 0.2 on rank 1"), "\(outcome.errors)")
    }
  }

  /// Trains on equally many samples, but not the same ones on both ranks.
  @Test func otherData() async throws {
    let (one, other) = (try TinyText(), try TinyText(word: "half"))
    let outcomes = try await Tool.runRanks(
      [one, other].map { "--steps 5 \(TrainingTests.tinyModel) --data \($0.path)" })
    for outcome in outcomes {
      #expect(outcome.status == 1 && outcome.errors.contains("ranks disagree about training data"), "\(outcome.errors)")
    }
  }

  @Test(arguments: ["", "--zero", "--no-overlap"]) func notANumber(option: String) async throws {
    let outcome = try await Tool.run("--ranks 2 --steps 9 --inject nan:1:3:2 \(option)")
    #expect(outcome.status == 1)
    #expect(
      outcome.errors.contains("the gradient of 'layers.1.weight' is infinite or not a number on rank 1"), "\(outcome.errors)"
    )
  }

  /// The ranks end with their launcher, even when it has no chance to end them.
  @Test func killedLauncher() async throws {
    let running = try Running("--ranks 2 --steps 100000000")
    var children: [pid_t] = []
    let end = ContinuousClock.now + .seconds(20 * Tool.patience)
    while children.count < 2, ContinuousClock.now < end {
      try await Task.sleep(for: .milliseconds(10))
      children = Self.children(of: running.pid)
    }
    #expect(children.count == 2)
    kill(running.pid, SIGKILL)
    _ = try await running.outcome(limit: 5)
    let limit = ContinuousClock.now + .seconds(10 * Tool.patience)
    while children.contains(where: Self.isAlive), ContinuousClock.now < limit {
      try await Task.sleep(for: .milliseconds(10))
    }
    #expect(!children.contains(where: Self.isAlive))
  }

  /// The kernel lists children by the thread that started them, and any thread of the launcher may have.
  private static func children(of parent: pid_t) -> [pid_t] {
    let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(parent)/task")) ?? []
    return threads.flatMap { thread in
      let children = (try? String(contentsOfFile: "/proc/\(parent)/task/\(thread)/children", encoding: .utf8)) ?? ""
      return children.split(separator: " ").compactMap { pid_t($0) }
    }
  }

  /// Whether there is such a process that is not a zombie.
  private static func isAlive(_ pid: pid_t) -> Bool {
    guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return false }
    return !text[(text.lastIndex(of: ")") ?? text.startIndex)...].hasPrefix(") Z")
  }
}
