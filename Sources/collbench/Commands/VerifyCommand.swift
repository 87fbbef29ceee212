import ArgumentParser
import CTuttiLinux
import TuttiAlgorithms
import TuttiSchedule

/// `collbench verify` proves the algorithms, for every rank count of a range, by symbolic execution. It sends nothing.
struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Proves algorithms: the result, equal bits on all ranks, matched messages, no deadlock, memory.",
    discussion: """
      Collectives with a root are proven with the roots 0, 1 and the last rank. Algorithms that fold canonically give the same \
      bits as each other (docs/REPRODUCIBILITY.md).
      """)

  static let ranksMax = 65_536

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
    var total = ProofReport()
    var schedules = 0
    for (index, algorithm) in algorithms.enumerated() {
      let label = "\(algorithm.collective.name) \(algorithm.name)"
      let firstSchedule = schedules
      var proven = 0
      var report = ProofReport()
      var folds = FoldSummary()
      for grouping in (minRanks...maxRanks).map({ Grouping(rankCount: $0) }) where algorithm.isDefined(for: grouping) {
        let rankCount = grouping.rankCount
        Terminal.progress("\(index + 1)/\(algorithms.count) \(label), \(rankCount) of \(maxRanks) ranks")
        var here = ProofReport()
        for root in algorithm.collective.hasRoot ? roots(rankCount: rankCount) : [0] {
          do throws(ProofFailure) {
            here += try Verifier.prove(collective: algorithm.collective, rankCount: rankCount, root: root) {
              algorithm.schedule(for: grouping.position(of: $0, root: root))
            }
          } catch {
            Terminal.progress("")
            Terminal.error("collbench: \(label), \(rankCount) ranks: \(error)")
            throw ExitCode.failure
          }
          schedules += rankCount
        }
        folds.add(here.foldClass, rankCount: rankCount)
        report += here
        proven += 1
      }
      total += report
      Terminal.progress("")
      try Terminal.write(
        "\(label): proven for \(counted(proven, "rank count")), \(counted(schedules - firstSchedule, "schedule")), "
          + "\(counted(report.messages, "message"))\(folds.description.map { "; " + $0 } ?? "")\n")
    }
    let seconds = decimal(Double(tutti_now_ns() - start) / 1e9, digits: 1)
    try Terminal.write(
      "\(counted(algorithms.count, "algorithm")), \(minRanks) to \(maxRanks) ranks: "
        + "\(counted(schedules, "schedule")) with \(counted(total.steps, "step")) proven in \(seconds) s\n")
  }

  /// The roots to prove with: the first rank, the last, and one that is neither where there is one.
  private func roots(rankCount: Int) -> [Int] { Set([0, 1, rankCount - 1]).filter { $0 < rankCount }.sorted() }

  /// The algorithms asked for.
  private func selection() throws -> [any Algorithm] {
    guard minRanks >= 1, minRanks <= maxRanks, maxRanks <= VerifyCommand.ranksMax else {
      throw ValidationError(
        "--min-ranks \(minRanks) --max-ranks \(maxRanks): must be 1 <= minimum <= maximum <= \(VerifyCommand.ranksMax).")
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
