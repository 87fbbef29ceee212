import Glibc
import MeasuringPrograms
import Tutti

/// A rank's input and output: ordinary heap memory, page-aligned, every page written. Owned by this object, which outlives
/// every operation because each is waited for.
final class Buffers {
  let input: UnsafeMutableRawPointer
  let output: UnsafeMutableRawPointer
  let count: Int

  init(bytes: Int, rank: Int) throws {
    var pair: [UnsafeMutableRawPointer] = []
    for _ in 0..<2 {
      var memory: UnsafeMutableRawPointer?
      guard posix_memalign(&memory, 4096, bytes) == 0, let memory else { throw Failure("no memory for \(bytes) bytes") }
      pair.append(memory)
    }
    (input, output) = (pair[0], pair[1])
    count = bytes / 4
    let values = input.bindMemory(to: Float.self, capacity: count)
    for index in 0..<count { values[index] = Float((index + rank) & 1023) }
    memset(output, 0xFF, bytes)
  }

  deinit {
    free(input)
    free(output)
  }

  /// Elements of the output that are not the exact sum over both ranks, which is representable.
  var wrongElements: Int {
    let values = output.assumingMemoryBound(to: Float.self)
    return (0..<count).count { values[$0] != Float($0 & 1023) + Float(($0 + 1) & 1023) }
  }
}

/// Times of one batch on both ranks.
struct Samples {
  let communicator: Communicator
  let iterations: Int

  /// The median over iterations of the slower rank's time, in microseconds; each iteration starts after a barrier. Both
  /// ranks get it.
  func median(of body: () throws -> Void) throws -> Double {
    let times = UnsafeMutablePointer<Double>.allocate(capacity: iterations)
    defer { times.deallocate() }
    for iteration in 0..<iterations {
      try communicator.barrier()
      let start = nanoseconds()
      try body()
      times[iteration] = Double(nanoseconds() - start)
    }
    try communicator.allReduce(RawMemory(times, count: iterations, type: .float64), .max)
    let sorted = UnsafeBufferPointer(start: times, count: iterations).sorted()
    return (sorted[(iterations - 1) / 2] + sorted[iterations / 2]) / 2 / 1000
  }
}

extension Double {
  /// Writes three digits after the point: the nanoseconds of a time in microseconds.
  var thousandths: String {
    let scaled = Int((magnitude * 1000).rounded())
    let digits = String(scaled % 1000)
    return (self < 0 ? "-" : "") + "\(scaled / 1000)." + String(repeating: "0", count: 3 - digits.count) + digits
  }
}
