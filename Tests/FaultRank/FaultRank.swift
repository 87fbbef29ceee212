// A rank for tests that end ranks: joins as the environment says, reduces again and again, and says how it ended.
//
// faultrank TRANSPORT ALGORITHM BYTES TIMEOUT_SECONDS [fork]
//
// Prints `inside` as it enters the first operation of this size, all ranks having joined. It ends with
// status 1 and the error when one comes. With `fork` it first forks a child that sleeps and shares every descriptor.

import CTuttiLinux
import Glibc
import Tutti

@main struct FaultRank {
  static func main() {
    let arguments = CommandLine.arguments
    guard arguments.count >= 5, let transport = TransportChoice(name: arguments[1]), let bytes = Int(arguments[3]),
      let seconds = Double(arguments[4])
    else {
      say("usage: faultrank TRANSPORT ALGORITHM BYTES TIMEOUT_SECONDS [fork]", STDERR_FILENO)
      exit(64)
    }
    var options = CommunicatorOptions()
    options.transport = transport
    options.timeout = .seconds(seconds)
    do throws(TuttiError) {
      let communicator = try Communicator.join(options: options)
      try communicator.barrier()
      if arguments.count > 5 {
        guard tutti_fork_sleeper(30) > 0 else { exit(71) }
      }
      guard let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), memory != MAP_FAILED
      else {
        say("no memory: \(errno)", STDERR_FILENO)
        exit(71)
      }
      try communicator.barrier()
      say("inside", STDOUT_FILENO)
      while true {
        try communicator.allReduce(
          from: memory, to: memory, count: bytes / 4, type: .int32, .sum, algorithm: arguments[2])
      }
    } catch {
      say("\(error.code) \(error.peer ?? -1): \(error)", STDERR_FILENO)
      exit(1)
    }
  }

  static func say(_ text: String, _ descriptor: Int32) {
    let line = text + "\n"
    _ = write(descriptor, line, line.utf8.count)
  }
}
