import ArgumentParser
import Datasets
import Models
import Tutti

/// `DataParallelTrainer overlap` measures, in a job of its own, how much of the communication hides behind the computation,
/// and how much could.
struct OverlapCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "overlap", abstract: "Measures how much of the communication hides behind the computation.",
    discussion: """
      Trains a transformer and measures in turn, round by round: computation alone, communication alone, and steps with \
      and without overlap. Times are those of the slowest rank. Each number is the median over the rounds; for ratios, it is the median of the rounds' ratios.

      What is possible is computed from the first two: each bucket is sent when it was ready in the computation alone, at \
      the earliest when the one before it is done, and takes its share of the communication alone, by bytes.

      Scripts/train overlap
          2 hosts of this machine with a link of 1 Gb/s between them (as root)
      """)

  @OptionGroup(title: "Ranks and communication") var job: JobOptions

  @Option(help: "The width of the model: the numbers that stand for each character.")
  var width = 512

  @Option(help: "Transformer blocks.")
  var layers = 6

  @Option(help: "Attention heads, which divide the width.")
  var heads = 8

  @Option(help: "Characters in each row.")
  var context = 128

  @Option(
    help: "Rows of a rank in a step. (default: so many that the backward pass is a little longer than the communication)")
  var rows: Int?

  @Option(help: "How many times everything is measured.")
  var rounds = 9

  @Option(help: "table or json.")
  var format = Format.table

  @Flag(help: "Exit with status 1 when a bar is missed.")
  var check = false

  enum Format: String, ExpressibleByArgument, CaseIterable {
    case table, json
  }

  func validate() throws {
    try DataParallelTrainer.check("--width", width, in: 1...16_384)
    try DataParallelTrainer.check("--layers", layers, in: 1...1000)
    try DataParallelTrainer.check("--heads", heads, in: 1...1024)
    try DataParallelTrainer.check("--context", context, in: 1...65_536)
    try DataParallelTrainer.check("--rows", rows, in: 1...65_536)
    try DataParallelTrainer.check("--rounds", rounds, in: 1...10_000)
    guard width % heads == 0 else { throw ValidationError("--heads \(heads): must divide the --width, which is \(width).") }
    if job.ranks == 1 { throw ValidationError("--ranks 1: one rank has nobody to communicate with. Give 2 or more.") }
  }

  func run() throws {
    let corpus = try TextCorpus.load(context: context)
    try job.run { communicator in
      guard communicator.rankCount > 1 else {
        throw CommandFailure("one rank has nobody to communicate with: give --ranks N, or launch several.")
      }
      try communicator.checkAgreement(
        job.settings + [
          ("--width", "\(width)"), ("--layers", "\(layers)"), ("--heads", "\(heads)"), ("--context", "\(context)"),
          ("--rows", rows.map(String.init) ?? "auto"), ("--rounds", "\(rounds)"), ("--check", "\(check)"),
        ])
      let measurement = try OverlapMeasurement(
        communicator, job, corpus, LanguageModelSizes(width: width, layers: layers, heads: heads, context: context))
      defer { measurement.close() }
      let report = try measurement.run(rows: rows, rounds: rounds)
      if communicator.rank == 0 {
        switch format {
        case .table: try Terminal.write(report.table)
        case .json: try Terminal.write(report.json)
        }
      }
      if check, !report.bars.allSatisfy(\.isMet) { throw StatusCode(1) }
    }
  }
}
