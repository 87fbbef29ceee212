import TuttiSystem

/// Reads who this process is from the variables of a launcher.
struct LaunchReading {
  private let environment: [String: String]
  private let variables: EnvironmentReader
  private let family: LaunchFamily
  private let pmix: any PMIxServer
  private let claims: LauncherClaims

  init(
    _ environment: [String: String], _ variables: EnvironmentReader, _ family: LaunchFamily, _ pmix: any PMIxServer,
    _ claims: LauncherClaims
  ) {
    (self.environment, self.variables, self.family) = (environment, variables, family)
    (self.pmix, self.claims) = (pmix, claims)
  }

  func identity() throws(FailureReport) -> LaunchIdentity {
    guard let size = family.size ?? (variables.hasAny(["TUTTI_SIZE"]) ? "TUTTI_SIZE" : nil) else {
      return try identityWithoutSize()
    }
    let (rank, rankCount) = try variables.rankAndCount(family.rank, size)
    try variables.refuseContradiction(rankCount, size, "TUTTI_SIZE")
    let (place, source, space) = try place(rank: rank, rankCount: rankCount)
    return LaunchIdentity(
      rank: rank, rankCount: rankCount, place: place, source: "\(family.rank), \(size), \(source)",
      job: family.jobName(variables), space: space)
  }

  /// Asks the launcher for the number of ranks, which no variable tells.
  private func identityWithoutSize() throws(FailureReport) -> LaunchIdentity {
    guard family.speaksPMIx, PMIxMeeting.isOffered(environment) else {
      throw FailureReport(
        .configuration, "\(family.name) tells this process its rank (\(family.rank)), but not the number of ranks",
        advice: "Set TUTTI_SIZE to it, and TUTTI_RENDEZVOUS to host:port of rank 0, on every rank")
    }
    let rank = try variables.integer(family.rank, 0...JobSize.ranksMax - 1)
    let own = variables["TUTTI_RENDEZVOUS"] == nil ? nil : try variables.rendezvous(rank: rank)
    let meeting = try PMIxMeeting(pmix, rank: rank, environment, claims: claims)
    let rankCount = try meeting.rankCount()
    guard rank < rankCount, rankCount <= JobSize.ranksMax else {
      throw FailureReport(
        .configuration, rank: rank,
        "\(family.rank)=\(rank) is outside the job, which has \(rankCount) ranks by the launcher's PMIx server",
        advice: "Jobs have up to \(JobSize.ranksMax) ranks, which count from 0")
    }
    return LaunchIdentity(
      rank: rank, rankCount: rankCount, place: own.map { .address($0) } ?? Self.place(meeting.space),
      source: "\(family.rank), PMIx" + (own == nil ? "" : ", TUTTI_RENDEZVOUS"), job: family.jobName(variables),
      space: meeting.space)
  }

  private func place(
    rank: Int, rankCount: Int
  ) throws(FailureReport) -> (MeetingPlace, source: String, space: LauncherSpace?) {
    if variables["TUTTI_RENDEZVOUS"] != nil {
      return (.address(try variables.rendezvous(rank: rank)), "TUTTI_RENDEZVOUS", nil)
    }
    if family.rank == LaunchFamily.common.rank {
      let (address, source) = try master(rank: rank)
      return (.address(address), source, nil)
    }
    if family.rank == LaunchFamily.pmi.rank, variables["PMI_FD"] != nil {
      let descriptor = Int32(try variables.integer("PMI_FD", 0...Int(Int32.max)))
      let space = PMIClient.space(descriptor: descriptor, claims: claims)
      return (Self.place(space), "PMI_FD", space)
    }
    // Slurm's steps meet without PMIx where they have a secret: they need no library then.
    let hasOwnWay = family.rank == LaunchFamily.slurm.rank && JobSecret.isSet(in: environment)
    if family.speaksPMIx, PMIxMeeting.isOffered(environment), !hasOwnWay {
      let space = try PMIxMeeting(pmix, rank: rank, environment, claims: claims).space
      return (Self.place(space), "PMIx", space)
    }
    if family.rank == LaunchFamily.slurm.rank {
      return (.address(try SlurmStep.rendezvous(variables, rank: rank)), "SLURM_STEP_NODELIST", nil)
    }
    throw FailureReport(
      .configuration, rank: rank,
      "\(family.name) started this process as rank \(rank) of \(rankCount) (\(family.source)), but nothing says where the "
        + "ranks meet",
      advice: "Set TUTTI_RENDEZVOUS to host:port of rank 0, the same on every rank"
        + (family.rank == LaunchFamily.openMPI.rank ? " (mpirun -x TUTTI_RENDEZVOUS -x TUTTI_SECRET ...)" : ""))
  }

  private static func place(_ space: LauncherSpace) -> MeetingPlace {
    guard let key = MeetingPlace.key("main") else { preconditionFailure("a plain name") }
    return .store(space, key: key)
  }

  private func master(rank: Int) throws(FailureReport) -> (RendezvousAddress, source: String) {
    try variables.requireAll(["RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"])
    var port = try variables.integer("MASTER_PORT", 1...65535)
    var source = "MASTER_ADDR, MASTER_PORT"
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
