import CTuttiLinux
import Tutti

/// Plays one rank's part of a run, which is the same sequence of operations on every rank, so that they meet.
///
/// Between the two clock readings of a timed iteration there is nothing but the operation itself.
struct RankRun {
  private let communicator: Communicator
  private let configuration: RunConfiguration
  private let pattern: TestPattern

  init(communicator: Communicator, configuration: RunConfiguration) {
    self.communicator = communicator
    self.configuration = configuration
    pattern =
      configuration.subject.combines
      ? TestPattern(
        rank: communicator.rank, rankCount: communicator.rankCount, type: configuration.type,
        operation: configuration.operation)
      : TestPattern(movingElementsOf: configuration.type)
  }

  /// Measures everything. Returns false when a result was wrong on any rank.
  ///
  /// - Parameters:
  ///   - arrives: Whether results still arrive where this rank prints them. All ranks stop when those of one do not.
  ///   - report: Called on every rank for every measurement; all ranks get equal ones.
  func run(arrives: () -> Bool, _ report: (Measurement) -> Void) throws -> Bool {
    let requests = configuration.algorithmRequests(communicator)
    var correct = true
    var isFirst = true
    for (index, bytes) in configuration.sizes.enumerated() {
      for request in requests {
        if configuration.streams, !isFirst, try sumOverRanks(arrives() ? 0 : 1) > 0 { return correct }
        isFirst = false
        if communicator.rank == 0 {
          Progress.show("\(index + 1)/\(configuration.sizes.count) \(ByteSize.text(bytes)) \(request ?? "auto")")
        }
        let measurement = try measure(bytes: bytes, algorithm: request)
        correct = correct && (measurement.wrongElements ?? 0) == 0
        if communicator.rank == 0 { Progress.clear() }
        report(measurement)
      }
    }
    return correct
  }

  private func measure(bytes: Int, algorithm: String?) throws -> Measurement {
    let subject = configuration.subject
    let run = try CollectiveRun(communicator, configuration, pattern, bytes: bytes, algorithm: algorithm)
    let iterations = configuration.iterations(bytes: run.bytes)
    let times = try RunBuffer(bytes: iterations * 8)
    let samples = times.pointer.bindMemory(to: Double.self, capacity: iterations)
    // Their memory is used through plain pointers, so they must live until here.
    defer { withExtendedLifetime((run, times)) {} }

    for _ in 0..<configuration.warmup(bytes: run.bytes) { try run.call() }
    run.prepare()
    try run.call()
    let used = communicator.lastOperation
    var wrong = configuration.check ? run.wrongElements() : 0
    run.prepare()
    for iteration in 0..<iterations {
      try communicator.barrier()
      let start = tutti_now_ns()
      try run.call()
      samples[iteration] = Double(tutti_now_ns() - start)
    }
    let dataPath = communicator.lastOperation.dataPath
    if configuration.check {
      if configuration.inPlace {
        // The timed iterations have worked on the results of each other; the last look needs the input again.
        run.prepare()
        try run.call()
      }
      wrong += run.wrongElements()
    }
    // The slowest rank of each iteration counts.
    try communicator.allReduce(RawMemory(times.pointer, count: iterations, type: .float64), .max)
    return Measurement(
      subject: subject, bytes: run.bytes, count: run.count, type: subject.carriesData ? configuration.type.name : nil,
      operation: subject.combines ? configuration.operation.name : nil, root: subject.hasRoot ? configuration.root : nil,
      rankCount: communicator.rankCount, algorithm: subject.algorithms.isEmpty ? nil : used.algorithm,
      transport: used.transports.description, foldClass: foldClass(of: used.algorithm), dataPath: dataPath?.rawValue,
      inPlace: configuration.inPlace,
      times: UnsafeBufferPointer(start: samples, count: iterations).sorted(),
      wrongElements: configuration.check ? try sumOverRanks(wrong) : nil)
  }

  private func foldClass(of algorithm: String) -> String? {
    guard case .collective(let collective) = configuration.subject else { return nil }
    return communicator.foldClass(of: algorithm, collective, configuration.operation, configuration.type)
  }

  private func sumOverRanks(_ value: Int) throws -> Int {
    let cell = try RunBuffer(bytes: 8)
    cell.pointer.storeBytes(of: Int64(value), as: Int64.self)
    try communicator.allReduce(RawMemory(cell.pointer, count: 1, type: .int64), .sum)
    return Int(cell.pointer.load(as: Int64.self))
  }
}

/// The line that says what is running, where only that can be seen: a terminal on standard error, results elsewhere.
enum Progress {
  static func show(_ text: String) {
    if !Terminal.outputIsTerminal { Terminal.progress(text) }
  }

  static func clear() {
    if !Terminal.outputIsTerminal { Terminal.progress("") }
  }
}
