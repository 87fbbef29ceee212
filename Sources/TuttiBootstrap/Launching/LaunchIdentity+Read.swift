import TuttiSystem

// Who this process is, by its environment alone: nothing is opened, and no other host is asked.

extension LaunchIdentity {
  static let own = ["TUTTI_RANK", "TUTTI_SIZE", "TUTTI_RENDEZVOUS"]

  /// Reads who this process is.
  ///
  /// `TUTTI_RANK`, `TUTTI_SIZE` and `TUTTI_RENDEZVOUS` say it all. Without `TUTTI_RANK` the launcher's variables give rank
  /// and size, and `TUTTI_RENDEZVOUS`, or else the launcher, says where the ranks meet. See `docs/LAUNCHING.md`.
  ///
  /// - Throws: `.configuration` when variables are missing, malformed or contradict each other; the message names the
  ///   variable and its value, the advice what to set.
  package static func read(_ environment: [String: String]) throws(FailureReport) -> LaunchIdentity {
    let variables = EnvironmentReader(environment)
    if variables["TUTTI_RANK"] != nil {
      try variables.requireAll(own)
      return try readOwn(variables)
    }
    if let family = LaunchFamily.find(variables) { return try read(variables, family) }
    if variables.hasAny(own) {
      try variables.requireAll(own)
    }
    // A shell or container image may set one of the common names for its own ends; only RANK and WORLD_SIZE say "job".
    if variables.hasAny(["RANK", "WORLD_SIZE"]) {
      try variables.requireAll(["RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"])
    }
    throw FailureReport(
      .configuration,
      "nothing in the environment says which rank this process is"
        + (SlurmStep.isAllocation(variables) ? ": it runs in a Slurm allocation, but not in a step" : ""),
      advice: SlurmStep.isAllocation(variables)
        ? "Start the ranks with srun"
        : "Set TUTTI_RANK, TUTTI_SIZE and TUTTI_RENDEZVOUS=host:port on every rank, or start the ranks with a launcher: "
          + "docs/LAUNCHING.md lists them")
  }

  private static func readOwn(_ variables: EnvironmentReader) throws(FailureReport) -> LaunchIdentity {
    let (rank, rankCount) = try variables.rankAndCount("TUTTI_RANK", "TUTTI_SIZE")
    let rendezvous = try variables.rendezvous(rank: rank)
    try variables.refuseContradiction(rank, "TUTTI_RANK", "RANK")
    try variables.refuseContradiction(rankCount, "TUTTI_SIZE", "WORLD_SIZE")
    return LaunchIdentity(
      rank: rank, rankCount: rankCount, rendezvous: rendezvous, source: own.joined(separator: ", "))
  }

  private static func read(
    _ variables: EnvironmentReader, _ family: LaunchFamily
  ) throws(FailureReport) -> LaunchIdentity {
    if family.size == nil, variables["TUTTI_SIZE"] == nil {
      throw FailureReport(
        .configuration, "\(family.name) tells this process its rank (\(family.rank)), but not the number of ranks",
        advice: "Set TUTTI_SIZE to it, and TUTTI_RENDEZVOUS to host:port of rank 0, on every rank")
    }
    let (rank, rankCount) = try variables.rankAndCount(family.rank, family.size ?? "TUTTI_SIZE")
    if let size = family.size, variables["TUTTI_SIZE"] != nil {
      try variables.refuseContradiction(rankCount, size, "TUTTI_SIZE")
    }
    let job = family.jobName(variables)
    if variables["TUTTI_RENDEZVOUS"] != nil {
      return LaunchIdentity(
        rank: rank, rankCount: rankCount, rendezvous: try variables.rendezvous(rank: rank),
        source: "\(family.source), TUTTI_RENDEZVOUS", job: job)
    }
    switch family.rank {
    case LaunchFamily.common.rank:
      let (rendezvous, source) = try readMaster(variables, rank)
      return LaunchIdentity(rank: rank, rankCount: rankCount, rendezvous: rendezvous, source: source, job: job)
    case LaunchFamily.slurm.rank:
      return LaunchIdentity(
        rank: rank, rankCount: rankCount, rendezvous: try SlurmStep.rendezvous(variables, rank: rank),
        source: "\(family.source), SLURM_STEP_NODELIST", job: job)
    case LaunchFamily.pmi.rank where variables["PMI_FD"] != nil:
      let space = PMIRendezvous(descriptor: Int32(try variables.integer("PMI_FD", 0...Int(Int32.max))))
      guard let key = MeetingPlace.key("main") else { preconditionFailure("a plain name") }
      return LaunchIdentity(
        rank: rank, rankCount: rankCount, place: .store(space, key: key), source: "\(family.source), PMI_FD", job: job,
        space: space)
    default:
      throw FailureReport(
        .configuration, rank: rank,
        "\(family.name) started this process as rank \(rank) of \(rankCount) (\(family.source)), but nothing says where the "
          + "ranks meet",
        advice: "Set TUTTI_RENDEZVOUS to host:port of rank 0, the same on every rank"
          + (family.rank == LaunchFamily.openMPI.rank ? " (mpirun -x TUTTI_RENDEZVOUS -x TUTTI_SECRET ...)" : ""))
    }
  }

  private static func readMaster(
    _ variables: EnvironmentReader, _ rank: Int
  ) throws(FailureReport) -> (RendezvousAddress, source: String) {
    try variables.requireAll(["RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"])
    var port = try variables.integer("MASTER_PORT", 1...65535)
    var source = "RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT"
    if variables["TORCHELASTIC_RUN_ID"] != nil {
      // torchrun's agent listens on MASTER_PORT itself for as long as the job runs.
      guard port < 65535 else {
        throw FailureReport(
          .configuration, rank: rank, "MASTER_PORT=65535 leaves no port above it, and torchrun itself holds that one",
          advice: "Start torchrun with a smaller --master-port, or set TUTTI_RENDEZVOUS")
      }
      port += 1
      source += " + 1 (TORCHELASTIC_RUN_ID is set: torchrun holds MASTER_PORT)"
    }
    let address = variables["MASTER_ADDR"] ?? ""
    let text = address.contains(":") && !address.hasPrefix("[") ? "[\(address)]:\(port)" : "\(address):\(port)"
    guard let rendezvous = RendezvousAddress(text), case .tcp = rendezvous else {
      throw FailureReport(
        .configuration, rank: rank, "MASTER_ADDR=\"\(address)\" is not a host name or address",
        advice: "Set it to the host name or address of rank 0, without a port")
    }
    return (rendezvous, source)
  }
}

extension EnvironmentReader {
  /// Where the ranks meet, as `TUTTI_RENDEZVOUS` has it.
  fileprivate func rendezvous(rank: Int) throws(FailureReport) -> RendezvousAddress {
    let text = self["TUTTI_RENDEZVOUS"] ?? ""
    if let rendezvous = RendezvousAddress(text) { return rendezvous }
    throw FailureReport(
      .configuration, rank: rank, "TUTTI_RENDEZVOUS=\"\(text)\" is not an address",
      advice: "Set it to host:port, [IPv6]:port, or unix:@name when all ranks are on one host; the same on every rank")
  }
}
