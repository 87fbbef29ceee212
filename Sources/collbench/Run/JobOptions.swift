import ArgumentParser
import Glibc
import Tutti
import TuttiBootstrap
import TuttiLaunch

/// How a command that runs in a job comes to its ranks, and as which of them this process takes part.
struct JobOptions: ParsableArguments {
  @OptionGroup var start: RankOptions

  @Option(help: "One of \(Catalog.processTransports.joined(separator: ", ")).")
  var transport = "auto"

  @Option(help: "Seconds that one step may take before it fails on every rank.")
  var timeout = 60.0

  func validate() throws {
    try checkTimeout(timeout)
    guard Catalog.processTransports.contains(transport) else {
      throw ValidationError(unknown("transport", transport, known: Catalog.processTransports))
    }
  }

  /// Runs `body` as a rank of the job, or starts the ranks, each of which then does so.
  ///
  /// - Throws: `ExitCode`, once what is wrong has been said.
  func run(_ body: (Communicator) throws -> Void) throws {
    do {
      if !start.launched, let ranks = try LocalOrHosts(start.ranks, start.placement) { return try launch(ranks) }
      guard start.launched || isLaunched else { throw CommandFailure(noRanks) }
    } catch let failure as CommandFailure {
      Terminal.error("collbench: \(failure)")
      throw ExitCode.failure
    }
    try runRank(body)
  }

  private func launch(_ ranks: LocalOrHosts) throws {
    try refuseToLaunchFromRank(ranks.flag)
    let status = try ranks.launchThisProgram(finishLimit: .seconds(Int(timeout.rounded(.up)))).status
    if status != 0 { throw ExitCode(status) }
  }

  private func runRank(_ body: (Communicator) throws -> Void) throws {
    var options = CommunicatorOptions()
    options.transport = TransportChoice(name: transport) ?? .auto
    if start.tls { options.tls = true }
    options.timeout = .nanoseconds(Int64(timeout * 1e9))
    try joined(options: options) { communicator in
      defer { communicator.close() }
      do { try body(communicator) } catch {
        communicator.fail(error)
        throw ExitCode.failure
      }
    }
  }
}

/// Refuses `--ranks`, or what else starts ranks, in a process that is a rank already.
///
/// Only Tutti's own variables say so. RANK may be a shell's own, and `srun -n 1` or mpirun may have started one process a
/// host, which starts its ranks.
func refuseToLaunchFromRank(_ flag: String) throws(CommandFailure) {
  let identity = ["TUTTI_RANK", "TUTTI_SIZE"]
  guard let variable = identity.first(where: isSet) else { return }
  throw CommandFailure(
    """
    \(flag) starts processes of its own, but \(variable) says that this one is already a rank. Leave \(flag) out to join \
    as that rank, or unset \(variable).
    """)
}

/// Where a command starts ranks of this program: here, or on hosts.
enum LocalOrHosts {
  case here(Int)
  case hosts(HostList, HostOptions)

  /// nil where nothing is to be started.
  init?(_ ranks: Int?, _ placement: HostOptions) throws {
    if let hosts = try placement.list(ranks: ranks) {
      self = .hosts(hosts, placement)
    } else if let ranks {
      self = .here(ranks)
    } else {
      return nil
    }
  }

  var flag: String {
    switch self {
    case .here: "--ranks"
    case .hosts(_, let options): options.hosts == nil ? "--hostfile" : "--hosts"
    }
  }

  /// Starts ranks with the same arguments, and waits for them.
  func launchThisProgram(finishLimit: Duration) throws(CommandFailure) -> JobOutcome {
    let (program, arguments) = (ThisProgram.path, ThisProgram.arguments(adding: "--launched"))
    do throws(LaunchError) {
      var job: JobDescription
      switch self {
      case .here(let ranks): job = try JobDescription(rankCount: ranks, program: program, arguments: arguments)
      case .hosts(let hosts, let options):
        job = try JobDescription(
          hosts: hosts, access: options.access(), program: program, arguments: arguments, printsAll: options.prefixOutput)
      }
      // A rank that hangs after another has finished reports its own timeout first.
      job.finishLimit = finishLimit + job.failureGrace
      return try job.run { Terminal.error("collbench: \($0)") }
    } catch { throw CommandFailure("\(error)") }
  }
}

/// Whether something launched this process as a rank, or meant to.
var isLaunched: Bool { Communicator.isLaunched() }

/// What the launcher calls this process; nil where nothing does.
var launchedRank: String? { LaunchIdentity.rankText(currentEnvironment()) }

private func isSet(_ variable: String) -> Bool {
  guard let value = getenv(variable) else { return false }
  return value.pointee != 0
}

let noRanks = """
  no ranks to run on. Either give --ranks N, to start N processes on this machine, or --hosts a:N,b:N, or start collbench once for each rank: by a \
  launcher (srun, mpirun, mpiexec, torchrun: docs/LAUNCHING.md), or with TUTTI_RANK, TUTTI_SIZE and TUTTI_RENDEZVOUS \
  (host:port of rank 0) set, or RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, and with the same TUTTI_SECRET on every rank.
  """

/// `collbench: rank 2: message`, naming the rank once.
func errorLine(rank: String?, _ message: String) -> String {
  guard let rank else { return "collbench: \(message)" }
  let prefix = "rank \(rank): "
  return "collbench: " + (message.hasPrefix(prefix) ? "" : prefix) + message
}
