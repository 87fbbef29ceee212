import ArgumentParser

/// The command line: measures, lists and proves collectives.
///
/// Names of flags and JSON keys are contracts (docs/ARCHITECTURE.md). Standard output carries results only; everything else
/// goes to standard error. The exit status is 0 only when every result is there and right.
@main
struct Collbench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "collbench",
    abstract: "Measures, checks and proves collective communication.",
    discussion: """
      collbench all-reduce --ranks 4
          starts 4 local processes and measures all-reduce over the sizes from 8 bytes to 64 MiB
      collbench reduce-scatter --ranks 4 --transport tcp --algorithm all --min-bytes 4K --max-bytes 1M --format json
          every algorithm of reduce-scatter, in turn, on each size
      collbench list
          the collectives, their algorithms, the types, and which operation works on which
      collbench explain all-reduce --bytes 16M --topology Topologies/ethernet-4.yaml
          which algorithm 'auto' stands for there, and why
      collbench topology show Topologies/rail-pod-1024.yaml
          what a topology file describes: hosts, networks, groups of ranks, latencies and bandwidths
      collbench all-reduce --hosts node0:4,node1:4
          measures all-reduce with four ranks on each of two hosts, which are started over ssh
      torchrun --no-python --nproc-per-node 4 collbench all-reduce
          without --ranks, collbench is one rank of whatever launched it; set TUTTI_SECRET on every rank
      """,
    version: toolVersion,
    subcommands: [
      RunCommand.self, ListCommand.self, VerifyCommand.self, PlanCommand.self, ExplainCommand.self, TuneCommand.self,
      TopologyCommand.self, HostAgentCommand.self,
    ],
    defaultSubcommand: RunCommand.self)
}

/// The version of the package. JSON output carries it as `tutti`.
let toolVersion = "0.1.0"

/// The version of the JSON layout: raised when a key changes its meaning or goes away.
let reportVersion = 1
