import ArgumentParser
import TuttiAlgorithms
import TuttiSchedule

/// `collbench plan` shows what the ranks would do in an algorithm. It sends nothing.
struct PlanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Shows an algorithm's steps: as text, as a graph, or as a picture of messages in time.",
    discussion: """
      collbench plan all-reduce --algorithm ring --ranks 3
          the steps of every rank, with their rounds
      collbench plan all-reduce --algorithm ring --ranks 8 --format svg --output ring.svg
          ranks from top to bottom, time from left to right, an arrow for each message
      collbench plan reduce --algorithm binomial --ranks 5 --root 2 --format dot --output reduce.dot
          a graph for Graphviz: dot -Tpdf reduce.dot > reduce.pdf

      The picture's time is that of an abstract machine: a message takes one unit, and on top of that four units \
      for all of the data, or its share of the four; links do not disturb each other, and local work takes no time.
      """)

  /// More ranks than this would be too much to look at.
  static let ranksMax = 64
  static let formats = ["text", "dot", "svg"]

  @Argument(help: "One of \(Catalog.collectives.joined(separator: ", ")).")
  var collective: String

  @Option(help: "A name from 'collbench list'.")
  var algorithm: String

  @Option(help: "The rank count, 1 to \(ranksMax).")
  var ranks: Int

  @Option(help: "The root, where the collective has one. (default: 0)")
  var root: Int?

  @Option(help: "One of \(formats.joined(separator: ", ")).")
  var format = "text"

  @Option(help: "Write to this file instead of standard output, whole or not at all.")
  var output: String?

  func validate() throws { _ = try selection() }

  func run() throws {
    let selected = try selection()
    let file = try output.map { try OutputFile(path: $0) }
    let grouping = Grouping(rankCount: ranks)
    let schedules = (0..<ranks).map { selected.schedule(for: grouping.position(of: $0, root: root ?? 0)) }
    let text =
      switch format {
      case "dot": Schedule.dot(of: schedules, algorithm: algorithm)
      case "svg": Schedule.svg(of: schedules, algorithm: algorithm)
      default: try Schedule.text(of: schedules, algorithm: algorithm) + foldText(schedules)
      }
    if let file { try file.write(text) } else { try Terminal.write(text) }
  }

  /// A line that says by which trees the results fold; nothing where nothing is combined.
  private func foldText(_ schedules: [Schedule]) throws -> String {
    let report = try Verifier.prove(
      collective: schedules[0].collective, rankCount: schedules.count, root: schedules[0].root
    ) { schedules[$0] }
    return report.foldClass.map { "folds: \($0.text)\n" } ?? ""
  }

  /// Checks everything that was asked for, and returns the algorithm.
  private func selection() throws -> any Algorithm {
    guard let wanted = Collective(name: collective) else {
      throw ValidationError(unknown("collective", collective, known: Catalog.collectives))
    }
    guard let selected = AlgorithmRegistry.algorithm(wanted, named: algorithm) else {
      throw ValidationError(unknown("\(collective) algorithm", algorithm, known: Catalog.algorithms(for: wanted)))
    }
    guard (1...PlanCommand.ranksMax).contains(ranks) else {
      throw ValidationError("--ranks \(ranks): must be 1 to \(PlanCommand.ranksMax).")
    }
    guard selected.isDefined(for: Grouping(rankCount: ranks)) else {
      let defined = (1...PlanCommand.ranksMax).filter { selected.isDefined(for: Grouping(rankCount: $0)) }
        .map(String.init).joined(separator: ", ")
      throw ValidationError("--ranks \(ranks): \(collective) \(algorithm) is not defined for it. It is for \(defined).")
    }
    if let root {
      guard wanted.hasRoot else {
        let rooted = Collective.allCases.filter(\.hasRoot).map(\.name).joined(separator: ", ")
        throw ValidationError("\(collective) has no root: leave --root out. It is for \(rooted).")
      }
      guard (0..<ranks).contains(root) else {
        throw ValidationError("--root \(root): must be a rank, 0 to \(ranks - 1).")
      }
    }
    guard PlanCommand.formats.contains(format) else {
      throw ValidationError(unknown("format", format, known: PlanCommand.formats))
    }
    return selected
  }
}
