import ArgumentParser
import Tutti
import TuttiAlgorithms
import TuttiTraining

/// The options of `train` and `overlap` for the ranks and how they communicate.
struct JobOptions: ParsableArguments {
  static let ranksMax = 512

  @Option(
    help:
      "Start this many local processes (1 to \(ranksMax)). Without it: one rank of whatever launched this, or one process.")
  var ranks: Int?

  @Option(help: "Start ranks on the hosts of this file, over ssh: a line for each, as 'name slots=4'.")
  var hostfile: String?

  @Option(help: "With --hostfile: what runs a command on a host, instead of ssh.")
  var rsh: String?

  @Option(help: "auto, shm or tcp.")
  var transport = "auto"

  @Option(help: "The all-reduce of gradients: a name from 'collbench list', or auto.")
  var algorithm = "auto"

  @Option(help: "Megabytes (2^20) of gradients that are sent together.")
  var bucketMb = 25.0

  @Option(help: "Megabytes of the first bucket, which is small so that communication begins early.")
  var firstBucketMb = 1.0

  @Option(help: "Gradients on the wire: float32 (as they are), bfloat16 or float16; summed in float32 in any case.")
  var wireDtype = "float32"

  @Option(help: "Seconds an operation may wait for other ranks before it fails on every rank.")
  var timeout = 60.0

  /// This program sets it when it starts itself: this process is one of the ranks that `--ranks` or `--hostfile` asks for.
  @Flag(help: .private)
  var launched = false

  func validate() throws {
    if let ranks, !(1...Self.ranksMax).contains(ranks) {
      throw ValidationError("--ranks \(ranks): must be from 1 to \(Self.ranksMax).")
    }
    guard hostfile == nil || ranks == nil else {
      throw ValidationError("--ranks and --hostfile exclude each other: the file has the numbers of ranks.")
    }
    guard rsh == nil || hostfile != nil else {
      throw ValidationError("--rsh is for ranks on hosts: give --hostfile with it.")
    }
    let transports = ["auto", "shm", "tcp"]
    guard transports.contains(transport) else { throw unknown("--transport", transport, transports) }
    let algorithms = ["auto"] + AlgorithmRegistry.algorithms(for: .allReduce).map(\.name)
    guard algorithms.contains(algorithm) else { throw unknown("--algorithm", algorithm, algorithms) }
    guard wireType != nil else { throw unknown("--wire-dtype", wireDtype, ["float32", "bfloat16", "float16"]) }
    try check("--bucket-mb", bucketMb, in: 0.0001...4096)
    try check("--first-bucket-mb", firstBucketMb, in: 0.0001...4096)
    try check("--timeout", timeout, in: 0.001...1e6)
  }

  var duration: Duration { .seconds(timeout) }
  var transportChoice: TransportChoice { TransportChoice(name: transport) ?? .auto }

  var wireType: WireType? {
    switch wireDtype {
    case "float32": .full
    case "bfloat16": .bfloat16
    case "float16": .float16
    default: nil
    }
  }

  /// How gradients are exchanged, in the library's terms. Gradients of the global batch's mean are summed, because each rank
  /// has scaled its own.
  func synchronizerOptions(overlaps: Bool, shards: Bool) -> SynchronizerOptions {
    var options = SynchronizerOptions()
    options.bucketBytes = Int(bucketMb * 1_048_576)
    options.firstBucketBytes = Int(firstBucketMb * 1_048_576)
    options.reduction = .sum
    options.sharding = shards ? .sharded : .replicated
    options.wireType = wireType ?? .full
    options.algorithm = algorithm == "auto" ? nil : algorithm
    options.overlaps = overlaps
    options.timeout = duration
    return options
  }

  /// What must be equal on all ranks, by the names of the options.
  var settings: [(name: String, value: String)] {
    [
      ("--algorithm", algorithm), ("--bucket-mb", "\(bucketMb)"), ("--first-bucket-mb", "\(firstBucketMb)"),
      ("--wire-dtype", wireDtype),
    ]
  }
}

/// The error for a value that is not one of those known.
func unknown(_ option: String, _ value: String, _ known: [String]) -> ValidationError {
  ValidationError("\(option) '\(value.prefix(64))': must be one of \(known.joined(separator: ", ")).")
}

func check<Value: Comparable>(_ option: String, _ value: Value?, in range: ClosedRange<Value>) throws {
  guard let value, !range.contains(value) else { return }
  throw ValidationError("\(option) \(value): must be from \(range.lowerBound) to \(range.upperBound).")
}
