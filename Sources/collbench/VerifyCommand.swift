import ArgumentParser
import CTuttiLinux
import TuttiAlgorithms
import TuttiSchedule

/// `collbench verify`: proves the algorithms, for every rank count of a range, by symbolic execution. Nothing is sent anywhere.
struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Proves algorithms: the result, equal bits on all ranks, matched messages, no deadlock, memory.")

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
    for algorithm in algorithms {
      let label = "\(algorithm.collective.name) \(algorithm.name)"
      var proven = 0
      var report = ProofReport()
      for rankCount in minRanks...maxRanks where algorithm.isDefined(rankCount: rankCount) {
        Terminal.progress("\(label), \(rankCount) of \(maxRanks) ranks")
        do throws(ProofFailure) {
          // No collective of today has a root.
          report += try Verifier.prove(collective: algorithm.collective, rankCount: rankCount, root: 0) {
            algorithm.schedule(rank: $0, rankCount: rankCount, root: 0)
          }
        } catch {
          Terminal.progress("")
          Terminal.error("collbench: \(label), \(rankCount) ranks: \(error)")
          throw ExitCode.failure
        }
        proven += 1
        schedules += rankCount
      }
      total += report
      Terminal.progress("")
      Terminal.write("\(label): proven for \(proven) rank counts, \(report.messages) messages\n")
    }
    let seconds = decimal(Double(tutti_now_ns() - start) / 1e9, digits: 1)
    Terminal.write(
      "\(algorithms.count) algorithm\(algorithms.count == 1 ? "" : "s"), \(minRanks) to \(maxRanks) ranks: "
        + "\(schedules) schedules with \(total.steps) steps proven in \(seconds) s\n")
  }

  /// The algorithms asked for.
  private func selection() throws -> [any Algorithm] {
    guard minRanks >= 1, minRanks <= maxRanks, maxRanks <= 4096 else {
      throw ValidationError("--min-ranks \(minRanks) --max-ranks \(maxRanks): must be 1 <= minimum <= maximum <= 4096.")
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
