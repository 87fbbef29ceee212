import ArgumentParser
import Tutti
import TuttiLaunch
import TuttiSchedule
import TuttiTopology

// Checks what was typed: everything that can be known to be wrong before a rank starts is refused here.

/// How many processes one `--ranks` may start.
let ranksMax = 512

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
    guard let type = DataType(name: dtype) else { throw ValidationError(unknown("type", dtype, known: Catalog.types)) }
    try checkCounts()
    if inPlace && !subject.canRunInPlace {
      throw ValidationError(
        subject.carriesData
          ? "\(subject.name) needs two buffers: leave --in-place out."
          : "\(subject.name) carries no data: leave --in-place out.")
    }
    if registered && ![.auto, .sharedMemory, .rdma].contains(choice) {
      throw ValidationError(
        "--registered is for shared memory and RDMA: choose --transport shm, rdma or auto, or leave --registered out.")
    }
    if registered && !subject.carriesData {
      throw ValidationError("\(subject.name) carries no data: leave --registered out.")
    }
    if registered && ranks == 1 {
      throw ValidationError("--registered: there is no other rank that could reach the memory of one.")
    }
    let configuration = RunConfiguration(
      subject: subject, transport: choice, algorithms: try algorithms(for: subject),
      sizes: try sizeList(for: subject, elementBytes: type.size), type: type, operation: try operation(for: subject, type),
      root: try root(for: subject), iterations: iterations, warmup: warmup, inPlace: inPlace, registered: registered,
      check: !noCheck,
      format: format, output: output, topology: try jobTopology(), bits: try resultBits(bits), timeout: timeout)
    if !launched, let hosts = try placement.list(ranks: ranks) { try check(hosts, configuration) }
    // The launcher has checked the memory already; by now its other ranks may have taken theirs.
    if let ranks, !launched {
      if let obstacle = configuration.rootObstacle(rankCount: ranks) { throw ValidationError(obstacle) }
      if let obstacle = configuration.memoryObstacle(ranks: 0..<ranks, rankCount: ranks) { throw ValidationError(obstacle) }
    }
    return configuration
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

  private func operation(for subject: Subject, _ type: DataType) throws -> ReduceOp {
    guard let operation = ReduceOp(name: op) else {
      throw ValidationError(unknown("operation", op, known: Catalog.operations))
    }
    guard subject.combines || operation == .sum else {
      throw ValidationError("\(subject.name) does not combine data: leave --op out.")
    }
    if operation.isDefined(for: type) { return operation }
    let types = Catalog.types(for: operation).joined(separator: ", ")
    throw ValidationError("--op \(operation) is not defined for --dtype \(type). It is for \(types).")
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
    if let ranks, ranks != described.rankCount {
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

  // MARK: Sizes

  private func sizeList(for subject: Subject, elementBytes: Int) throws -> [Int] {
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
        try size(String($0), of: "--sizes", elementBytes)
      }
    }
    let least = try minBytes.map { try size($0, of: "--min-bytes", elementBytes) } ?? max(8, elementBytes)
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

  private func size(_ text: String, of flag: String, _ elementBytes: Int) throws -> Int {
    let bytes = try byteCount(text, of: flag)
    guard bytes % elementBytes == 0 else {
      throw ValidationError(
        "\(flag): \(text) is not a multiple of the \(elementBytes) bytes of \(dtype). Nearest below: \(bytes - bytes % elementBytes)."
      )
    }
    return bytes
  }
}
