import ArgumentParser
import Testing

@testable import DataParallelTrainer

/// What the command line makes of what is typed.
@Suite struct OptionTests {
  private func configuration(_ arguments: String) throws -> TrainConfiguration {
    try TrainConfiguration(TrainOptions.parse(arguments.split(separator: " ").map(String.init)))
  }

  @Test func defaultsFollowTheModel() throws {
    let digits = try configuration("")
    #expect(digits.optimizer == .sgd && digits.learningRate == 0.1 && digits.length == .epochs(40) && digits.clipNorm == 0)
    #expect(digits.steps(stepsPerEpoch: 46) == 1840 && digits.warmup(steps: 1840) == 50)
    let text = try configuration("--model text")
    #expect(text.optimizer == .adamw && text.learningRate == 0.003 && text.length == .steps(500) && text.clipNorm == 1)
    let other = try configuration("--optimizer adamw")
    #expect(other.learningRate == 0.003 && other.weightDecay == 0.1)
    #expect(try configuration("--steps 30").warmup(steps: 30) == 3)
    #expect(try configuration("--hidden 128,64").hidden == [128, 64])
    #expect(try configuration("--inject nan:1:2:3").injection == .nan(rank: 1, step: 2, parameter: 3))
  }

  @Test func communicationOptions() throws {
    let options = try TrainOptions.parse(["--bucket-mb", "0.5", "--wire-dtype", "bfloat16", "--algorithm", "ring"])
    let synchronizer = options.job.synchronizerOptions(overlaps: false, shards: true)
    #expect(synchronizer.bucketBytes == 1 << 19 && synchronizer.firstBucketBytes == 1 << 20)
    #expect(synchronizer.wireType == .bfloat16 && synchronizer.algorithm == "ring" && !synchronizer.overlaps)
    #expect(synchronizer.sharding == .sharded && synchronizer.reduction == .sum)
  }

  static let bad: [(arguments: String, says: String)] = [
    ("--ranks 0", "--ranks 0: must be from 1 to 512"), ("--ranks two", "'two'"), ("--model cats", "'digits' and 'text'"),
    ("--transport rdma", "auto, shm, tcp"), ("--algorithm rign", "ring"),
    ("--wire-dtype float8", "float32, bfloat16, float16"),
    ("--bucket-mb 0", "--bucket-mb 0.0"), ("--bucket-mb nan", "--bucket-mb"), ("--timeout 0", "--timeout"),
    ("--steps 5 --epochs 5", "exclude each other"), ("--steps 0", "--steps 0"), ("--batch 0", "--batch 0"),
    ("--accumulate 0", "--accumulate"), ("--learning-rate -1", "--learning-rate"), ("--momentum 1", "--momentum"),
    ("--optimizer adamw --momentum 0.5", "--optimizer sgd"), ("--nesterov --momentum 0", "--nesterov needs"),
    ("--hidden 12,x", "--hidden"), ("--hidden 0", "--hidden"), ("--width 64", "not for --model digits"),
    ("--model text --hidden 64", "not for --model text"), ("--model text --width 100 --heads 3", "--heads 3: must divide"),
    ("--dtype float64 --wire-dtype float16", "--wire-dtype float16 is for --dtype float32"),
    ("--resume", "--resume needs the --checkpoint folder"), ("--checkpoint-every 5", "needs a --checkpoint folder"),
    ("--target-accuracy 2", "--target-accuracy 2.0: must be from 0.0 to 1.0"), ("--inject later", "--inject"),
    ("--frobnicate", "--frobnicate"), ("overlap --ranks 1", "nobody to communicate with"),
    ("overlap --width 100", "--heads 8"),
    ("sample --checkpoint x --count 0", "--count 0"), ("--output=", "--output"),
  ]

  @Test(arguments: bad.indices) func badValues(index: Int) throws {
    let (arguments, says) = Self.bad[index]
    do {
      _ = try TrainerCommand.parseAsRoot(arguments.split(separator: " ").map(String.init))
      Issue.record("accepted: \(arguments)")
    } catch {
      #expect(TrainerCommand.exitCode(for: error) == .validationFailure)
      let message = TrainerCommand.message(for: error)
      #expect(message.contains(says) && !message.contains("\n"), "\(message)")
    }
  }

  /// Ranks that mpirun started: one job of two, or an error that says what is missing; never two jobs of one rank each.
  @Test func ranksOfMPIRunAreOneJob() async throws {
    func variables(_ rank: Int) -> [String: String] {
      ["OMPI_COMM_WORLD_RANK": "\(rank)", "OMPI_COMM_WORLD_SIZE": "2"]
    }
    let alone = try await Tool.run("--steps 2", environment: variables(1))
    #expect(alone.status == 1 && alone.errors.contains("rank 1 of 2") && alone.errors.contains("TUTTI_RENDEZVOUS"))
    let outcomes = try await Tool.runRanks(["--steps 2", "--steps 2"]) { rank, _ in variables(rank) }
    for outcome in outcomes { #expect(outcome.status == 0, "\(outcome.errors)") }
    #expect(outcomes[0].errors.contains("2 ranks") && outcomes[1].output == "")
  }

  @Test func processesEndWithTheirStatus() async throws {
    let bad = try await Tool.run("--ranks 0")
    #expect(bad.status == 64 && bad.output == "" && bad.errors == "--ranks 0: must be from 1 to 512.\n")
    let data = try await Tool.run("--ranks 2 --data /nonexistent")
    #expect(data.status == 1 && data.errors.hasPrefix("/nonexistent: no such file or folder"))
    #expect(data.errors.components(separatedBy: "/nonexistent: ").count == 2, "said once")
    let rank = try await Tool.run("--ranks 2", environment: ["TUTTI_RANK": "0"])
    #expect(rank.status == 1 && rank.errors.contains("unset TUTTI_RANK"))
    // A shell may have a RANK of its own, and srun may have started one process that starts the ranks of its host.
    let others = ["RANK": "7", "OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1"]
    let started = try await Tool.run("--ranks 2 --steps 2", environment: others)
    #expect(started.status == 0 && started.errors.contains("2 ranks"), "\(started.errors)")
    let help = try await Tool.run("--help")
    #expect(help.status == 0 && help.output.contains("--ranks 2") && !help.output.contains("--launched"))
  }
}
