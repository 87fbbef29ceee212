// A rank for tests that end ranks: joins as the environment says, reduces again and again, and says how it ended.
//
// faultrank TRANSPORT ALGORITHM BYTES TIMEOUT_SECONDS [fork] [registered]
//
// Prints `inside` as it enters the first operation of this size, all ranks having joined. It ends with
// status 1 and the error when one comes. With `fork` it first forks a child that sleeps and shares every descriptor; with
// `registered` the memory is registered.

import CTuttiLinux
import Glibc
import Tutti

@main struct FaultRank {
  static func main() {
    let arguments = CommandLine.arguments
    guard arguments.count >= 5, let transport = TransportChoice(name: arguments[1]), let bytes = Int(arguments[3]),
      let seconds = Double(arguments[4])
    else {
      say("usage: faultrank TRANSPORT ALGORITHM BYTES TIMEOUT_SECONDS [fork] [registered]", STDERR_FILENO)
      exit(64)
    }
    var options = CommunicatorOptions()
    options.transport = transport
    options.timeout = .seconds(seconds)
    do throws(TuttiError) {
      let communicator = try Communicator.join(options: options)
      try communicator.barrier()
      if arguments.contains("fork") {
        guard tutti_fork_sleeper(30) > 0 else { exit(71) }
      }
      let isRegistered = arguments.contains("registered")
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
