import TuttiSystem

/// Launchers that tell a process its rank by the same variables.
struct LaunchFamily: Sendable {
  /// Whose variables these are, for messages.
  let name: String
  let rank: String
  /// nil where the launcher does not tell the number of ranks.
  let size: String?
  /// Variables that together name the job, where all of them are set.
  let job: [String]
  /// Whether its ranks may meet over PMIx.
  var speaksPMIx = false

  static let slurmRank = "SLURM_PROCID"
  static let common = LaunchFamily(name: "the launcher", rank: "RANK", size: "WORLD_SIZE", job: ["TORCHELASTIC_RUN_ID"])
  static let openMPI = LaunchFamily(
    name: "Open MPI", rank: "OMPI_COMM_WORLD_RANK", size: "OMPI_COMM_WORLD_SIZE", job: ["PMIX_NAMESPACE"],
    speaksPMIx: true)
  static let pmi = LaunchFamily(name: "the PMI launcher", rank: "PMI_RANK", size: "PMI_SIZE", job: ["PMI_JOBID"])
  static let slurm = LaunchFamily(
    name: "Slurm", rank: slurmRank, size: "SLURM_STEP_NUM_TASKS", job: ["SLURM_JOB_ID", "SLURM_STEP_ID"],
    speaksPMIx: true)
  static let prrte = LaunchFamily(name: "PRRTE", rank: "PMIX_RANK", size: nil, job: ["PMIX_NAMESPACE"], speaksPMIx: true)
  static let kubernetes = LaunchFamily(name: "Kubernetes", rank: "JOB_COMPLETION_INDEX", size: nil, job: [])

  /// By precedence. Launchers nest, and the inner one's ranks count: `salloc mpirun` leaves Slurm's variables of a step
  /// of another kind on every rank, and `srun torchrun` those of the agents. So Slurm is the last of those that tell both
  /// rank and size.
  private static let all = [common, openMPI, pmi, slurm, prrte, kubernetes]

  /// The family that tells this process its rank; nil when none does.
  static func find(_ variables: EnvironmentReader) -> LaunchFamily? {
    all.first { family in
      guard variables[family.rank] != nil else { return false }
      if let size = family.size, variables[size] == nil { return false }
      return family.rank != slurmRank || SlurmStep.isStep(variables)
    }
  }

  /// What the launcher calls the job.
  func jobName(_ variables: EnvironmentReader) -> String? {
    let parts = job.compactMap { variables[$0] }
    return parts.isEmpty || parts.count < job.count ? nil : parts.joined(separator: ".")
  }

  /// Which variables say who this process is, for messages and logs.
  var source: String { [rank, size ?? "TUTTI_SIZE"].joined(separator: ", ") }
}

extension LaunchIdentity {
  /// Whether anything started this process as a rank, or meant to: ``read(_:)`` then says who it is, or what is missing.
  package static func isLaunched(_ environment: [String: String]) -> Bool {
    let variables = EnvironmentReader(environment)
    return variables.hasAny(own + ["RANK", "WORLD_SIZE"]) || LaunchFamily.find(variables) != nil
      || SlurmStep.isAllocation(variables)
  }

  /// The rank of this process as its variable has it, for messages before it has joined; nil where there is none.
  package static func rankText(_ environment: [String: String]) -> String? {
    let variables = EnvironmentReader(environment)
    return variables["TUTTI_RANK"] ?? LaunchFamily.find(variables).flatMap { variables[$0.rank] }
  }
}
