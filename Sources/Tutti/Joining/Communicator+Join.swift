// How a communicator is made: by joining other processes, or in one process.

import CTuttiLinux
import Glibc
import Logging
import TuttiBootstrap
import TuttiChoice
import TuttiSchedule
import TuttiSystem
import TuttiTopology
import TuttiTransport

extension Communicator {
  /// Joins the other ranks of the job that launched this process, and returns when all of them have.
  ///
  /// Who this process is comes from `TUTTI_RANK`, `TUTTI_SIZE`, `TUTTI_RENDEZVOUS`, or from the variables of torchrun, Open
  /// MPI, MPICH, Intel MPI, Slurm or Kubernetes: `docs/LAUNCHING.md`. `TUTTI_SECRET` or `TUTTI_SECRET_FILE` holds the secret
  /// that every connection must prove (`docs/SECURITY.md`), and `TUTTI_JOB` the job's name where the launcher gives it none.
  ///
  /// `TUTTI_TOPOLOGY` names a file that describes the network (`docs/TOPOLOGIES.md`), `TUTTI_TUNING` one with measurements
  /// of the machines (`docs/TUNING.md`).
  ///
  /// `TUTTI_CPU_AFFINITY` confines the calling thread, and those it starts later, to processors: `auto` divides those that
  /// the ranks of a host inherited, `0-3;4-7` gives each rank a list. Closing the communicator does not undo that.
  ///
  /// - Parameters:
  ///   - environment: The variables to read; nil for the process's own.
  ///   - options: Equal on all ranks, but for the time limits.
  /// - Throws: ``TuttiError`` with `.configuration`, `.rendezvous`, `.authentication`, `.version`, `.mismatch` or
  ///   `.timeout`, naming the variable or the rank.
  @available(*, noasync, message: "use 'try await Communicator.join(...)'")
  public static func join(
    environment: [String: String]? = nil, options: CommunicatorOptions = CommunicatorOptions()
  ) throws(TuttiError) -> Communicator {
    do throws(FailureReport) {
      let environment = environment ?? processEnvironment()
      let identity = try LaunchIdentity.read(environment)
      return try join(
        identity, identity.readSecret(environment), CPUAffinity.read(environment), environment, options)
    } catch { throw TuttiError(error) }
  }

  /// Joins the other ranks of the job that launched this process: suspends until all of them have, while a thread of the
  /// library's own waits.
  ///
  /// Cancelling the task changes nothing: the join ends when all ranks are there, or at its limit. `TUTTI_CPU_AFFINITY`
  /// confines the communicator's own threads, and none of the program's.
  ///
  /// - Parameters:
  ///   - environment: The variables to read; nil for the process's own.
  ///   - options: Equal on all ranks, but for the time limits.
  /// - Throws: ``TuttiError``, like the blocking form, or `.resources` when no thread can be started.
  public static func join(
    environment: [String: String]? = nil, options: CommunicatorOptions = CommunicatorOptions()
  ) async throws(TuttiError) -> Communicator {
    try await onOwnThread { () throws(TuttiError) in try join(environment: environment, options: options) }
  }

  /// Whether a launcher started this process as a rank, or meant to: what a program asks that can also run alone.
  ///
  /// Where it returns true, ``join(environment:options:)`` says which rank this process is, or throws what is missing: the
  /// variables of torchrun, Open MPI, MPICH, Intel MPI, Slurm and Kubernetes count as those of Tutti's own do.
  ///
  /// - Parameter environment: The variables to read; nil for the process's own.
  public static func isLaunched(environment: [String: String]? = nil) -> Bool {
    LaunchIdentity.isLaunched(environment ?? processEnvironment())
  }

  /// Joins as the rank that `identity` says this process is, with the other settings of the environment.
  ///
  /// - Parameter secret: nil for one that rank 0 leaves in the store where the ranks meet.
  static func join(
    _ identity: LaunchIdentity, _ secret: JobSecret?, _ affinity: CPUAffinity, _ environment: [String: String],
    _ options: CommunicatorOptions
  ) throws(FailureReport) -> Communicator {
    var options = options
    try readCheck(environment, &options)
    try readBits(environment, &options)
    try readTopology(environment, &options)
    try options.readEncryption(environment)
    let secret = try options.encryption(of: secret, environment)
    let tuning = try TuningOffer.read(environment, options.tuning, rank: identity.rank)
    return try Communicator(joinedMember(identity, secret, affinity, environment, options, tuning), options)
  }

  private static func readCheck(
    _ environment: [String: String], _ options: inout CommunicatorOptions
  ) throws(FailureReport) {
    switch environment["TUTTI_CHECK"] {
    case nil, "", "wire": break
    case "strict": options.checksStrictly = true
    case .some(let value):
      throw FailureReport(
        .configuration, "TUTTI_CHECK=\"\(value)\" is not a kind of check",
        advice: "Set it to strict, to agree on each call before it begins, or to wire, to compare calls as data arrives")
    }
  }

  /// Reads `TUTTI_BITS`, which says what the bits of results may depend on.
  private static func readBits(
    _ environment: [String: String], _ options: inout CommunicatorOptions
  ) throws(FailureReport) {
    guard let value = environment["TUTTI_BITS"], !value.isEmpty else { return }
    guard let bits = ResultBits(name: value) else {
      throw FailureReport(
        .configuration, "TUTTI_BITS=\"\(value)\" is none of \(ResultBits.allCases.map(\.name).joined(separator: ", "))",
        advice: "Set it to canonical for the same bits from all algorithms, to class for the same at all sizes, or to any")
    }
    if let own = options.bits, own != bits {
      throw FailureReport(
        .configuration, "TUTTI_BITS=\"\(value)\" is not what the program's own options have (\(own.name))",
        advice: "Unset the variable, or the option")
    }
    options.bits = bits
  }

  /// Reads the description of the network from the file that `TUTTI_TOPOLOGY` names.
  private static func readTopology(
    _ environment: [String: String], _ options: inout CommunicatorOptions
  ) throws(FailureReport) {
    guard let path = environment["TUTTI_TOPOLOGY"], !path.isEmpty else { return }
    let topology = try Topology.read(path)
    if let own = options.topology, own.hash != topology.hash {
      throw FailureReport(
        .configuration, "TUTTI_TOPOLOGY=\"\(path)\" is not the topology that the program's own options have (\(own.name))",
        advice: "Unset the variable, or the option")
    }
    options.topology = JobTopology(topology)
  }

  private static func joinedMember(
    _ identity: LaunchIdentity, _ secret: JobSecret?, _ affinity: CPUAffinity, _ environment: [String: String],
    _ options: CommunicatorOptions, _ tuning: TuningOffer
  ) throws(FailureReport) -> JoinedMember {
    if options.transport == .inProcess {
      throw FailureReport(
        .configuration, "the in-process transport joins threads of one process, not processes",
        advice: "Call Communicator.makeInProcess(rankCount:), or choose auto, "
          + options.transports.map(\.kind.name).joined(separator: ", "))
    }
    var phases = JoinPhases()
    let network = try NetworkSettings.read(environment)
    let offered = try OfferedTransports(
      options, TransportRequest(environment: environment, rank: identity.rank, rankCount: identity.rankCount))
    let patience =
      options.joinTimeout.map(nanoseconds) ?? UInt64(network.joinSeconds(rankCount: identity.rankCount) * 1e9)
    let logger = Logger(label: "tutti")
    let catalog = try AlgorithmCatalog(options)
    let topology = options.topology?.topology
    phases.end("settings and devices")
    let meeting = try Meeting.attend(
      identity: identity, secret: secret,
      settings: settings(options, topology, catalog, affinity),
      offers: offered.offers, note: TuningAgreement.bytes(tuning, rank: identity.rank), network: network,
      deadline: monotonicNanoseconds() &+ patience,
      notify: { logger.warning("rank \(identity.rank): \($0).") })
    phases.end("meeting")
    let choice = offered.choice(rank: identity.rank, meeting.members)
    let layout: JobLayout
    let agreement: TuningAgreement
    do throws(FailureReport) {
      agreement = try TuningAgreement(meeting.members.map(\.note))
      try offered.check(choice)
      layout = try JobLayout(topology, hosts: meeting.members.map(\.host))
    } catch { throw meeting.refuse(error) }
    phases.end("choice of transports")
    let membership = try meeting.begin()
    phases.end("table and control connections")
    var tuningNotice: String?
    let member = try JoinedMember.make(
      membership, choice, layout, offered, catalog,
      tuning: { shape in
        let fitting = agreement.tuning(for: shape)
        tuningNotice = fitting.notice
        return fitting.tuning
      }, place: .affinity(affinity))
    phases.end("placement and threads")
    if identity.rank == 0 { log(phases, meeting, logger) }
    // All ranks know this; rank 0 alone logs it.
    let told = identity.rank == 0 ? [tuning.notice, tuningNotice].compactMap { $0 } : []
    let notices =
      told + offered.notices(choice) + WatchNotices(membership.members).lines(for: identity.rank)
    for line in notices { logger.warning("rank \(identity.rank): \(line).") }
    return member
  }

  /// What must be equal on all ranks, by the name that an error gives it.
  private static func settings(
    _ options: CommunicatorOptions, _ topology: Topology?, _ catalog: AlgorithmCatalog, _ affinity: CPUAffinity
  ) -> [String: String] {
    [
      "topology": topology.map { "\($0.name.prefix(128)) (\($0.hash))" } ?? "none", "transport": options.transport.name,
      "TUTTI_CHECK": options.checksStrictly ? "strict" : "wire", "TUTTI_BITS": catalog.bits.name,
      "own algorithms": catalog.agreement, CPUAffinity.variable: affinity.agreement,
    ]
  }

  /// Says what a join has taken: at level info where somebody may wonder, and else at level debug.
  private static func log(_ phases: JoinPhases, _ meeting: Meeting, _ logger: Logger) {
    let text = phases.description(rankCount: meeting.members.count)
    let (sent, received) = (meeting.traffic.bytesSent, meeting.traffic.bytesReceived)
    logger.log(
      level: phases.seconds > 1 ? .info : .debug, "rank 0: \(text); it sent \(sent) bytes and received \(received).")
  }

  /// The tuning for ranks of one process: the profile in their options, or else the built-in one for this machine.
  private static func tuning(_ options: CommunicatorOptions, _ shape: JobShape) -> Tuning {
    let families: Set = [ProcessorFamily.current()]
    guard let given = options.tuning, let profile = given.profile else { return Tuning(builtInFor: families) }
    let (tuning, notice) = Tuning.fitting(
      profile, .options, isForced: given.isForced, families: families, shape: shape)
    if let notice { Logger(label: "tutti").warning("\(notice).") }
    return tuning
  }

  static func processEnvironment() -> [String: String] {
    var result: [String: String] = [:]
    var entry = environ
    while let text = entry.pointee {
      let pair = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if pair.count == 2 { result[String(pair[0])] = String(pair[1]) }
      entry += 1
    }
    return result
  }

  // MARK: In one process

  /// Makes a communicator whose ranks are threads of this process: element r of the result is for rank r's thread.
  ///
  /// For tests, and for trying algorithms: every rank calls its own element from a thread of its own. It waits for
  /// nobody, so it can be called from anywhere.
  ///
  /// - Parameter rankCount: 1 to 512.
  public static func makeInProcess(
    rankCount: Int, options: CommunicatorOptions = CommunicatorOptions()
  ) throws(TuttiError) -> [Communicator] {
    try makeInProcess(rankCount: rankCount, options: options, faults: nil)
  }

  /// Makes communicators whose links misbehave as the seed of `faults` says.
  package static func makeInProcess(
    rankCount: Int, options: CommunicatorOptions, faults: InProcessFaults?
  ) throws(TuttiError) -> [Communicator] {
    do throws(FailureReport) {
      guard (1...512).contains(rankCount) else {
        throw FailureReport(
          .invalidArgument, "a communicator of \(rankCount) ranks cannot be made in one process", advice: "Ask for 1 to 512")
      }
      guard options.transport == .auto || options.transport == .inProcess else {
        throw FailureReport(
          .configuration, "ranks of one process use the in-process transport, not \(options.transport.name)",
          advice: "Choose auto or inprocess, or start processes")
      }
      let layout = try JobLayout(options.topology?.topology, rankCount: rankCount)
      // Nothing leaves the process.
      var options = options
      options.tls = false
      return try InProcessGroup.makeMembers(
        layout, catalog: AlgorithmCatalog(options), tuning: { tuning(options, $0) }, faults: faults
      ).map { Communicator($0, options) }
    } catch { throw TuttiError(error) }
  }
}
