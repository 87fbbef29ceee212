import ArgumentParser
import TuttiTopology

/// `collbench topology`: what topology files say, and what a job's ranks can tell of theirs.
struct TopologyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "topology",
    abstract: "Checks, shows and writes topology files (docs/TOPOLOGIES.md).",
    discussion: """
      collbench topology validate Topologies/*.yaml
          one line for each file; what is wrong with one, with line and column, goes to standard error
      collbench topology show Topologies/rail-pod-1024.yaml --format svg --output pod.svg
          a picture for papers and browsers
      """,
    subcommands: [
      ValidateTopologyCommand.self, ShowTopologyCommand.self, DiscoverTopologyCommand.self, ProbeTopologyCommand.self,
    ])
}

/// `collbench topology validate`: says whether files describe topologies.
struct ValidateTopologyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "validate",
    abstract: "Checks topology files. Exits with 0 only when all of them are right.",
    discussion: """
      collbench topology validate cluster.yaml
          cluster.yaml: 1024 hosts, 8192 ranks, hash bb843d19fcc00945928231367b916d7d
      collbench topology validate broken.yaml
          broken.yaml:12:5: hosts.nics.bandwith: unknown key of network interfaces; did you mean 'bandwidth'?
      """)

  @Argument(help: ArgumentHelp("Topology files, in YAML or JSON.", valueName: "file"))
  var files: [String]

  func run() throws {
    var failed = false
    for file in files {
      let topology: Topology
      do throws(TopologyFailure) { topology = try describedTopology(in: file) } catch {
        Terminal.error(error.description)
        failed = true
        continue
      }
      try Terminal.write("\(file): \(topology.counts), hash \(topology.hash)\n")
    }
    if failed { throw ExitCode.failure }
  }
}

/// `collbench topology show`: what a file describes, for people and programs.
struct ShowTopologyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Shows what a topology file describes: as text, as a picture, or as JSON.",
    discussion: """
      collbench topology show Topologies/two-racks.yaml
          hosts, networks, the groups of ranks as a tree, and the latency and bandwidth from group to group
      collbench topology show Topologies/dragonfly-17x16x8.yaml --format svg --output dragonfly.svg
          a picture; of what there are many of, the first and the last are drawn
      collbench topology show Topologies/wan-4-regions.yaml --format json | jq .levels
      """)

  static let formats = ["text", "svg", "json"]

  @Argument(help: ArgumentHelp("A topology file, in YAML or JSON.", valueName: "file"))
  var file: String

  @Option(help: "One of \(formats.joined(separator: ", ")).")
  var format = "text"

  @Option(help: "Write to this file instead of standard output, whole or not at all.")
  var output: String?

  func validate() throws {
    guard ShowTopologyCommand.formats.contains(format) else {
      throw ValidationError(unknown("format", format, known: ShowTopologyCommand.formats))
    }
  }

  func run() throws {
    let target = try output.map { try OutputFile(path: $0) }
    let topology: Topology
    do throws(TopologyFailure) { topology = try describedTopology(in: file) } catch {
      Terminal.error(error.description)
      throw ExitCode.failure
    }
    let text =
      switch format {
      case "svg": topology.svg
      case "json": topology.json.text() + "\n"
      default: topology.text
      }
    if let target { try target.write(text) } else { try Terminal.write(text) }
  }
}
