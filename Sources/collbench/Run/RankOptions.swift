import ArgumentParser
import Tutti
import TuttiLaunch

/// How many processes one `--ranks` may start.
let ranksMax = 512

/// The flags by which every command that runs in a job comes to its ranks.
struct RankOptions: ParsableArguments {
  @Option(help: "Start this many local processes (1 to \(ranksMax)). Without it: one rank of whatever launched collbench.")
  var ranks: Int?

  @OptionGroup(title: "Hosts") var placement: HostOptions

  @Flag(help: "Connections over TCP speak TLS 1.3, as with TUTTI_TLS=1 (docs/SECURITY.md).")
  var tls = false

  /// collbench sets this when it starts itself: this process is one of the ranks that `--ranks` or `--hosts` asks for.
  @Flag(help: .private)
  var launched = false

  func validate() throws {
    if let ranks, !(1...ranksMax).contains(ranks) {
      throw ValidationError("--ranks \(ranks): must be from 1 to \(ranksMax).")
    }
    if !launched { _ = try placement.list(ranks: ranks) }
  }
}

/// Refuses a limit of time that is none.
func checkTimeout(_ seconds: Double) throws {
  guard seconds > 0, seconds <= 1e6 else {
    throw ValidationError("--timeout \(seconds): must be more than 0 and at most 1000000 seconds.")
  }
}

/// Joins as a rank of whatever started this process, for `body`, which closes the communicator.
///
/// - Throws: `ExitCode` where this rank cannot join, once it has said why; and what `body` throws.
func joined(options: CommunicatorOptions, _ body: (Communicator) throws -> Void) throws {
  Lifeline.hold()
  StandardStream.outliveReaders()
  let communicator: Communicator
  do { communicator = try Communicator.join(options: options) } catch {
    Terminal.error(errorLine(rank: launchedRank, "\(error)"))
    throw ExitCode.failure
  }
  try body(communicator)
}

extension Communicator {
  /// Says what failed on this rank, and ends the others where they may still be waiting for it, because the failure is this
  /// program's own.
  func fail(_ error: any Error) {
    Terminal.error(errorLine(rank: "\(rank)", "\(error)"))
    if !(error is TuttiError) { abort("collbench failed on rank \(rank): \(error)") }
  }
}
