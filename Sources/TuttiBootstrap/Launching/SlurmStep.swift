import TuttiSystem

/// What Slurm's variables say of the step that this process is a task of (srun(1), OUTPUT ENVIRONMENT VARIABLES).
enum SlurmStep {
  /// Numbers from here on are Slurm's own: batch scripts, external and interactive steps.
  private static let firstReservedStep = 4_294_967_280

  /// Whether this process is a task of a step that srun started. A batch script has a rank and a number of tasks as well,
  /// but no step.
  static func isStep(_ variables: EnvironmentReader) -> Bool {
    guard let step = variables["SLURM_STEP_ID"].flatMap({ Int($0) }) else { return false }
    return step < firstReservedStep
  }

  /// Whether this process has an allocation, and is no task of a step.
  static func isAllocation(_ variables: EnvironmentReader) -> Bool {
    variables["SLURM_JOB_ID"] != nil && !isStep(variables)
  }

  /// Where the ranks meet: at the first node of the step, and at the port that Slurm has reserved for the step, or one that
  /// its number gives, so that steps on one node rarely share one.
  static func rendezvous(_ variables: EnvironmentReader, rank: Int) throws(FailureReport) -> RendezvousAddress {
    let advice =
      "Set TUTTI_RENDEZVOUS to host:port of rank 0, the same on every rank, or start the ranks with srun --mpi=pmi2 "
      + "or --mpi=pmix"
    let distribution = variables["SLURM_DISTRIBUTION"] ?? ""
    if distribution.split(whereSeparator: { ":,".contains($0) }).contains("arbitrary") {
      throw FailureReport(
        .configuration, rank: rank,
        "SLURM_DISTRIBUTION=\"\(distribution)\" puts tasks in an order that does not tell where "
          + "rank 0 is", advice: advice)
    }
    let list = variables["SLURM_STEP_NODELIST"] ?? ""
    guard let host = firstHost(list) else {
      throw FailureReport(
        .configuration, rank: rank, "SLURM_STEP_NODELIST=\"\(list)\" does not name the step's first node", advice: advice)
    }
    return .tcp(host: host, port: try port(variables))
  }

  /// The first host of a list such as `rack[0-1]n[08-09],login`; nil when it is malformed.
  static func firstHost(_ list: String) -> String? {
    var host = ""
    var rest = list[...]
    while let character = rest.popFirst(), character != "," {
      guard character == "[" else {
        if character == "]" || character.isWhitespace { return nil }
        host.append(character)
        continue
      }
      guard let end = rest.firstIndex(of: "]") else { return nil }
      let number = rest[..<end].prefix { $0 != "," && $0 != "-" }
      guard !number.isEmpty, number.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
      host += number
      rest = rest[rest.index(after: end)...]
    }
    return host.isEmpty ? nil : host
  }

  private static func port(_ variables: EnvironmentReader) throws(FailureReport) -> UInt16 {
    if let reserved = variables["SLURM_STEP_RESV_PORTS"] {
      let first = reserved.prefix { $0 != "-" && $0 != "," }
      if let port = UInt16(first), port > 0 { return port }
    }
    let job = try variables.integer("SLURM_JOB_ID", 0...Int(UInt32.max))
    let step = try variables.integer("SLURM_STEP_ID", 0...Int(UInt32.max))
    return UInt16(20_000 + (job * 256 + step) % 10_000)
  }
}
