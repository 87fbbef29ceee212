import Tutti

/// Plays one rank's part of a run, which is the same sequence of operations on every rank, so that they meet.
struct RankRun {
  private let communicator: Communicator
  private let configuration: RunConfiguration

  init(communicator: Communicator, configuration: RunConfiguration) {
    self.communicator = communicator
    self.configuration = configuration
  }

  /// Measures everything. Returns false when a result was wrong on any rank.
  ///
  /// - Parameters:
  ///   - arrives: Whether results still arrive where this rank prints them. All ranks stop when those of one do not.
  ///   - report: Called on every rank for every measurement; all ranks get equal ones.
  func run(arrives: () -> Bool, _ report: (Measurement) -> Void) throws -> Bool {
    var correct = true
    var isFirst = true
    for elements in configuration.elements {
      let pattern = TestPattern(
        configuration.subject, elements, rank: communicator.rank, rankCount: communicator.rankCount)
      let requests = configuration.algorithmRequests(communicator, elements)
      for (index, bytes) in configuration.sizes.enumerated() {
        for request in requests {
          if configuration.streams, !isFirst, try sumOverRanks(arrives() ? 0 : 1) > 0 { return correct }
          isFirst = false
          showProgress("\(index + 1)/\(configuration.sizes.count) \(ByteSize.text(bytes)) \(request ?? "auto")", elements)
          let measurement = try measure(elements, pattern, bytes: bytes, algorithm: request)
          correct = correct && (measurement.wrongElements ?? 0) == 0
          if communicator.rank == 0 { Progress.clear() }
          report(measurement)
        }
      }
    }
    return correct
  }

  private func showProgress(_ text: String, _ elements: Elements) {
    guard communicator.rank == 0 else { return }
    let kind = configuration.elements.count == 1 ? "" : "\(elements.type) \(elements.operation) "
    Progress.show(kind + text)
  }

  private func measure(
    _ elements: Elements, _ pattern: TestPattern, bytes: Int, algorithm: String?
  ) throws -> Measurement {
    let subject = configuration.subject
    let run = try CollectiveRun(communicator, configuration, elements, pattern, bytes: bytes, algorithm: algorithm)
    // Its memory is used through plain pointers, so it must live until here.
    defer { withExtendedLifetime(run) {} }

    var timed = TimedRun(communicator, configuration, run)
    try timed.warmUp()
    run.prepare()
    try run.call()
    let used = communicator.lastOperation
    var wrong = configuration.check ? run.wrongElements() : 0
    run.prepare()
    let times = try timed.samples()
    if configuration.check {
      if configuration.inPlace {
        // The timed iterations have worked on the results of each other; the last look needs the input again.
        run.prepare()
        try run.call()
      }
      wrong += run.wrongElements()
    }
    return Measurement(
      subject: subject, bytes: run.bytes, count: run.count, type: subject.carriesData ? elements.type.name : nil,
      operation: subject.combines ? elements.operation.name : nil, root: subject.hasRoot ? configuration.root : nil,
      rankCount: communicator.rankCount, algorithm: subject.algorithms.isEmpty ? nil : used.algorithm,
      transport: used.transports.description, foldClass: foldClass(of: used.algorithm, elements),
      dataPath: timed.dataPath?.rawValue, inPlace: configuration.inPlace, times: times,
      wrongElements: configuration.check ? try sumOverRanks(wrong) : nil)
  }

  private func foldClass(of algorithm: String, _ elements: Elements) -> String? {
    guard case .collective(let collective) = configuration.subject else { return nil }
    return communicator.foldClass(of: algorithm, collective, elements.operation, elements.type)
  }

  private func sumOverRanks(_ value: Int) throws -> Int {
    var values = [Int64(value)]
    try communicator.allReduce(&values, .sum)
    return Int(values[0])
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
