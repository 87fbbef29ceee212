import ArgumentParser
import Tutti
import TuttiAlgorithms
import TuttiChoice
import TuttiSchedule
import TuttiSystem
import TuttiTopology

/// `collbench explain` says which algorithm `auto` stands for, and why. It sends nothing.
struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract: "Predicts what each algorithm takes, what bounds it, and which one 'auto' stands for.",
    discussion: """
      collbench explain all-reduce --bytes 16M --topology Topologies/ethernet-4.yaml
          every algorithm on the hosts and links of a topology file, the fastest first
      collbench explain broadcast --bytes 64K --ranks 16 --hosts 4
          four hosts of four ranks, each with one link of 10 Gb/s
      collbench explain all-reduce --bytes 8 --topology Topologies/rail-pod-1024.yaml --format json | jq .chosen

      Times are for a job that has the network and its processors for itself.
      """)

  @Argument(help: "One of \(Catalog.collectives.joined(separator: ", ")).")
  var collective: String

  @Option(help: "Bytes of the message or of all ranks' blocks: 8, 4K, 2M. K, M, G are powers of 1024.")
  var bytes: String?

  @Option(help: "A topology file, in YAML or JSON. Its ranks are the job's.")
  var topology: String?

  @Option(help: "Without a topology file: the rank count.")
  var ranks: Int?

  @Option(help: "Without a topology file: the number of hosts that the ranks are spread over, in order. (default: 1)")
  var hosts: Int?

  @Option(
    help: """
      Without a topology file: how many ranks can run at the same time on a host, where that is not all of them.
      """)
  var processors: Int?

  @Option(help: "A tuning profile (docs/TUNING.md), or none. (default: what TUTTI_TUNING says, or that of the default path)")
  var tuning: String?

  @Option(help: "What floating-point results may depend on: \(ResultBits.allCases.map(\.name).joined(separator: ", ")).")
  var bits = ResultBits.class.name

  private static let formats = ["table", "json"]

  @Option(help: "One of \(formats.joined(separator: ", ")). (default: table)")
  var format: String?

  @Flag(help: "The same as --format json.")
  var json = false

  func validate() throws {
    _ = try call()
    if let format, !Self.formats.contains(format) {
      throw ValidationError(unknown("format", format, known: Self.formats))
    }
    if json, let format, format != "json" {
      throw ValidationError("--json and --format \(format) contradict each other: leave one of the two out.")
    }
  }

  func run() throws {
    let call = try call()
    var described: Topology?
    if let topology {
      do throws(TopologyFailure) { described = try describedTopology(in: topology) } catch {
        Terminal.error(error.description)
        throw ExitCode.failure
      }
    }
    let bits = try resultBits(bits) ?? .class
    let (plain, tuning) = try choice(described)
    let explanation = plain.folding(
      by: bits.tree(for: plain.grouping),
      among: AlgorithmRegistry.candidates(for: plain.grouping, inRankOrder: bits == .canonical)
    ).explain(call.collective, bytes: call.bytes)
    let isJSON = json || format == "json"
    try Terminal.write(isJSON ? explanation.json(described, TuningInfo(tuning)).text() + "\n" : explanation.text)
  }

  /// Checks what was asked for.
  private func call() throws -> (collective: Collective, bytes: UInt64) {
    _ = try resultBits(bits)
    guard let wanted = Collective(name: collective) else {
      throw ValidationError(unknown("collective", collective, known: Catalog.collectives))
    }
    if topology != nil {
      guard ranks == nil, hosts == nil, processors == nil else {
        throw ValidationError("--topology says the ranks and hosts: leave --ranks, --hosts and --processors out.")
      }
    } else {
      guard let ranks else { throw ValidationError("Give --topology FILE, or --ranks N and perhaps --hosts N.") }
      guard (1...JobSize.ranksMax).contains(ranks) else {
        throw ValidationError("--ranks \(ranks): must be 1 to \(JobSize.ranksMax).")
      }
      if let hosts, !(1...ranks).contains(hosts) {
        throw ValidationError("--hosts \(hosts): must be 1 to \(ranks), so that each has a rank.")
      }
      if let processors, !(1...ranks).contains(processors) {
        throw ValidationError("--processors \(processors): must be 1 to \(ranks), of which each runs a rank.")
      }
    }
    guard Subject.collective(wanted).carriesData else {
      guard bytes == nil else { throw ValidationError("\(wanted.name) carries no data: leave --bytes out.") }
      return (wanted, 0)
    }
    guard let bytes else { throw ValidationError("--bytes: give the size of the message, or of all ranks' blocks.") }
    return (wanted, UInt64(try byteCount(bytes, of: "--bytes")))
  }

  /// The choice on a described network, or on hosts that are told by their number alone; and what is known of the machines,
  /// which are taken to be like this one.
  private func choice(_ described: Topology?) throws -> (AlgorithmChoice, Tuning) {
    if let described {
      guard described.rankCount <= JobSize.ranksMax else {
        Terminal.error(
          "\(topology ?? ""): \(described.counts): explain reads programs of up to \(JobSize.ranksMax) ranks.")
        throw ExitCode.failure
      }
      let levels = described.levels.map(\.numbers)
      let grouping = levels.isEmpty ? Grouping(rankCount: described.rankCount) : try Grouping(levels)
      return try tuned(grouping, ChoiceTerms.medium(of: described), processors: ChoiceTerms(described).processors) {
        ChoiceTerms(described, $0)
      }
    }
    let (ranks, hosts) = (ranks ?? 1, hosts ?? 1)
    let facts: (grouping: Grouping, levels: [JobFacts.Level]) =
      if hosts == 1 {
        (Grouping(rankCount: ranks), [.init(name: "rank", medium: .sharedMemory)])
      } else if hosts == ranks {
        (Grouping(rankCount: ranks), [.init(name: "host", medium: .network)])
      } else {
        (
          try Grouping([(0..<ranks).map { $0 * hosts / ranks }]),
          [.init(name: "host", medium: .network), .init(name: "rank", medium: .sharedMemory)]
        )
      }
    let perHost = (ranks + hosts - 1) / hosts
    let job = JobFacts(levels: facts.levels, processors: min(perHost, processors ?? perHost))
    return try tuned(facts.grouping, facts.levels[0].medium, processors: job.processors) { ChoiceTerms(job, $0) }
  }

  /// The choice by what is known of the machines.
  private func tuned(
    _ grouping: Grouping, _ medium: Medium, processors: Int, _ terms: (TuningProfile) -> ChoiceTerms
  ) throws -> (AlgorithmChoice, Tuning) {
    let shape = JobShape(grouping, medium: medium, processors: processors)
    let tuning = try tuningHere(shape, tuning)
    let choice = AlgorithmChoice(
      grouping: grouping, terms: terms(tuning.profile), candidates: AlgorithmRegistry.candidates(for: grouping))
    return (choice.tuned(by: tuning, shape: shape), tuning)
  }
}
