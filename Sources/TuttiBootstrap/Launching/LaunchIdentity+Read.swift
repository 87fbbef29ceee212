import TuttiSystem

// Who this process is, by its environment: no other host is asked. A launcher that tells by PMIx where ranks meet needs its
// library, and one that does not tell the number of ranks is asked for it.

extension LaunchIdentity {
  static let own = ["TUTTI_RANK", "TUTTI_SIZE", "TUTTI_RENDEZVOUS"]

  /// Reads who this process is.
  ///
  /// `TUTTI_RANK`, `TUTTI_SIZE` and `TUTTI_RENDEZVOUS` say it all. Without `TUTTI_RANK` the launcher's variables give rank
  /// and size, and `TUTTI_RENDEZVOUS`, or else the launcher, says where the ranks meet. See `docs/LAUNCHING.md`.
  ///
  /// - Parameters:
  ///   - pmix: What speaks with a launcher's PMIx server.
  ///   - claims: Which of the launcher's connections have been used.
  /// - Throws: `.configuration` when variables are missing, malformed or contradict each other; the message names the
  ///   variable and its value, the advice what to set. `.rendezvous` when the launcher must be asked, and does not answer.
  package static func read(
    _ environment: [String: String], pmix: any PMIxServer = PMIxLibrary(), claims: LauncherClaims = .process
  ) throws(FailureReport) -> LaunchIdentity {
    let variables = EnvironmentReader(environment)
    if variables["TUTTI_RANK"] != nil {
      try variables.requireAll(own)
      return try readOwn(variables)
    }
    if let family = LaunchFamily.find(variables) {
      return try LaunchReading(environment, variables, family, pmix, claims).identity()
    }
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
}

extension EnvironmentReader {
  /// Where the ranks meet, as `TUTTI_RENDEZVOUS` has it.
  func rendezvous(rank: Int) throws(FailureReport) -> RendezvousAddress {
    let text = self["TUTTI_RENDEZVOUS"] ?? ""
    if let rendezvous = RendezvousAddress(text) { return rendezvous }
    throw FailureReport(
      .configuration, rank: rank, "TUTTI_RENDEZVOUS=\"\(text)\" is not an address",
      advice: "Set it to host:port, [IPv6]:port, or unix:@name when all ranks are on one host; the same on every rank")
  }
}
