import ArgumentParser
import CTuttiLinux
import TuttiAlgorithms
import TuttiSchedule
import TuttiSystem

/// `collbench verify` proves the algorithms, for every rank count of a range, by symbolic execution. It sends nothing.
struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Proves algorithms: the result, equal bits on all ranks, matched messages, no deadlock, memory.",
    discussion: """
      Collectives with a root are proven with the roots 0, 1 and the last rank. Algorithms that fold canonically give the same \
      bits as each other (docs/REPRODUCIBILITY.md).
      """)

  @Option(help: "Only this collective: \(Catalog.collectives.joined(separator: ", ")). (default: all)")
  var collective: String?

  @Option(help: "Only the algorithm of this name. (default: all)")
  var algorithm: String?

  @Option(help: "The smallest rank count.")
  var minRanks = 1

  @Option(help: "The largest rank count.")
  var maxRanks = 64

  func validate() throws { _ = try selection() }

  func run() throws {
    let start = tutti_now_ns()
    let algorithms = try selection()
    let proofs = AlgorithmProofs(algorithms, ranks: minRanks...maxRanks)
    try proofs.start()
    var steps = 0
    var schedules = 0
    for (index, algorithm) in algorithms.enumerated() {
      let label = "\(algorithm.collective.name) \(algorithm.name)"
      let outcome = awaitOutcome(proofs, index, "\(index + 1)/\(algorithms.count) \(label)")
      if let (rankCount, failure) = outcome.failure {
        Terminal.error("collbench: \(label), \(rankCount) ranks: \(failure)")
        throw ExitCode.failure
      }
      steps += outcome.report.steps
      schedules += outcome.schedules
      try Terminal.write(
        "\(label): proven for \(counted(outcome.rankCounts, "rank count")), \(counted(outcome.schedules, "schedule")), "
          + "\(counted(outcome.report.messages, "message"))\(outcome.folds.description.map { "; " + $0 } ?? "")\n")
    }
    let seconds = decimal(Double(tutti_now_ns() - start) / 1e9, digits: 1)
    try Terminal.write(
      "\(counted(algorithms.count, "algorithm")), \(minRanks) to \(maxRanks) ranks: "
        + "\(counted(schedules, "schedule")) with \(counted(steps, "step")) proven in \(seconds) s\n")
  }

  /// Waits for what comes of an algorithm, and shows how far its proof is.
  private func awaitOutcome(_ proofs: AlgorithmProofs, _ index: Int, _ label: String) -> AlgorithmProofs.Outcome {
    defer { Terminal.progress("") }
    while true {
      if let outcome = proofs.outcome(index, atMost: 100_000_000) { return outcome }
      if let rankCount = proofs.rankCount(index) { Terminal.progress("\(label), \(rankCount) of \(maxRanks) ranks") }
    }
  }

  /// The algorithms asked for.
  private func selection() throws -> [any Algorithm] {
    guard minRanks >= 1, minRanks <= maxRanks, maxRanks <= JobSize.ranksMax else {
      throw ValidationError(
        "--min-ranks \(minRanks) --max-ranks \(maxRanks): must be 1 <= minimum <= maximum <= \(JobSize.ranksMax).")
    }
    var selected = AlgorithmRegistry.all
    if let collective {
      guard let wanted = Collective(name: collective) else {
        throw ValidationError(unknown("collective", collective, known: Catalog.collectives))
      }
      selected = AlgorithmRegistry.algorithms(for: wanted)
    }
    guard let algorithm else { return selected }
    let known = selected.map(\.name)
    guard known.contains(algorithm) else {
      throw ValidationError(unknown((collective.map { $0 + " " } ?? "") + "algorithm", algorithm, known: known))
    }
    return selected.filter { $0.name == algorithm }
  }
}
