// A rank for tests that end ranks: joins as the environment says, reduces again and again, and says how it ended.
//
// faultrank TRANSPORT ALGORITHM BYTES TIMEOUT_SECONDS [fork | registered | waiting | ROUNDS | duplicate | close | leave |
//           tagged | folder=PATH]
//
// Prints `inside` as it enters the first operation of this size, all ranks having joined. It ends with status 1 and the
// error when one comes, and prints when that was: `failed N`, in nanoseconds of CLOCK_MONOTONIC. With `fork` it first forks
// a child that sleeps and shares every descriptor. With `registered` the memory is registered. With `waiting` the last rank
// sleeps instead, while the others wait for it. With ROUNDS it stops after as many operations, and prints what carried them.
// With `duplicate` rank 1 takes the right to make files of more than 1 MiB from itself, all duplicate the communicator,
// print what came of it, and use the first one again. With `close` and `leave` rank 0 broadcasts, and every rank closes, or
// ends without closing, as soon as its own part is done. With `tagged` rank 1 receives two messages with tags, which rank 0
// sends after twice the limit. With `folder=PATH` the ranks meet over files there instead, all of them in one communicator
// and the odd and the even ones in another, and use both.

import CTuttiFork
import CTuttiLinux
import Glibc
import Tutti
import TuttiLaunch

@main struct FaultRank {
  static func main() {
    Lifeline.hold()
    let arguments = CommandLine.arguments
    guard arguments.count >= 5, let transport = TransportChoice(name: arguments[1]), let bytes = Int(arguments[3]),
      let seconds = Double(arguments[4])
    else {
      say(
        "usage: faultrank TRANSPORT ALGORITHM BYTES TIMEOUT_SECONDS [MANNER]: see FaultRank.swift",
        STDERR_FILENO)
      exit(64)
    }
    var options = CommunicatorOptions()
    options.transport = transport
    options.timeout = .seconds(seconds)
    do throws(TuttiError) {
      if arguments.count > 5, arguments[5].hasPrefix("folder=") {
        return try meet(over: FolderStore(folder: String(arguments[5].dropFirst(7))), options)
      }
      let communicator = try Communicator.join(options: options)
      try communicator.barrier()
      let manner = arguments.count > 5 ? arguments[5] : ""
      let rounds = Int(manner)
      if manner == "duplicate" { return try duplicate(communicator) }
      if manner == "close" || manner == "leave" { return try broadcast(communicator, bytes, closes: manner == "close") }
      if manner == "tagged" { return try exchange(communicator, bytes, seconds) }
      if manner == "fork" {
        guard tutti_fork_sleeper(30) > 0 else { exit(71) }
      }
      let isRegistered = manner == "registered"
      let buffer = try communicator.allocate(UInt8.self, count: isRegistered ? bytes : 0, repeating: 0)
      let memory =
        isRegistered
        ? UnsafeMutableRawPointer(buffer.pointer.baseAddress!)
        : mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
      guard let memory, memory != MAP_FAILED else {
        say("no memory: \(errno)", STDERR_FILENO)
        exit(71)
      }
      try communicator.barrier()
      say("inside", STDOUT_FILENO)
      if manner == "waiting", communicator.rank == communicator.rankCount - 1 { pause() }
      for _ in 0..<(rounds ?? Int.max) {
        try communicator.allReduce(
          RawMemory(memory, count: bytes / 4, type: .int32), .sum, algorithm: AlgorithmName(arguments[2]))
      }
      say("over \(communicator.lastOperation.transports)", STDOUT_FILENO)
    } catch {
      say("failed \(tutti_now_ns())", STDOUT_FILENO)
      say("\(error.code) \(error.peer ?? -1): \(error)", STDERR_FILENO)
      exit(1)
    }
  }

  static func duplicate(_ communicator: Communicator) throws(TuttiError) {
    if communicator.rank == 1 {
      var limit = rlimit(rlim_cur: 1 << 20, rlim_max: 1 << 20)
      setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
    }
    do throws(TuttiError) {
      _ = try communicator.duplicate()
      say("duplicated", STDOUT_FILENO)
    } catch { say("\(error.code) \(error.peer ?? -1): \(error)", STDERR_FILENO) }
    try communicator.barrier()
    say("over \(communicator.lastOperation.transports)", STDOUT_FILENO)
  }

  static func broadcast(_ communicator: Communicator, _ bytes: Int, closes: Bool) throws(TuttiError) {
    var data = [UInt8](repeating: communicator.rank == 0 ? 3 : 0, count: bytes)
    try communicator.broadcast(&data, root: 0)
    if closes { communicator.close() }
    say(data.allSatisfy { $0 == 3 } ? "has all" : "has other data", STDOUT_FILENO)
    // Without this the communicator would be closed before the process ends.
    if !closes { exit(0) }
  }

  static func exchange(_ communicator: Communicator, _ bytes: Int, _ seconds: Double) throws(TuttiError) {
    say("inside", STDOUT_FILENO)
    if communicator.rank == 0 {
      usleep(UInt32(2e6 * seconds))
      for tag in 0..<2 { try communicator.send([UInt8](repeating: 3, count: bytes), to: 1, tag: tag, timeout: .seconds(60)) }
      return
    }
    let buffers = (0..<2).map { _ in TuttiBuffer<UInt8>(count: bytes, repeating: 0) }
    var works: [Work] = []
    for tag in 0..<2 { works.append(try communicator.startReceive(into: buffers[tag], from: .rank(0), tag: tag).work) }
    try WorkGroup(works).wait()
    say(buffers.allSatisfy { $0.elements.allSatisfy { $0 == 3 } } ? "has all" : "has other data", STDOUT_FILENO)
  }

  static func meet(over store: FolderStore, _ options: CommunicatorOptions) throws(TuttiError) {
    func number(_ name: String) -> Int { getenv(name).flatMap { Int(String(cString: $0)) } ?? 0 }
    let (rank, rankCount) = (number("TUTTI_RANK"), number("TUTTI_SIZE"))
    let all = try Communicator.join(rank: rank, rankCount: rankCount, rendezvous: store, options: options)
    let half = try Communicator.join(
      rank: rank / 2, rankCount: (rankCount + 1 - rank % 2) / 2, rendezvous: store, name: "half/\(rank % 2)",
      secret: .published, options: options)
    for communicator in [all, half] {
      var ranks = [Int32(rank)]
      try communicator.allReduce(&ranks, .sum)
      say("sum \(ranks[0]) of \(communicator.rankCount)", STDOUT_FILENO)
    }
    say("over \(all.lastOperation.transports)", STDOUT_FILENO)
  }

  static func say(_ text: String, _ descriptor: Int32) {
    let line = text + "\n"
    _ = write(descriptor, line, line.utf8.count)
  }
}
