import ArgumentParser
import Tutti
import TuttiLaunch
import TuttiSchedule
import TuttiTopology
import TuttiTransport

// Checks what was typed: everything that can be known to be wrong before a rank starts is refused here.

/// What `--bits` asks for; nil where nothing was asked for.
func resultBits(_ name: String?) throws -> ResultBits? {
  guard let name else { return nil }
  guard let bits = ResultBits(name: name) else {
    throw ValidationError(unknown("bits", name, known: ResultBits.allCases.map(\.name)))
  }
  return bits
}

extension RunOptions {
  func configuration() throws -> RunConfiguration {
    let subject = try subject()
    guard let choice = TransportChoice(name: transport) else {
      throw ValidationError(unknown("transport", transport, known: Catalog.transports))
    }
    guard let format = RunConfiguration.Format(rawValue: format) else {
      throw ValidationError(unknown("format", format, known: Catalog.formats))
    }
    let elements = try elements(for: subject)
    try checkCounts()
    if inPlace && !subject.canRunInPlace {
      throw ValidationError(
        subject.carriesData
          ? "\(subject.name) needs two buffers: leave --in-place out."
          : "\(subject.name) carries no data: leave --in-place out.")
    }
    try checkAbilities(choice)
    if registered && !subject.carriesData {
      throw ValidationError("\(subject.name) carries no data: leave --registered out.")
    }
    if unaligned && !subject.carriesData {
      throw ValidationError("\(subject.name) carries no data: leave --unaligned out.")
    }
    if registered && start.ranks == 1 {
      throw ValidationError("--registered: there is no other rank that could reach the memory of one.")
    }
    let configuration = RunConfiguration(
      subject: subject, transport: choice, algorithms: try algorithms(for: subject),
      sizes: try sizeList(for: subject, largest: elements.map(\.type).max { $0.size < $1.size } ?? .float64),
      elements: elements, root: try root(for: subject), iterations: iterations, duration: duration, warmup: warmup,
      backToBack: backToBack, inPlace: inPlace, registered: registered, unaligned: unaligned, check: !noCheck,
      format: format, output: output, topology: try jobTopology(), bits: try resultBits(bits), tls: start.tls ? true : nil,
      timeout: timeout)
    if !start.launched, let hosts = try start.placement.list(ranks: start.ranks) { try check(hosts, configuration) }
    // The launcher has checked the memory already; by now its other ranks may have taken theirs.
    if let ranks = start.ranks, !start.launched {
      if let obstacle = configuration.rootObstacle(rankCount: ranks) { throw ValidationError(obstacle) }
      if let obstacle = configuration.memoryObstacle(ranks: 0..<ranks, rankCount: ranks) { throw ValidationError(obstacle) }
    }
    return configuration
  }

  /// Whether the transport can do what else was asked for.
  private func checkAbilities(_ choice: TransportChoice) throws {
    let candidates = transports(for: choice)
    func others(_ isFit: (any Transport) -> Bool) -> String {
      transports(for: .auto).filter(isFit).map(\.kind.name).joined(separator: ", ")
    }
    if registered && candidates.allSatisfy({ $0.memory == .none }) {
      throw ValidationError(
        "--registered: peers reach no memory over \(choice.name): choose --transport \(others { $0.memory != .none }) or auto, "
          + "or leave --registered out.")
    }
    if start.tls && choice == .inProcess {
      throw ValidationError("--tls: nothing leaves the process over --transport inprocess: leave --tls out.")
    }
    if start.tls && !candidates.contains(where: \.isConfidential) {
      throw ValidationError(
        "--tls: \(choice.name) is never encrypted: choose --transport \(others(\.isConfidential)) or auto, or leave --tls out."
      )
    }
  }

  /// What is known to be wrong before a host is asked.
  private func check(_ hosts: HostList, _ configuration: RunConfiguration) throws {
    guard configuration.transport != .inProcess else {
      throw ValidationError("--transport inprocess joins the threads of one process: give --ranks N instead of hosts.")
    }
    if registered && hosts.rankCount == 1 {
      throw ValidationError("--registered: there is no other rank that could reach the memory of one.")
    }
    if let obstacle = configuration.rootObstacle(rankCount: hosts.rankCount) { throw ValidationError(obstacle) }
    if let described = configuration.topology, described.rankCount != hosts.rankCount {
      throw ValidationError(
        "--topology: \(described.name) has \(described.rankCount) ranks, and the hosts have \(hosts.rankCount).")
    }
  }

  // MARK: What is run

  private func subject() throws -> Subject {
    if let subject = Subject(name: collective) { return subject }
    let commands = Collbench.configuration.subcommands.filter { $0.configuration.shouldDisplay }.map { $0._commandName }
    var message = unknown("collective", collective, known: Catalog.subjects)
    if let command = nearestName(to: collective, in: commands), nearestName(to: collective, in: Catalog.subjects) == nil {
      message += " Or did you mean the command '\(command)'?"
    }
    throw ValidationError(message)
  }

  /// The types and operations asked for; of `all`, those that are defined.
  private func elements(for subject: Subject) throws -> [Elements] {
    let types = dtype == "all" ? DataType.allCases : DataType(name: dtype).map { [$0] }
    guard let types else { throw ValidationError(unknown("type", dtype, known: Catalog.types + ["all"])) }
    let operations = op == "all" ? ReduceOp.allCases : ReduceOp(name: op).map { [$0] }
    guard let operations else { throw ValidationError(unknown("operation", op, known: Catalog.operations + ["all"])) }
    guard subject.carriesData || dtype != "all" else {
      throw ValidationError("\(subject.name) carries no data: leave --dtype out.")
    }
    guard subject.combines || op == "sum" else {
      throw ValidationError("\(subject.name) does not combine data: leave --op out.")
    }
    let elements = types.flatMap { type in
      operations.filter { !subject.combines || $0.isDefined(for: type) }.map { Elements(type: type, operation: $0) }
    }
    if let operation = operations.first, elements.isEmpty {
      let defined = Catalog.types(for: operation).joined(separator: ", ")
      throw ValidationError("--op \(operation) is not defined for --dtype \(dtype). It is for \(defined).")
    }
    return elements
  }

  private func root(for subject: Subject) throws -> Int {
    guard let root else { return 0 }
    guard subject.hasRoot else {
      let rooted = Subject.allCases.filter(\.hasRoot).map(\.name).joined(separator: ", ")
      throw ValidationError("\(subject.name) has no root: leave --root out. It is for \(rooted).")
    }
    guard root >= 0 else { throw ValidationError("--root \(root): must be a rank, from 0.") }
    return root
  }

  private func jobTopology() throws -> JobTopology? {
    guard let topology else { return nil }
    let described = JobTopology(try describedTopology(in: topology))
    if let ranks = start.ranks, ranks != described.rankCount {
      throw ValidationError(
        "--topology \(topology): \(described.name) has \(described.rankCount) ranks, and --ranks is \(ranks).")
    }
    return described
  }

  private func algorithms(for subject: Subject) throws -> RunConfiguration.Algorithms {
    let known = subject.algorithms.map(\.name)
    switch algorithm {
    case "auto": return .auto
    case "all": return .all
    case _ where known.contains(algorithm): return .named(algorithm)
    case _ where known.isEmpty: throw ValidationError("\(subject.name) has no algorithms: leave --algorithm out.")
    default: throw ValidationError(unknown("\(subject.name) algorithm", algorithm, known: ["auto", "all"] + known))
    }
  }

  private func checkCounts() throws {
    if let iterations, !(1...10_000_000).contains(iterations) {
      throw ValidationError("--iterations \(iterations): must be from 1 to 10000000.")
    }
    if let warmup, !(0...10_000_000).contains(warmup) {
      throw ValidationError("--warmup \(warmup): must be from 0 to 10000000.")
    }
    if let duration {
      guard duration > 0, duration <= 1e6 else {
        throw ValidationError("--duration \(duration): must be more than 0 and at most 1000000 seconds.")
      }
      guard iterations == nil else {
        throw ValidationError("--duration and --iterations exclude each other: give one or the other.")
      }
    }
    try checkTimeout(timeout)
    if output == "" { throw ValidationError("--output: must name a file.") }
  }

  // MARK: Sizes

  private func sizeList(for subject: Subject, largest type: DataType) throws -> [Int] {
    let swept = minBytes != nil || maxBytes != nil || factor != nil
    if !subject.carriesData {
      guard sizes == nil, !swept else { throw ValidationError("\(subject.name) carries no data: leave the sizes out.") }
      return [0]
    }
    guard sizes == nil || !swept else {
      throw ValidationError("--sizes and --min-bytes, --max-bytes, --factor exclude each other: give one or the other.")
    }
    if let sizes {
      return try sizes.split(separator: ",", omittingEmptySubsequences: false).map {
        try size(String($0), of: "--sizes", type)
      }
    }
    let least = try minBytes.map { try size($0, of: "--min-bytes", type) } ?? max(8, type.size)
    let most = try maxBytes.map { try byteCount($0, of: "--max-bytes") } ?? max(64 << 20, least)
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

  private func size(_ text: String, of flag: String, _ type: DataType) throws -> Int {
    let bytes = try byteCount(text, of: flag)
    guard bytes % type.size == 0 else {
      throw ValidationError(
        "\(flag): \(text) is not a multiple of the \(type.size) bytes of \(type). Nearest below: \(bytes - bytes % type.size)."
      )
    }
    return bytes
  }
}
