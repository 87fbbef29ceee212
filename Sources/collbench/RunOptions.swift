import ArgumentParser
import Tutti
import TuttiSchedule

/// The flags of `run`, as typed. ``configuration()`` turns them into a ``RunConfiguration`` or says what is wrong.
struct RunOptions: ParsableArguments {
  @Argument(help: "What to run: \(Catalog.collectives.joined(separator: ", ")).")
  var collective: String

  @Option(help: "Start this many local processes (1 to \(ranksMax)). Without it: one rank of whatever launched collbench.")
  var ranks: Int?

  @Option(help: "One of \(Catalog.transports.joined(separator: ", ")).")
  var transport = "auto"

  @Option(help: "A name from 'collbench list', 'auto' (the library chooses) or 'all' (each in turn).")
  var algorithm = "auto"

  @Option(help: "Bytes per rank, a list: 8,4K,2M. K, M, G are powers of 1024.")
  var sizes: String?

  @Option(help: "Smallest size. (default: 8, or one element where that is more)")
  var minBytes: String?

  @Option(help: "Largest size. (default: 64M)")
  var maxBytes: String?

  @Option(help: "Each size is the one before times this. (default: 4)")
  var factor: Int?

  @Option(help: "Element type: \(Catalog.types.joined(separator: ", ")).")
  var dtype = "float32"

  @Option(help: "How elements combine: \(Catalog.operations.joined(separator: ", ")).")
  var op = "sum"

  @Option(help: "Timed operations for each size. (default: by size, 3 to 1000)")
  var iterations: Int?

  @Option(help: "Operations before the timed ones. (default: a tenth of them)")
  var warmup: Int?

  @Flag(help: "Input and output are the same buffer.")
  var inPlace = false

  @Flag(help: "Do not compare the results with the exact expected bits.")
  var noCheck = false

  @Option(help: "One of \(Catalog.formats.joined(separator: ", ")).")
  var format = "table"

  @Option(help: "Write the results to this file instead of standard output, whole or not at all.")
  var output: String?

  @Option(help: "Seconds an operation may take before it fails on every rank.")
  var timeout = 60.0

  /// Set by collbench when it starts itself: the process it must not outlive.
  @Option(help: .private)
  var launchedBy: Int32?
}

/// Processes one `--ranks` may start.
let ranksMax = 512

extension RunOptions {
  func configuration() throws -> RunConfiguration {
    guard let collective = Collective(name: collective) else {
      let commands = Collbench.configuration.subcommands.map { $0._commandName }
      var message = unknown("collective", collective, known: Catalog.collectives)
      if let command = nearestName(to: collective, in: commands), nearestName(to: collective, in: Catalog.collectives) == nil
      {
        message += " Or did you mean the command '\(command)'?"
      }
      throw ValidationError(message)
    }
    guard let choice = TransportChoice(name: transport) else {
      throw ValidationError(unknown("transport", transport, known: Catalog.transports))
    }
    guard let type = DataType(name: dtype) else { throw ValidationError(unknown("type", dtype, known: Catalog.types)) }
    guard let operation = ReduceOp(name: op) else {
      throw ValidationError(unknown("operation", op, known: Catalog.operations))
    }
    guard let format = RunConfiguration.Format(rawValue: format) else {
      throw ValidationError(unknown("format", format, known: Catalog.formats))
    }
    try checkCounts()
    let configuration = RunConfiguration(
      collective: collective, transport: choice, algorithms: try algorithms(for: collective),
      sizes: try sizeList(for: collective, elementBytes: type.size), type: type, operation: operation,
      iterations: iterations,
      warmup: warmup, inPlace: inPlace, check: !noCheck, format: format, output: output, timeout: timeout)
    try checkMemory(configuration)
    return configuration
  }

  private func checkCounts() throws {
    if let ranks, !(1...ranksMax).contains(ranks) {
      throw ValidationError("--ranks \(ranks): must be from 1 to \(ranksMax).")
    }
    if let iterations, !(1...10_000_000).contains(iterations) {
      throw ValidationError("--iterations \(iterations): must be from 1 to 10000000.")
    }
    if let warmup, !(0...10_000_000).contains(warmup) {
      throw ValidationError("--warmup \(warmup): must be from 0 to 10000000.")
    }
    guard timeout > 0, timeout <= 1e6 else {
      throw ValidationError("--timeout \(timeout): must be more than 0 and at most 1000000 seconds.")
    }
    if output == "" { throw ValidationError("--output: must name a file.") }
  }

  private func algorithms(for collective: Collective) throws -> RunConfiguration.Algorithms {
    let known = Catalog.algorithms(for: collective)
    switch algorithm {
    case "auto": return .auto
    case "all": return .all
    case _ where known.contains(algorithm): return .named(algorithm)
    default: throw ValidationError(unknown("\(collective.name) algorithm", algorithm, known: ["auto", "all"] + known))
    }
  }

  private func sizeList(for collective: Collective, elementBytes: Int) throws -> [Int] {
    let swept = minBytes != nil || maxBytes != nil || factor != nil
    if collective == .barrier {
      guard sizes == nil, !swept else { throw ValidationError("barrier carries no data: leave the sizes out.") }
      return [0]
    }
    guard sizes == nil || !swept else {
      throw ValidationError("--sizes and --min-bytes, --max-bytes, --factor exclude each other: give one or the other.")
    }
    if let sizes {
      return try sizes.split(separator: ",", omittingEmptySubsequences: false).map {
        try size(String($0), of: "--sizes", elementBytes)
      }
    }
    let least = try minBytes.map { try size($0, of: "--min-bytes", elementBytes) } ?? max(8, elementBytes)
    let most = try maxBytes.map { try bytes($0, of: "--max-bytes") } ?? max(64 << 20, least)
    guard least > 0 else { throw ValidationError("--min-bytes 0: must be at least one element. For no data use --sizes 0.") }
    guard least <= most else {
      throw ValidationError("--min-bytes \(ByteSize.text(least)) is more than --max-bytes \(ByteSize.text(most)).")
    }
    let factor = factor ?? 4
    guard factor >= 2 else { throw ValidationError("--factor \(factor): must be at least 2.") }
    var list: [Int] = []
    var next = least
    while next <= most {
      list.append(next)
      let (product, overflow) = next.multipliedReportingOverflow(by: factor)
      if overflow { break }
      next = product
    }
    return list
  }

  private func bytes(_ text: String, of flag: String) throws -> Int {
    guard let bytes = ByteSize.parse(text) else {
      throw ValidationError(
        "\(flag): '\(String(text.prefix(64)))' is not a size below 8 EiB. Write whole bytes, or K, M, G: 8, 4K, 2M, 1G.")
    }
    return bytes
  }

  private func size(_ text: String, of flag: String, _ elementBytes: Int) throws -> Int {
    let bytes = try bytes(text, of: flag)
    guard bytes % elementBytes == 0 else {
      throw ValidationError(
        "\(flag): \(text) is not a multiple of the \(elementBytes) bytes of \(dtype). Nearest below: \(bytes - bytes % elementBytes)."
      )
    }
    return bytes
  }

  /// Refuses what cannot fit before anything is started: the kernel would kill a rank in the middle of it instead.
  private func checkMemory(_ configuration: RunConfiguration) throws {
    // The launcher has looked already; by now its other ranks may have taken theirs.
    guard launchedBy == nil, let available = SystemFacts.availableMemory() else { return }
    let (wanted, overflow) = configuration.bufferBytesPerRank.multipliedReportingOverflow(by: ranks ?? 1)
    guard overflow || wanted > available else { return }
    let largest = ByteSize.approximate(configuration.sizes.max() ?? 0)
    let buffers = configuration.inPlace ? "one buffer" : "two buffers"
    throw ValidationError(
      """
      the buffers do not fit: \(ranks ?? 1) rank(s) with \(buffers) of \(largest) each\
      \(overflow ? "" : " need \(ByteSize.approximate(wanted))"), and \(ByteSize.approximate(available)) of memory are available. \
      Use smaller sizes, fewer ranks or --in-place.
      """)
  }
}
