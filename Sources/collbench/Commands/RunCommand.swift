import ArgumentParser
import Glibc
import TuttiLaunch

/// `collbench run` measures a collective (or send and receive), in one of three roles.
///
/// With `--ranks N` this process is the launcher and measures nothing itself (or, over `inprocess`, has N threads as ranks).
/// Without, it is one rank of whatever started it.
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Measures a collective and checks its results bit for bit. The default command.",
    discussion: """
      Sizes are those of nccl-tests: the bytes of the message, or, for collectives of blocks (reduce-scatter, all-gather, gather, \
      scatter, all-to-all), of all ranks' blocks together. These are rounded down to whole elements for each rank, but to at least \
      one, and the results show the rounded bytes. send-receive sends to the next rank and receives from the one before.
      """)

  @OptionGroup var options: RunOptions

  func validate() throws { _ = try options.configuration() }

  func run() throws {
    let configuration = try options.configuration()
    do {
      if let path = configuration.output { _ = try OutputFile(path: path) }
      try run(configuration)
    } catch let failure as CommandFailure {
      Terminal.error("collbench: \(failure)")
      throw ExitCode.failure
    }
  }

  private func run(_ configuration: RunConfiguration) throws {
    if options.launched { return try runLaunchedRank(configuration, checksMemory: false) }
    guard let ranks = options.ranks else {
      guard configuration.transport != .inProcess else {
        throw CommandFailure("--transport inprocess joins the threads of one process: give --ranks N.")
      }
      guard launchVariables.contains(where: isSet) else { throw CommandFailure(noRanks) }
      return try runLaunchedRank(configuration, checksMemory: true)
    }
    let identity = ["TUTTI_RANK", "TUTTI_SIZE"]
    if let variable = identity.first(where: isSet) {
      throw CommandFailure(
        """
        --ranks starts processes of its own, but \(variable) says that this one is already a rank. Leave --ranks out to join \
        as that rank, or unset \(variable).
        """)
    }
    if configuration.transport == .inProcess { return try runThreads(configuration, ranks: ranks) }
    let status = try launch(configuration, ranks: ranks).status
    if status != 0 { throw ExitCode(status) }
  }

  /// Runs the ranks as processes of this program.
  private func launch(_ configuration: RunConfiguration, ranks: Int) throws(CommandFailure) -> JobOutcome {
    do throws(LaunchError) {
      var job = try JobDescription(
        rankCount: ranks, program: ThisProgram.path, arguments: ThisProgram.arguments(adding: "--launched"))
      // A rank that hangs after another has finished reports its own timeout first.
      job.finishLimit = configuration.timeoutDuration + job.failureGrace
      return try job.run { Terminal.error("collbench: \($0)") }
    } catch { throw CommandFailure("\(error)") }
  }
}

/// Any of these, not empty, says that something launched this process as a rank.
private let launchVariables = ["TUTTI_RANK", "TUTTI_SIZE", "TUTTI_RENDEZVOUS", "RANK", "WORLD_SIZE"]

private func isSet(_ variable: String) -> Bool {
  guard let value = getenv(variable) else { return false }
  return value.pointee != 0
}

private let noRanks = """
  no ranks to run on. Either give --ranks N, to start N processes on this machine, or start collbench once for each rank with \
  TUTTI_RANK, TUTTI_SIZE and TUTTI_RENDEZVOUS (host:port of rank 0) set, or RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, and \
  with the same TUTTI_SECRET on every rank.
  """
