import Glibc
import MeasuringPrograms
import Tutti

/// Measures with two ranks what `collbench` does not: what an asynchronous call costs, and how much of one hides behind
/// computation.
///
/// Output, one measurement a line, in microseconds: `async TRANSPORT BYTES MODE MEDIAN` for every batch, and
/// `overlap TRANSPORT BYTES communication C compute P step S hidden H`.
@main
enum Latency {
  static let usage = """
    usage: latency async|overlap shm|tcp BYTES [--batches N] [--iterations N]
      async    a started and awaited all-reduce beside a blocking one, in batches that take turns
      overlap  an all-reduce behind computation that takes as long
    Starts its second rank itself, unless TUTTI_RANK says that it is one rank of a job.

    """

  static func main() { runProgram("latency", usage: usage) { try run(try Options($0)) } }

  private static func run(_ options: Options) throws -> Int32 {
    var join = CommunicatorOptions()
    join.transport = options.transport
    join.timeout = .seconds(30)
    join.joinTimeout = .seconds(30)
    if getenv("TUTTI_RANK") != nil {
      try measure(options, try Communicator.join(options: join))
      return 0
    }
    let second = try SecondRank.start()
    do {
      try measure(options, try Communicator.join(environment: second.firstRankEnvironment, options: join))
      return second.waitForEnd()
    } catch {
      second.kill()
      throw error
    }
  }

  private static func measure(_ options: Options, _ communicator: Communicator) throws {
    defer { communicator.close() }
    guard communicator.rankCount == 2 else {
      throw Failure("this job has \(communicator.rankCount) ranks, and the measurements are of 2: set TUTTI_SIZE=2")
    }
    let buffers = try Buffers(bytes: options.bytes, rank: communicator.rank)
    let lines =
      switch options.measurement {
      case .async: try AsyncCost(communicator: communicator, buffers: buffers, options: options).run()
      case .overlap: try Overlap(communicator: communicator, buffers: buffers, options: options).run()
      }
    if communicator.rank == 0 { for line in lines { print(line) } }
  }
}

/// What to measure; the same on both ranks, because they get the same arguments.
struct Options {
  enum Measurement: String { case async, overlap }

  let measurement: Measurement
  let transport: TransportChoice
  /// The bytes of each rank's buffer; float32.
  let bytes: Int
  /// The number of batches of each mode.
  let batches: Int
  /// Timed operations of a batch.
  let iterations: Int

  init(_ arguments: [String]) throws {
    var positional: [String] = []
    var batches = 7
    var iterations: Int?
    var index = 0
    while index < arguments.count {
      let argument = arguments[index]
      index += 1
      guard argument.hasPrefix("-") else {
        positional.append(argument)
        continue
      }
      guard argument == "--batches" || argument == "--iterations" else {
        throw Failure("unknown option '\(argument)'", isUsage: true)
      }
      guard index < arguments.count, let value = Int(arguments[index]), (1...1_000_000).contains(value) else {
        throw Failure("\(argument) needs a number from 1 to 1000000", isUsage: true)
      }
      if argument == "--batches" { batches = value } else { iterations = value }
      index += 1
    }
    guard positional.count == 3 else {
      throw Failure("expected three words, found \(positional.count)", isUsage: true)
    }
    guard let measurement = Measurement(rawValue: positional[0]) else {
      throw Failure("no measurement is called '\(positional[0])'", isUsage: true)
    }
    guard let transport = TransportChoice(name: positional[1]), transport == .sharedMemory || transport == .tcp else {
      throw Failure("the transport is shm or tcp, not '\(positional[1])'", isUsage: true)
    }
    guard let bytes = Int(positional[2]), (4...(1 << 30)).contains(bytes), bytes % 4 == 0 else {
      throw Failure("BYTES is a multiple of 4 from 4 to 2^30, not '\(positional[2])'", isUsage: true)
    }
    self.measurement = measurement
    self.transport = transport
    self.bytes = bytes
    self.batches = batches
    self.iterations = iterations ?? (bytes < 64 << 10 ? 1000 : bytes < 1 << 20 ? 300 : 20)
  }
}
