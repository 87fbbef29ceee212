import Glibc
import MeasuringPrograms
import Tutti
import TuttiLaunch

/// A job of many ranks on this machine that do no more than come together: they join, meet at a barrier and leave.
/// `./Benchmarks/join` runs it.
///
/// usage: `join-ranks TRANSPORT RANKS SECONDS`. It starts itself as each of the ranks, and prints, in seconds since then,
/// when the last rank had started, had joined, had left the barrier and had ended, and the milliseconds of processor time
/// that all took: `join TRANSPORT RANKS STARTED JOINED MET ENDED PROCESSOR`. `SECONDS` limits the join and the barrier.
@main
enum JoinRanks {
  static let usage = "usage: join-ranks TRANSPORT RANKS SECONDS\n"
  /// When the job began, on the clock that all processes of a machine share.
  static let beginning = "JOIN_RANKS_BEGINNING"

  static func main() {
    let entered = nanoseconds()
    runProgram("join-ranks", usage: usage) { arguments in
      guard arguments.count == 3, let transport = TransportChoice(name: arguments[0]), let ranks = Int(arguments[1]),
        let limit = Int(arguments[2]), ranks > 0, limit > 0
      else { throw Failure("the arguments make no sense", isUsage: true) }
      if let text = getenv(beginning), let began = UInt64(String(cString: text)) {
        try beRank(transport, limit: .seconds(limit), seconds: { Double($0 - began) / 1e9 }, entered: entered)
        return 0
      }
      return try startRanks(ranks, arguments)
    }
  }

  /// Starts the ranks, waits for their end, and prints what that took.
  private static func startRanks(_ ranks: Int, _ arguments: [String]) throws -> Int32 {
    let began = nanoseconds()
    let job = try JobDescription(
      rankCount: ranks, program: ThisProgram.path, arguments: arguments, environment: [beginning: String(began)])
    let outcome = try job.start().wait()
    let ended = Double(nanoseconds() - began) / 1e9
    guard outcome.status == 0 else { return outcome.status }
    var usage = rusage()
    getrusage(RUSAGE_CHILDREN.rawValue, &usage)
    print(ended, milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime))
    return 0
  }

  private static func milliseconds(_ time: timeval) -> Double {
    let microseconds = time.tv_sec * 1_000_000 + Int(time.tv_usec)
    return Double(microseconds) / 1e3
  }

  private static func beRank(
    _ transport: TransportChoice, limit: Duration, seconds: (UInt64) -> Double, entered: UInt64
  ) throws {
    var options = CommunicatorOptions()
    options.transport = transport
    options.timeout = limit
    options.joinTimeout = limit
    let communicator = try Communicator.join(options: options)
    let joined = nanoseconds()
    try communicator.barrier()
    var times = [entered, joined, nanoseconds()].map(seconds)
    try communicator.allReduce(&times, .max)
    if communicator.rank == 0 {
      print("join", transport.name, communicator.rankCount, times.map { "\($0)" }.joined(separator: " "), terminator: " ")
    }
    communicator.close()
  }
}
