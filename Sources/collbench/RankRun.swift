import CTuttiLinux
import Glibc
import Tutti
import TuttiSchedule

/// One rank's part of a run: the same sequence of operations on every rank, so that they meet.
///
/// Between the two clock readings of a timed iteration there is nothing but the operation itself.
struct RankRun {
  let communicator: Communicator
  let configuration: RunConfiguration

  /// Measures everything. Returns false when a result was wrong on any rank.
  ///
  /// - Parameter report: Called on every rank for every measurement; all ranks get equal ones.
  func run(_ report: (Measurement) -> Void) throws -> Bool {
    let requests = configuration.algorithmRequests(rankCount: communicator.rankCount)
    var correct = true
    for (index, bytes) in configuration.sizes.enumerated() {
      for request in requests {
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
    let count = bytes / configuration.type.size
    let iterations = configuration.iterations(bytes: bytes)
    let warmup = configuration.warmup(bytes: bytes)
    let times = try HeapBuffer(bytes: iterations * 8)
    let samples = times.pointer.bindMemory(to: Double.self, capacity: iterations)
    let outcome =
      configuration.carriesData
      ? try measureData(count: count, algorithm, warmup: warmup, samples, iterations)
      : try measureBarrier(algorithm, warmup: warmup, samples, iterations)
    // What counts is the slowest rank of each iteration.
    try communicator.allReduce(
      from: times.pointer, to: times.pointer, count: iterations, type: .float64, .max)
    return Measurement(
      collective: configuration.collective, bytes: bytes, count: configuration.carriesData ? count : 0,
      type: configuration.carriesData ? configuration.type.name : nil,
      operation: configuration.carriesData ? configuration.operation.name : nil, rankCount: communicator.rankCount,
      algorithm: outcome.algorithm, transport: outcome.transport,
      inPlace: configuration.carriesData && configuration.inPlace,
      times: UnsafeBufferPointer(start: samples, count: iterations).sorted(), wrongElements: outcome.wrong)
  }

  private struct Outcome {
    var algorithm: String
    var transport: String
    var wrong: Int?
  }

  private func measureData(
    count: Int, _ algorithm: String?, warmup: Int, _ samples: UnsafeMutablePointer<Double>, _ iterations: Int
  ) throws -> Outcome {
    let (type, operation) = (configuration.type, configuration.operation)
    let pattern = TestPattern(
      rank: communicator.rank, rankCount: communicator.rankCount, type: type, operation: operation)
    let outputBuffer = try HeapBuffer(bytes: count * type.size)
    let inputBuffer = configuration.inPlace ? nil : try HeapBuffer(bytes: count * type.size)
    let output = outputBuffer.pointer
    let input = UnsafeRawPointer(inputBuffer?.pointer ?? output)
    // Writes every page before anything is timed.
    pattern.poison(output, count: count)
    pattern.fill(inputBuffer?.pointer ?? output, count: count)

    func reduce() throws {
      try communicator.allReduce(
        from: input, to: output, count: count, type: type, operation, algorithm: algorithm)
    }
    func prepare() {
      if configuration.inPlace { pattern.fill(output, count: count) } else { pattern.poison(output, count: count) }
    }

    for _ in 0..<warmup { try reduce() }
    prepare()
    try reduce()
    let used = communicator.lastOperation
    var wrong = configuration.check ? pattern.wrongElements(output, count: count) : 0
    prepare()
    for iteration in 0..<iterations {
      try communicator.barrier()
      let start = tutti_now_ns()
      try communicator.allReduce(
        from: input, to: output, count: count, type: type, operation, algorithm: algorithm)
      samples[iteration] = Double(tutti_now_ns() - start)
    }
    guard configuration.check else { return Outcome(algorithm: used.algorithm, transport: used.transport, wrong: nil) }
    if configuration.inPlace {
      // The timed iterations have combined the results of each other; the last look needs the input again.
      prepare()
      try reduce()
    }
    wrong += pattern.wrongElements(output, count: count)
    return Outcome(algorithm: used.algorithm, transport: used.transport, wrong: try sumOverRanks(wrong))
  }

  private func measureBarrier(
    _ algorithm: String?, warmup: Int, _ samples: UnsafeMutablePointer<Double>, _ iterations: Int
  ) throws -> Outcome {
    for _ in 0...warmup { try communicator.barrier(algorithm: algorithm) }
    let used = communicator.lastOperation
    for iteration in 0..<iterations {
      try communicator.barrier()
      let start = tutti_now_ns()
      try communicator.barrier(algorithm: algorithm)
      samples[iteration] = Double(tutti_now_ns() - start)
    }
    // No elements: none can be wrong.
    return Outcome(algorithm: used.algorithm, transport: used.transport, wrong: configuration.check ? 0 : nil)
  }

  private func sumOverRanks(_ value: Int) throws -> Int {
    let cell = try HeapBuffer(bytes: 8)
    cell.pointer.storeBytes(of: Int64(value), as: Int64.self)
    try communicator.allReduce(
      from: cell.pointer, to: cell.pointer, count: 1, type: .int64, .sum)
    return Int(cell.pointer.load(as: Int64.self))
  }
}

/// Page-aligned memory from the ordinary heap, as a program's tensors have it. Owned by this value and freed with it; nothing keeps
/// its pointer longer, because every operation on it is a blocking one.
final class HeapBuffer {
  let pointer: UnsafeMutableRawPointer

  init(bytes: Int) throws {
    var memory: UnsafeMutableRawPointer?
    let code = posix_memalign(&memory, 4096, max(bytes, 1))
    guard code == 0, let memory else {
      throw CommandFailure("a buffer of \(ByteSize.approximate(bytes)): \(systemErrorText(code)). Use smaller sizes.")
    }
    pointer = memory
  }

  deinit { free(pointer) }
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
