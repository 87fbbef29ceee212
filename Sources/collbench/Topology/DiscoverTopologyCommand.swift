import ArgumentParser
import Tutti
import TuttiTopology

/// `collbench topology discover`: the job's own table of ranks, as a topology file.
struct DiscoverTopologyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "discover",
    abstract: "Writes what a job's ranks know of their hosts as a topology file.",
    discussion: """
      Hosts, sockets, NUMA nodes, which rank is where, and the rates of interfaces as far as the kernel tells them. Nothing is \
      measured: see 'collbench topology probe'.

      collbench topology discover --ranks 4
          this machine, with four ranks
      mpirun -n 16 collbench topology discover --output cluster.yaml
          the hosts of a job; rank 0 writes the file
      """)

  @OptionGroup var job: JobOptions

  @Option(help: "Write to this file instead of standard output, whole or not at all.")
  var output: String?

  func run() throws {
    try job.run { communicator in
      let reports = try HostReport.read(communicator).exchange(communicator)
      guard communicator.rank == 0 else { return }
      try writeTopology(DiscoveredTopology(reports), to: output)
    }
  }
}

/// Writes a discovered topology, once it has been read as others are.
func writeTopology(_ discovered: DiscoveredTopology, to output: String?) throws {
  let text = discovered.text
  _ = try JobTopology(text: text, name: "the discovered topology")
  if let output { try OutputFile(path: output).write(text) } else { try Terminal.write(text) }
}
