// How a process becomes a rank: started by `--ranks` or `--hostfile`, by another launcher, or alone.

import Checkpoints
import Foundation
import Tutti
import TuttiLaunch

extension JobOptions {
  /// Runs `body` on every rank of the job: in processes of their own, or in this one.
  ///
  /// - Parameter advice: Gives what to say when local ranks have failed; it is told whether one was killed.
  /// - Throws: ``CommandFailure``, `StatusCode` where ranks have said what failed, and what `body` throws.
  func run(advice: (_ wasKilled: Bool) -> String? = { _ in nil }, _ body: (Communicator) throws -> Void) throws {
    Lifeline.hold()
    guard !launched, var job = try job() else { return try runRank(body) }
    if let variable = Self.rankVariable {
      throw CommandFailure(
        """
        \(ranks == nil ? "--hostfile" : "--ranks") starts processes of its own, but \(variable) says that this one is already a \
        rank. Leave it out to join as that rank, or unset \(variable).
        """)
    }
    job.failureGrace = .seconds(5)
    // A rank that hangs after another has finished reports its own timeout first.
    job.finishLimit = duration + job.failureGrace
    let outcome = try job.run { Terminal.error($0) }
    // After Ctrl-C the line of the progress bar is unfinished.
    if outcome.status > 128 { Terminal.error("") }
    if outcome.status != 0, let advice = advice(outcome.wasKilled || outcome.status > 128) { Terminal.error(advice) }
    if outcome.status != 0 { throw StatusCode(outcome.status) }
  }

  /// The ranks to start; nil where this process is one.
  private func job() throws -> JobDescription? {
    let (program, arguments) = (ThisProgram.path, ThisProgram.arguments(adding: "--launched"))
    if let hostfile {
      let shell = try rsh.map { command throws(LaunchError) in try RemoteShell(command, source: "--rsh") }
      let access = HostAccess(agent: HostAgent(version: TrainerCommand.version), shell: shell)
      return try JobDescription(hosts: HostList(file: hostfile), access: access, program: program, arguments: arguments)
    }
    return try ranks.map { count throws(LaunchError) in
      try JobDescription(rankCount: count, program: program, arguments: arguments)
    }
  }

  /// The variable that says this process is a rank of Tutti already; nil where none does. Other launchers' variables refuse
  /// no `--ranks`: RANK may be a shell's own, and mpirun and srun may have started one process a host, which starts its
  /// ranks.
  private static var rankVariable: String? {
    ["TUTTI_RANK", "TUTTI_SIZE"].first { !(ProcessInfo.processInfo.environment[$0] ?? "").isEmpty }
  }

  /// Whether this process is one rank of what was launched: neither alone, nor the one that starts ranks.
  var isRank: Bool { launched || ranks == nil && hostfile == nil && Communicator.isLaunched() }

  private func runRank(_ body: (Communicator) throws -> Void) throws {
    let communicator = try join()
    defer { communicator.close() }
    do { try body(communicator) } catch  where error.isShared {
      // It is enough to say it once.
      if communicator.rank == 0 { throw error }
      throw StatusCode(1)
    } catch {
      // The others may be waiting for this rank.
      if error.isOwn { communicator.abort("\(error)") }
      throw error
    }
  }

  private func join() throws -> Communicator {
    var options = CommunicatorOptions()
    options.timeout = duration
    if ProcessInfo.processInfo.environment["TUTTI_TIMEOUT"] == nil { options.joinTimeout = duration }
    if isRank {
      options.transport = transportChoice
      return try Communicator.join(options: options)
    }
    return try Communicator.makeInProcess(rankCount: 1, options: options)[0]
  }
}

extension Error {
  /// Whether every rank fails with the same error.
  var isShared: Bool { self is CheckpointError || (self as? CommandFailure)?.isShared == true }
  /// Whether the other ranks do not know of this error.
  var isOwn: Bool { !(isShared || self is TuttiError || self is StatusCode) }
}
