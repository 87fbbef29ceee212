import Glibc
import TuttiSystem

/// Describes a job to run: its ranks, and how long they may wait for each other's end.
///
/// This test runs a program that joins with `Communicator.join()` on four ranks. They end with the test, and with the test
/// runner, however that ends:
///
/// ```swift
/// import Testing
/// import TuttiLaunch
///
/// @Test func fourRanksAgree() async throws {
///   let job = try JobDescription(rankCount: 4, program: ".build/debug/my-program", arguments: ["--steps", "10"])
///   let outcome = try await job.start().outcome()
///   #expect(outcome.status == 0, "\(outcome)")
/// }
/// ```
///
/// This program starts its own ranks, as `collbench --ranks 4` does:
///
/// ```swift
/// let arguments = ThisProgram.arguments(adding: "--is-a-rank")
/// let job = try JobDescription(rankCount: 4, program: ThisProgram.path, arguments: arguments)
/// exit(try job.run().status)
/// ```
public struct JobDescription: Sendable, Hashable {
  /// What makes the ranks one job.
  public var identity: JobIdentity
  /// The ranks to start. Somebody else starts the ranks of the job that are missing here.
  public var ranks: [RankDescription]
  /// How long the other ranks have to report what they saw after one has failed.
  public var failureGrace = Duration.seconds(3)
  /// How long the other ranks may go on after one has succeeded; nil for as long as they like. Ranks with inherited output
  /// are never limited, because their reader can be slow.
  public var finishLimit: Duration?
  /// How ranks are started that run on hosts. All ranks of a job do then, or none.
  public var access: HostAccess?

  /// Describes a job of some ranks, each of which may run another program.
  public init(identity: JobIdentity, ranks: [RankDescription]) { (self.identity, self.ranks) = (identity, ranks) }

  /// Describes a job of one program on this machine.
  ///
  /// - Throws: ``LaunchError`` with `.invalidJob` without a rank, `.resources` when the kernel has no random numbers for a
  ///   secret.
  public init(
    rankCount: Int, program: String, arguments: [String] = [], environment: [String: String] = [:]
  ) throws(LaunchError) {
    let identity = try JobIdentity(rankCount: rankCount)
    let ranks = (0..<rankCount).map {
      RankDescription(rank: $0, program: program, arguments: arguments, environment: environment)
    }
    self.init(identity: identity, ranks: ranks)
  }

  /// Describes a job of one program on several hosts, where it is under the same path. The ranks are numbered host by host.
  ///
  /// - Parameters:
  ///   - program: A path, since each host looks names up for itself.
  ///   - environment: Variables of the ranks, beside those of their host and all `TUTTI_*` of this process.
  ///   - printsAll: Whether the standard output of all ranks is inherited, not that of rank 0 alone.
  /// - Throws: As the other initializers.
  public init(
    hosts: HostList, access: HostAccess, program: String, arguments: [String] = [], environment: [String: String] = [:],
    printsAll: Bool = false
  ) throws(LaunchError) {
    let places = hosts.hosts.flatMap { Array(repeating: $0, count: $0.slots) }
    let ranks = places.enumerated().map { rank, host in
      RankDescription(
        rank: rank, program: program, arguments: arguments, environment: environment, place: .host(host),
        output: printsAll ? .inherited : nil)
    }
    self.init(identity: try JobIdentity(rankCount: places.count), ranks: ranks)
    self.access = access
  }

  /// Runs the job in the foreground, for a program whose purpose that is, and returns when every rank has ended.
  ///
  /// When the first rank fails, the others get ``failureGrace``, and are then killed. Ctrl-C, SIGTERM and SIGHUP, unless
  /// they are ignored, end all ranks, silently; Ctrl-Z stops them with this process. Ranks are in process groups of their
  /// own, so that the terminal's signals go to this process alone, and no rank reports another that the user has just
  /// stopped. They have the dispositions, the mask and the descriptors of this process, and a ``Lifeline`` as standard
  /// input. If this process is killed, so are they.
  ///
  /// Call it on the main thread of a program without others: signals that another thread takes are not seen here.
  ///
  /// - Parameter report: Receives a sentence for each rank that could not speak for itself because it was killed or late. By
  ///   default the sentence goes to standard error.
  /// - Throws: ``LaunchError`` when the description makes no sense, or a rank could not be started.
  public func run(
    report: (_ sentence: String) -> Void = { try? StandardStream.error.write($0 + "\n") }
  ) throws(LaunchError) -> JobOutcome {
    let signals = try ForegroundSignals()
    defer { signals.restore() }
    return try supervisor {
      $0.isolates = false; $0.mask = signals.before
    }.supervise(signals, report)
  }

  /// Starts the job and returns at once. Ranks end with the value that is returned, and with this process.
  ///
  /// They get no disposition, no mask and no descriptor of this process but the standard streams, because threads of test
  /// runners have nearly all signals blocked.
  ///
  /// - Parameter report: As in ``run(report:)``, but called on another thread.
  /// - Throws: The same errors as ``run(report:)``.
  public func start(
    report: @escaping @Sendable (_ sentence: String) -> Void = { try? StandardStream.error.write($0 + "\n") }
  ) throws(LaunchError) -> RunningJob {
    try RunningJob(supervisor { $0.isolates = true }, report)
  }

  /// The ranks that run on hosts, by host, in the order of each host's first rank.
  var places: [(host: LaunchHost, ranks: [RankDescription])] {
    var order: [LaunchHost] = []
    var ranksOf: [LaunchHost: [RankDescription]] = [:]
    for rank in ranks {
      guard case .host(let host) = rank.place else { continue }
      if ranksOf[host] == nil { order.append(host) }
      ranksOf[host, default: []].append(rank)
    }
    return order.map { ($0, ranksOf[$0] ?? []) }
  }

  private func supervisor(_ adapt: (inout ChildProgram) -> Void) throws(LaunchError) -> any Supervisor {
    try validate()
    guard let access else { return try JobSupervisor(self, startRanks(adapt)) }
    return try HostSupervisor(self, access)
  }

  private func startRanks(_ adapt: (inout ChildProgram) -> Void) throws(LaunchError) -> [JobSupervisor.Rank] {
    var started: [JobSupervisor.Rank] = []
    for description in ranks {
      do throws(LaunchError) {
        started.append(try start(description, adapt))
      } catch {
        // Otherwise the first ones would report that others are missing.
        for rank in started { rank.process.send(SIGSTOP) }
        throw LaunchError(error.code, "rank \(description.rank) of \(identity.rankCount): \(error)")
      }
    }
    return started
  }

  private func start(
    _ rank: RankDescription, _ adapt: (inout ChildProgram) -> Void
  ) throws(LaunchError) -> JobSupervisor.Rank {
    var environment = identity.environment(rank: rank.rank)
    environment.merge(rank.environment) { $1 }
    var program = ChildProgram(rank.program, rank.arguments, environment: environment)
    adapt(&program)
    var opened: [Int32] = []
    defer { for descriptor in opened { close(descriptor) } }
    for (stream, output) in [(STDOUT_FILENO, rank.output), (STDERR_FILENO, rank.errors)] {
      let path: String
      switch output {
      case .inherited: continue
      case .discarded: path = "/dev/null"
      case .file(let file): path = file
      }
      let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
      guard descriptor >= 0 else { throw LaunchError(.output, "its output cannot go to \(path): \(errorText(errno)).") }
      opened.append(descriptor)
      program.descriptors[stream] = descriptor
    }
    return JobSupervisor.Rank(number: rank.rank, process: try ChildProcess(program))
  }

  private func validate() throws(LaunchError) {
    guard !ranks.isEmpty else { throw LaunchError(.invalidJob, "a job without a rank to start.") }
    for rank in ranks where (rank.place == .here) != (access == nil) {
      let why = access == nil ? "is to run on a host, and the job has no access to hosts" : "has no host, and others have"
      throw LaunchError(.invalidJob, "rank \(rank.rank) \(why).")
    }
    var seen: Set<Int> = []
    for rank in ranks.map(\.rank) {
      guard (0..<identity.rankCount).contains(rank) else {
        throw LaunchError(.invalidJob, "there is no rank \(rank) in a job of \(identity.rankCount).")
      }
      guard seen.insert(rank).inserted else { throw LaunchError(.invalidJob, "rank \(rank) is described twice.") }
    }
  }
}
