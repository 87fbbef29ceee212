import ArgumentParser
import Foundation
import Models
import TuttiLaunch

/// The command line: trains a model on many ranks, samples from what it has learnt, and measures how communication hides
/// behind computation.
///
/// Results go to standard output, everything else to standard error. The exit status is 0, 64 for options that make no
/// sense, and 1 for everything that went wrong later.
struct TrainerCommand: ParsableCommand {
  /// Hosts of one job must have the same.
  static let version = "0.1.0"

  static let configuration = CommandConfiguration(
    commandName: "DataParallelTrainer",
    abstract: "Trains models on many ranks; Tutti sums gradients while others are still being computed.",
    discussion: """
      DataParallelTrainer --ranks 2
          handwritten digits on 2 local processes, to 97 % or more in seconds
      DataParallelTrainer --model text --ranks 2 --output run
          a small language model; loss curve and timeline go to the folder 'run'
      DataParallelTrainer --ranks 4 --checkpoint checkpoints      and after an interruption, on any number of ranks:
      DataParallelTrainer --ranks 2 --checkpoint checkpoints --resume
      DataParallelTrainer sample --checkpoint checkpoints --prompt "LOVE, n."
      DataParallelTrainer overlap --ranks 2
          how much of the communication hides behind the computation
      DataParallelTrainer --hostfile hosts
          on the hosts of a file, which are reached over ssh and have this program under the same path
      torchrun --no-python --nproc-per-node 4 DataParallelTrainer
          without --ranks it is one rank of whatever launched it; set TUTTI_SECRET on every rank
      """,
    subcommands: [TrainCommand.self, SampleCommand.self, OverlapCommand.self],
    defaultSubcommand: TrainCommand.self)
}

/// An exit status for which everything has been said already.
struct StatusCode: Error {
  let value: Int32
  init(_ value: Int32) { self.value = value }
}

@main
enum Main {
  static func main() {
    // The launcher on another host has started it, over ssh.
    if CommandLine.arguments.dropFirst() == ["host-agent"] { exit(HostAgent.serve(version: TrainerCommand.version)) }
    // A reader that is gone must not end the training.
    StandardStream.outliveReaders()
    useOneThread()
    takeMatrixEnvironment()
    do {
      var command = try TrainerCommand.parseAsRoot()
      try command.run()
    } catch let status as StatusCode {
      exit(status.value)
    } catch {
      let code = TrainerCommand.exitCode(for: error)
      switch code {
      case .success: TrainerCommand.exit(withError: error)
      case .validationFailure:
        Terminal.error(TrainerCommand.message(for: error))
        exit(code.rawValue)
      default:
        Terminal.error("\(error)")
        exit(1)
      }
    }
  }

  /// Starts this program anew in its place, once, where the library of matrix products needs variables that it reads when it
  /// is loaded.
  private static func takeMatrixEnvironment() {
    let missing = matrixEnvironment()
    if missing.isEmpty { return }
    for (name, value) in missing { setenv(name, value, 1) }
    ThisProgram.restart()
    // Where that is not possible, matrix products are slower, but right.
  }
}
