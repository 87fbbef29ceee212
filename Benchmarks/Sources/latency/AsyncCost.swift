import Glibc
import MeasuringPrograms
import Tutti

/// Measures what `startAllReduce` and `wait` cost beside `allReduce`. Batches of both take turns, so that a change of the
/// machine's speed meets both.
struct AsyncCost {
  let communicator: Communicator
  let buffers: Buffers
  let options: Options

  private enum Mode: String, CaseIterable { case blocking, async }

  func run() throws -> [String] {
    let samples = Samples(communicator: communicator, iterations: options.iterations)
    // Opens links, makes plans, fills caches, and starts the progress thread.
    for mode in Mode.allCases { for _ in 0..<max(10, options.iterations / 10) { try reduce(mode) } }
    var lines: [String] = []
    for _ in 0..<options.batches {
      for mode in Mode.allCases {
        // The progress thread lingers for 10 ms after the last start; a blocking batch is not to pay for the batch before.
        usleep(30_000)
        let median = try samples.median { try reduce(mode) }
        lines.append("async \(options.transport.name) \(options.bytes) \(mode.rawValue) \(median.thousandths)")
      }
    }
    guard buffers.wrongElements == 0 else { throw Failure("\(buffers.wrongElements) wrong elements") }
    return lines
  }

  private func reduce(_ mode: Mode) throws {
    switch mode {
    case .blocking:
      try communicator.allReduce(
        RawMemory(buffers.input, count: buffers.count, type: .float32),
        to: RawMemory(buffers.output, count: buffers.count, type: .float32), .sum)
    case .async:
      let work = try communicator.startAllReduce(
        RawMemory(buffers.input, count: buffers.count, type: .float32),
        to: RawMemory(buffers.output, count: buffers.count, type: .float32), .sum)
      try work.wait()
    }
  }
}
