import ArgumentParser

/// `collbench run` measures a collective (or send and receive), in one of three roles.
///
/// With `--ranks N` or `--hosts` this process is the launcher and measures nothing itself (or, over `inprocess`, has N
/// threads as ranks). Without, it is one rank of whatever started it.
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
      // Rank 0 writes it, where it runs.
      if let path = configuration.output, !options.start.placement.areGiven || options.start.launched {
        _ = try OutputFile(path: path)
      }
      try run(configuration)
    } catch let failure as CommandFailure {
      Terminal.error("collbench: \(failure)")
      throw ExitCode.failure
    }
  }

  private func run(_ configuration: RunConfiguration) throws {
    if options.start.launched { return try runLaunchedRank(configuration, checksMemory: false) }
    guard let start = try LocalOrHosts(options.start.ranks, options.start.placement) else {
      guard configuration.transport != .inProcess else {
        throw CommandFailure("--transport inprocess joins the threads of one process: give --ranks N.")
      }
      guard isLaunched else { throw CommandFailure(noRanks) }
      return try runLaunchedRank(configuration, checksMemory: true)
    }
    try refuseToLaunchFromRank(start.flag)
    if configuration.transport == .inProcess, case .here(let ranks) = start {
      return try runThreads(configuration, ranks: ranks)
    }
    let status = try start.launchThisProgram(finishLimit: configuration.timeoutDuration).status
    if status != 0 { throw ExitCode(status) }
  }
}
