import Glibc
import Tutti

/// A program as a user would write it: it links Tutti, joins, calls `allReduce` and takes the time itself. It shares
/// nothing with `collbench`: where the two agree, what collbench reports is what a program gets
/// (`./Benchmarks/gates --only agreement`).
///
/// usage: `own-program shm|tcp BYTES[,BYTES...] ITERATIONS`, once a rank, with `TUTTI_RANK`, `TUTTI_SIZE`,
/// `TUTTI_RENDEZVOUS` and `TUTTI_SECRET` set. Several sizes take turns, call by call, as in programs whose messages differ
/// (`./Benchmarks/gates --only sizes`). Rank 0 prints `own TRANSPORT BYTES MICROSECONDS`: the median over iterations of the
/// slowest rank's.
@main
enum OwnProgram {
  static func main() throws {
    let arguments = CommandLine.arguments
    guard arguments.count == 4, let transport = TransportChoice(name: arguments[1]),
      let iterations = Int(arguments[3]), iterations > 0
    else { fail("usage: own-program shm|tcp BYTES[,BYTES...] ITERATIONS") }
    let counts = arguments[2].split(separator: ",").map { text -> Int in
      guard let bytes = Int(text), bytes >= 4, bytes % 4 == 0 else { fail("'\(text)' is no positive multiple of 4 bytes") }
      return bytes / 4
    }
    guard let most = counts.max() else { fail("no sizes") }

    var options = CommunicatorOptions()
    options.transport = transport
    options.timeout = .seconds(30)
    options.joinTimeout = .seconds(30)
    let communicator = try Communicator.join(options: options)
    defer { communicator.close() }

    // Ordinary memory at page boundaries, freed when the process ends.
    func pages() -> UnsafeMutablePointer<Float> {
      UnsafeMutableRawPointer.allocate(byteCount: most * 4, alignment: 4096).bindMemory(to: Float.self, capacity: most)
    }
    let (input, output) = (pages(), pages())
    for index in 0..<most { input[index] = Float(index % 1000 + communicator.rank) }
    output.initialize(repeating: -1, count: most)
    func reduce(_ iteration: Int) throws {
      let count = counts[iteration % counts.count]
      try communicator.allReduce(
        RawMemory(input, count: count, type: .float32), to: RawMemory(output, count: count, type: .float32), .sum)
    }

    for iteration in 0..<max(counts.count, iterations / 10) { try reduce(iteration) }
    var times = [Double](repeating: 0, count: iterations)
    for iteration in 0..<iterations {
      try communicator.barrier()
      let start = seconds()
      try reduce(iteration)
      times[iteration] = seconds() - start
    }
    try communicator.allReduce(&times, .max)

    let ranks = communicator.rankCount
    for index in 0..<most where output[index] != Float(index % 1000 * ranks + ranks * (ranks - 1) / 2) {
      fail("element \(index) of rank \(communicator.rank) is \(output[index])")
    }
    times.sort()
    let median = (times[(iterations - 1) / 2] + times[iterations / 2]) / 2
    if communicator.rank == 0 { print("own", arguments[1], arguments[2], median * 1e6) }
  }

  private static func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  private static func fail(_ message: String) -> Never {
    let line = "own-program: \(message)\n"
    _ = line.utf8.withContiguousStorageIfAvailable { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    exit(1)
  }
}
