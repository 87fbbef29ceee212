import MeasuringPrograms
import Tutti

/// Sends and receives between two ranks, as perftest's `ib_write_bw` and `ib_write_lat` write: a stream of messages in one
/// direction, or one message that goes to and fro. All memory is registered.
///
/// usage: `point-to-point TRANSPORT stream|ping-pong BYTES MESSAGES`, once a rank, with `TUTTI_RANK`, `TUTTI_SIZE`,
/// `TUTTI_RENDEZVOUS` and `TUTTI_SECRET` set. Rank 0 prints `stream TRANSPORT BYTES GB_PER_SECOND` or
/// `ping-pong TRANSPORT BYTES MICROSECONDS`: half the median round trip.
@main
enum PointToPoint {
  /// Messages take turns in so many.
  static let buffers = 8

  static let usage = "usage: point-to-point TRANSPORT stream|ping-pong BYTES MESSAGES\n"

  static func main() {
    runProgram("point-to-point", usage: usage) {
      try measure($0)
      return 0
    }
  }

  private static func measure(_ arguments: [String]) throws {
    guard arguments.count == 4, let transport = TransportChoice(name: arguments[0]), let bytes = Int(arguments[2]),
      let messages = Int(arguments[3]), ["stream", "ping-pong"].contains(arguments[1]), bytes > 0, messages > 0
    else { throw Failure("the arguments make no sense", isUsage: true) }
    var options = CommunicatorOptions()
    options.transport = transport
    options.timeout = .seconds(60)
    options.joinTimeout = .seconds(60)
    let communicator = try Communicator.join(options: options)
    defer { communicator.close() }
    guard communicator.rankCount == 2 else {
      throw Failure("this measures 2 ranks, and the job has \(communicator.rankCount)")
    }
    let result =
      arguments[1] == "stream"
      ? try stream(communicator, bytes, messages) : try pingPong(communicator, bytes, messages)
    if communicator.rank == 0 { print(arguments[1], arguments[0], bytes, result) }
  }

  /// GB/s from rank 1 to rank 0, where the clock is. One thread a rank, as perftest's.
  private static func stream(_ communicator: Communicator, _ bytes: Int, _ messages: Int) throws -> Double {
    let slots = min(messages, buffers)
    let buffer = try communicator.allocate(UInt8.self, count: bytes * slots, repeating: UInt8(communicator.rank))
    let memory = UnsafeMutableRawPointer(buffer.pointer.baseAddress!)
    func pass(_ count: Int) throws {
      for index in 0..<count {
        let place = memory + index % slots * bytes
        if communicator.rank == 0 {
          try communicator.receive(into: RawMemory(place, count: bytes, type: .uint8), from: 1)
        } else {
          try communicator.send(RawMemory(place, count: bytes, type: .uint8), to: 0)
        }
      }
    }
    try pass(slots)
    try communicator.barrier()
    let start = seconds()
    try pass(messages)
    let elapsed = seconds() - start
    guard communicator.rank == 1 || buffer.pointer.allSatisfy({ $0 == 1 }) else {
      throw Failure("a wrong byte has come")
    }
    return Double(bytes * messages) / elapsed / 1e9
  }

  /// Round trips from one look at the clock to the next: in an emulated machine a look takes a microsecond, and perftest
  /// does not look.
  static let batch = 16

  /// Half the median round trip in microseconds.
  private static func pingPong(_ communicator: Communicator, _ bytes: Int, _ rounds: Int) throws -> Double {
    let buffer = try communicator.allocate(UInt8.self, count: bytes, repeating: 0)
    let memory = UnsafeMutableRawPointer(buffer.pointer.baseAddress!)
    var times: [Double] = []
    let batches = (rounds + batch - 1) / batch
    times.reserveCapacity(batches)
    for number in -max(1, batches / 10)..<batches {
      let start = seconds()
      for _ in 0..<batch {
        if communicator.rank == 1 { try communicator.receive(into: RawMemory(memory, count: bytes, type: .uint8), from: 0) }
        try communicator.send(RawMemory(memory, count: bytes, type: .uint8), to: 1 - communicator.rank)
        if communicator.rank == 0 { try communicator.receive(into: RawMemory(memory, count: bytes, type: .uint8), from: 1) }
      }
      if number >= 0 { times.append((seconds() - start) / Double(batch)) }
    }
    return times.sorted()[batches / 2] / 2 * 1e6
  }
}
