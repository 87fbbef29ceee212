import CTuttiLinux
import Tutti

/// Times the iterations of a measurement. Between two clock readings there is nothing but the operation itself, or, back to
/// back, a batch of operations.
struct TimedRun {
  private let communicator: Communicator
  private let configuration: RunConfiguration
  private let run: CollectiveRun
  /// How large segments travelled on this rank at the end; nil where there was no choice.
  private(set) var dataPath: DataPath?

  /// The number of batches into which the iterations of a size are cut, back to back: enough for a median.
  private static let batches = 20
  /// The interval, in nanoseconds, at which ranks agree whether a `--duration` is over.
  private static let agreementInterval = 200e6

  init(_ communicator: Communicator, _ configuration: RunConfiguration, _ run: CollectiveRun) {
    self.communicator = communicator
    self.configuration = configuration
    self.run = run
  }

  /// Runs the operations before the timed ones, the same number on every rank.
  func warmUp() throws {
    let count = configuration.warmup(bytes: run.bytes)
    for _ in 0..<count { try run.call() }
    if count == 0 { return }
    let began = tutti_now_ns()
    try run.call()
    let longest = try maximumOverRanks(Double(tutti_now_ns() - began))
    for _ in 0..<configuration.settling(bytes: run.bytes, nanoseconds: longest) { try run.call() }
  }

  /// Runs and times all iterations. Every rank gets the same samples, sorted.
  mutating func samples() throws -> Samples {
    var samples = Samples()
    let iterations = configuration.iterations(bytes: run.bytes)
    if let duration = configuration.duration {
      try fill(&samples, seconds: duration, first: max(1, min(iterations, 100)))
    } else {
      try add(iterations, to: &samples)
    }
    samples.sort()
    return samples
  }

  /// Adds iterations until so much time is over, on the rank where it takes longest.
  private mutating func fill(_ samples: inout Samples, seconds: Double, first: Int) throws {
    let end = seconds * 1e9
    let began = tutti_now_ns()
    var (count, before) = (first, 0.0)
    while true {
      try add(count, to: &samples)
      // All ranks go on, or stop, after the same iteration.
      let elapsed = try maximumOverRanks(Double(tutti_now_ns() - began))
      if elapsed >= end { return }
      let each = max(1, (elapsed - before) / Double(count))
      count = Int(min(max(1, min(Self.agreementInterval, end - elapsed) / each), 1e6))
      before = elapsed
    }
  }

  /// Runs so many iterations and adds their times.
  private mutating func add(_ iterations: Int, to samples: inout Samples) throws {
    let sampleCount = configuration.backToBack ? min(iterations, Self.batches) : iterations
    let times = try RunBuffer(bytes: sampleCount * 8)
    let values = times.pointer.bindMemory(to: Double.self, capacity: sampleCount)
    // The memory is used through a plain pointer, so it must live until here.
    defer { withExtendedLifetime(times) {} }
    // Batches differ by one iteration where they must.
    let size = { (batch: Int) in iterations * (batch + 1) / sampleCount - iterations * batch / sampleCount }

    if configuration.backToBack {
      try communicator.barrier()
      for batch in 0..<sampleCount {
        let count = size(batch)
        let start = tutti_now_ns()
        for _ in 0..<count { try run.call() }
        values[batch] = Double(tutti_now_ns() - start) / Double(count)
      }
    } else {
      for iteration in 0..<iterations {
        try communicator.barrier()
        let start = tutti_now_ns()
        try run.call()
        values[iteration] = Double(tutti_now_ns() - start)
      }
    }
    dataPath = communicator.lastOperation.dataPath
    // The slowest rank of each counts.
    try communicator.allReduce(RawMemory(times.pointer, count: sampleCount, type: .float64), .max)
    for index in 0..<sampleCount { samples.add(values[index], iterations: size(index)) }
  }

  private func maximumOverRanks(_ value: Double) throws -> Double {
    var values = [value]
    try communicator.allReduce(&values, .max)
    return values[0]
  }
}
