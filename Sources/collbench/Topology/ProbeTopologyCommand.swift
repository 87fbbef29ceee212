import ArgumentParser
import Tutti
import TuttiTopology

/// `collbench topology probe`: latency and bandwidth from host to host and inside hosts, measured.
struct ProbeTopologyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "probe",
    abstract: "Measures latency and bandwidth between a job's hosts and inside them.",
    discussion: """
      Between hosts, one rank of each measures, in rounds in which no host is in two pairs; then the ranks of each host. A round \
      takes about 0.2 s. There are as many rounds as the number of hosts has binary digits, or with --all-pairs, as hosts.

      collbench topology probe --ranks 4
          inside this machine
      mpirun -n 16 collbench topology probe --output cluster.yaml
          the hosts of a job, and a topology file with what was measured
      """)

  static let formats = ["table", "json"]

  @OptionGroup var job: JobOptions

  @Flag(help: "Measure every pair.")
  var allPairs = false

  @Option(help: "One of \(formats.joined(separator: ", ")).")
  var format = "table"

  @Option(help: "Write a topology file with what was measured, whole or not at all.")
  var output: String?

  func validate() throws {
    guard Self.formats.contains(format) else { throw ValidationError(unknown("format", format, known: Self.formats)) }
  }

  func run() throws {
    try job.run { communicator in
      if communicator.rank == 0, let output { _ = try OutputFile(path: output) }
      var discovered = DiscoveredTopology(try HostReport.read(communicator).exchange(communicator))
      let probe = TopologyProbe(discovered, all: allPairs)
      if communicator.rank == 0 { Terminal.error(probe.announcement) }
      let pairs = try probe.run(communicator)
      guard communicator.rank == 0 else { return }
      try Terminal.write(format == "json" ? json(pairs, discovered).text() + "\n" : table(pairs, discovered))
      for pair in pairs where pair.isBetweenHosts {
        discovered.note(
          DiscoveredTopology.Measured(
            latency: pair.result.latency, bandwidth: max(pair.result.forth, pair.result.back)),
          between: pair.firstHost, and: pair.secondHost)
      }
      if let output { try writeTopology(discovered, to: output) }
    }
  }

  private func table(_ pairs: [TopologyProbe.MeasuredPair], _ discovered: DiscoveredTopology) -> String {
    let names = pairs.map { pair in
      (place(pair.first, pair.firstHost, discovered), place(pair.second, pair.secondHost, discovered))
    }
    let width = max(8, names.map { max($0.0.count, $0.1.count) }.max() ?? 0)
    func padded(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }
    func right(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) + text }
    var text = "# \(padded("from", width))  \(padded("to", width))  latency(us)  there(GB/s)   back(GB/s)\n"
    for (pair, name) in zip(pairs, names) {
      text +=
        "  \(padded(name.0, width))  \(padded(name.1, width))  \(right(decimal(pair.result.latency / 1000, digits: 2), 11))"
      text += "  \(right(decimal(pair.result.forth, digits: 3), 11))  \(right(decimal(pair.result.back, digits: 3), 11))\n"
    }
    return text
  }

  /// `node1 (rank 4)`.
  private func place(_ rank: Int, _ host: Int, _ discovered: DiscoveredTopology) -> String {
    "\(discovered.hostNames[host]) (rank \(rank))"
  }

  private func json(_ pairs: [TopologyProbe.MeasuredPair], _ discovered: DiscoveredTopology) -> JSONValue {
    .object([
      ("version", .integer(reportVersion)), ("tutti", .string(toolVersion)),
      ("hosts", .array(discovered.hostNames.map { .string($0) })),
      (
        "pairs",
        .array(
          pairs.map { pair in
            .object([
              ("from", .integer(pair.first)), ("to", .integer(pair.second)),
              ("fromHost", .string(discovered.hostNames[pair.firstHost])),
              ("toHost", .string(discovered.hostNames[pair.secondHost])),
              ("latencyMicroseconds", .number((pair.result.latency).rounded() / 1000)),
              ("bandwidthGBps", .number(pair.result.forth)), ("reverseBandwidthGBps", .number(pair.result.back)),
            ])
          })
      ),
    ])
  }
}
