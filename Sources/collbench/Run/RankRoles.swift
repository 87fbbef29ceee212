import ArgumentParser
import Glibc
import Tutti
import TuttiLaunch

// How a process takes part in a run: as one rank, or with a thread for each rank.

/// Runs this process as one rank of a launcher: of this program in another process, or of any other.
///
/// - Parameter checksMemory: Whether to check that there is enough memory. Where the launcher has checked, its other ranks
///   may have taken theirs by now.
func runLaunchedRank(_ configuration: RunConfiguration, checksMemory: Bool) throws {
  var options = CommunicatorOptions()
  options.transport = configuration.transport
  options.timeout = configuration.timeoutDuration
  options.topology = configuration.topology
  options.tls = configuration.tls
  options.bits = configuration.bits
  try joined(options: options) { try runRank($0, configuration, checksMemory: checksMemory).exit() }
}

/// Runs the ranks as threads of this process.
func runThreads(_ configuration: RunConfiguration, ranks: Int) throws {
  StandardStream.outliveReaders()
  var options = CommunicatorOptions()
  options.transport = .inProcess
  options.timeout = configuration.timeoutDuration
  options.topology = configuration.topology
  options.bits = configuration.bits
  let communicators: [Communicator]
  do {
    communicators = try Communicator.makeInProcess(rankCount: ranks, options: options)
  } catch {
    throw CommandFailure("\(error)")
  }
  var threads: [pthread_t] = []
  var result = RankResult.success
  for communicator in communicators.dropFirst() {
    var thread = pthread_t()
    // The thread takes the reference over, and owns it from here on.
    let task = Unmanaged.passRetained(RankThread(communicator, configuration)).toOpaque()
    let code = pthread_create(&thread, nil, rankThreadMain, task)
    guard code == 0 else {
      Unmanaged<RankThread>.fromOpaque(task).release()
      communicators[0].abort("collbench could not start all threads")
      Terminal.error("collbench: could not start a thread for rank \(communicator.rank): \(systemErrorText(code))")
      result = .failure
      break
    }
    threads.append(thread)
  }
  if result == .success { result = runRank(communicators[0], configuration, checksMemory: false) }
  for thread in threads {
    var failure: UnsafeMutableRawPointer?
    pthread_join(thread, &failure)
    if failure != nil { result = .failure }
  }
  try result.exit()
}

/// How a rank's part ended.
private enum RankResult {
  case success
  /// It failed, and has said so.
  case failure
  /// The reader of the results has left, as `head` does, and all ranks have stopped. That is no failure, and nothing is
  /// said.
  case readerLeft

  /// Ends the process as other tools do: without a reader, by SIGPIPE, which a shell shows as status 141.
  func exit() throws {
    switch self {
    case .success: return
    case .failure: throw ExitCode.failure
    case .readerLeft:
      signal(SIGPIPE, SIG_DFL)
      raise(SIGPIPE)
      // The signal may be blocked.
      throw ExitCode(128 + SIGPIPE)
    }
  }
}

/// The arguments of a rank's thread.
private final class RankThread {
  let communicator: Communicator
  let configuration: RunConfiguration
  init(_ communicator: Communicator, _ configuration: RunConfiguration) {
    self.communicator = communicator
    self.configuration = configuration
  }
}

/// - Returns: nil on success, as `pthread_join` hands it on.
private func rankThreadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let argument else { return nil }
  let task = Unmanaged<RankThread>.fromOpaque(argument).takeRetainedValue()
  let result = runRank(task.communicator, task.configuration, checksMemory: false)
  return result == .success ? nil : UnsafeMutableRawPointer(bitPattern: 1)
}

/// Runs one rank, and writes what failed on it to standard error. Rank 0 reports the results.
///
/// - Returns: `.success` when everything ran and every result was right, and has arrived.
private func runRank(_ communicator: Communicator, _ configuration: RunConfiguration, checksMemory: Bool) -> RankResult {
  let (rank, rankCount) = (communicator.rank, communicator.rankCount)
  defer { communicator.close() }
  do {
    if let obstacle = configuration.rootObstacle(rankCount: rankCount) { throw CommandFailure(obstacle) }
    if checksMemory {
      if let obstacle = configuration.memoryObstacle(ranks: rank..<rank + 1, rankCount: rankCount) {
        throw CommandFailure(obstacle)
      }
      // No rank fills its memory for a run that another rank refuses.
      try communicator.barrier()
    }
    var report: Report?
    if rank == 0 {
      report = try Report(
        configuration, rankCount: rankCount, topologyHash: communicator.topologyHash, bits: communicator.bits,
        isEncrypted: communicator.isEncrypted, tuning: communicator.tuning)
    }
    let correct = try RankRun(communicator: communicator, configuration: configuration)
      .run(arrives: { report?.arrives ?? true }, { report?.add($0) })
    try report?.finish()
    if !correct && rank == 0 {
      Terminal.error(errorLine(rank: "0", "results are wrong: see wrongElements. This is a bug in tutti; please report it"))
    }
    return correct ? .success : .failure
  } catch let failure as StandardStream.Failure {
    // All ranks have made all their calls, so none is left waiting.
    if failure.readerHasLeft { return .readerLeft }
    Terminal.error(errorLine(rank: "\(rank)", Terminal.resultsLost(failure)))
    return .failure
  } catch {
    if rank == 0 { Progress.clear() }
    communicator.fail(error)
    return .failure
  }
}
