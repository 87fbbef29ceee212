import MeasuringPrograms
import Tutti

/// How much of an all-reduce hides behind computation that takes as long: `1 - (step - compute) / communication`, where a
/// step starts the all-reduce, computes, and waits. On one host both want the same cores, so that 0 is common there and 1 is
/// out of reach.
struct Overlap {
  let communicator: Communicator
  let buffers: Buffers
  let options: Options

  func run() throws -> [String] {
    let samples = Samples(communicator: communicator, iterations: options.iterations)
    func start() throws -> Work {
      try communicator.startAllReduce(
        RawMemory(buffers.input, count: buffers.count, type: .float32),
        to: RawMemory(buffers.output, count: buffers.count, type: .float32), .sum)
    }
    for _ in 0..<3 { try start().wait() }
    let computation = Computation()
    let rounds = try roundsAsLongAs(samples, computation) { try start().wait() }
    // The three take turns and each counts with its best batch, because the machine changes speed meanwhile.
    var (communication, compute, step) = (Double.infinity, Double.infinity, Double.infinity)
    for _ in 0..<options.batches {
      communication = min(communication, try samples.median { try start().wait() })
      // Both ranks compute as much, and at the same time, as they do in a step.
      compute = min(compute, try samples.median { computation.run(rounds) })
      step = min(
        step,
        try samples.median {
          let work = try start()
          computation.run(rounds)
          try work.wait()
        })
    }
    guard buffers.wrongElements == 0 else { throw Failure("\(buffers.wrongElements) wrong elements") }
    let hidden = 1 - (step - compute) / communication
    return [
      "overlap \(options.transport.name) \(options.bytes) communication \(communication.thousandths) "
        + "compute \(compute.thousandths) step \(step.thousandths) hidden \(hidden.thousandths)"
    ]
  }

  /// Rounds of the computation that take about as long as `body`; both ranks get the same number.
  private func roundsAsLongAs(
    _ samples: Samples, _ computation: Computation, _ body: () throws -> Void
  ) throws -> Int {
    let trial = 2000
    var (target, unit) = (Double.infinity, Double.infinity)
    for _ in 0..<3 {
      target = min(target, try samples.median { try body() })
      unit = min(unit, try samples.median { computation.run(trial) })
    }
    return max(1, Int(target / unit * Double(trial)))
  }
}

/// Arithmetic that stays in the first-level cache, so that it competes for a core and for nothing else.
private final class Computation {
  // Owned by this object until deinit.
  private let values: UnsafeMutablePointer<Float>
  private static let count = 2048

  init() {
    values = .allocate(capacity: Self.count)
    for index in 0..<Self.count { values[index] = Float(index) }
  }

  deinit { values.deallocate() }

  @inline(never)
  func run(_ rounds: Int) {
    for _ in 0..<rounds {
      for index in 0..<Self.count { values[index] = values[index] * 0.999 + 1 }
    }
  }
}
