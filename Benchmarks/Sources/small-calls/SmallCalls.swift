import Glibc
import Tutti

/// Makes all-reduces of 8 bytes in a communicator of one rank, where nothing is waited for, so that `c-call` can count the
/// instructions of a call. `CCall/small-calls.c` is the same program in C.
///
/// usage: `small-calls CALLS`
@main
enum SmallCalls {
  static func main() throws {
    guard CommandLine.arguments.count == 2, let calls = Int(CommandLine.arguments[1]), calls > 0 else {
      fail("usage: small-calls CALLS")
    }
    let communicator = try Communicator.makeInProcess(rankCount: 1)[0]
    let memory = UnsafeMutablePointer<Float>.allocate(capacity: 2)
    memory.initialize(repeating: 1, count: 2)
    let values = RawMemory(memory, count: 2, type: .float32)
    for _ in 0..<calls { try communicator.allReduce(values, to: values, .sum) }
    guard memory[0] == 1, memory[1] == 1 else {
      fail("small-calls: the sum over one rank is \(memory[0]), not 1")
    }
    communicator.close()
  }

  private static func fail(_ message: String) -> Never {
    let line = message + "\n"
    _ = line.withCString { write(STDERR_FILENO, $0, strlen($0)) }
    exit(2)
  }
}
