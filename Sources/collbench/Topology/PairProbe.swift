import CTuttiLinux
import Tutti

/// Measures one pair of ranks while both do nothing else: how long a small message takes, and how much a stream carries.
struct PairProbe {
  /// What a pair had.
  struct Result {
    /// Half of a round trip of 8 B, in nanoseconds: the median.
    var latency = 0.0
    /// Bytes a nanosecond from the first to the second, and back.
    var forth = 0.0
    var back = 0.0
  }

  private static let roundTrips = 100
  private static let streamBytes = 1 << 20
  /// How long a stream is to last, in nanoseconds, and how many messages it has.
  private static let streamTime = 50_000_000.0
  private static let streamMessages = 2...256
  /// What the two streams and the round trips of a pair take, about, in seconds.
  static let seconds = 0.15

  private let communicator: Communicator
  private let word: RunBuffer
  private let data: RunBuffer

  init(_ communicator: Communicator) throws {
    self.communicator = communicator
    word = try RunBuffer(bytes: 8)
    data = try RunBuffer(bytes: Self.streamBytes)
    data.pointer.initializeMemory(as: UInt8.self, repeating: 1, count: Self.streamBytes)
  }

  private var small: RawMemory { RawMemory(word.pointer, count: 8, type: .uint8) }
  private var large: RawMemory { RawMemory(data.pointer, count: Self.streamBytes, type: .uint8) }

  /// Measures this rank's pair, with both calling. The one that begins gets the result.
  func measure(with peer: Int, begins: Bool) throws -> Result {
    defer { withExtendedLifetime(self) {} }
    var result = Result()
    let times = try (0..<Self.roundTrips + 10).map { _ in try roundTrip(peer, begins) }
    let sorted = times.dropFirst(10).sorted()
    result.latency = sorted[sorted.count / 2] / 2
    result.forth = try stream(peer, sends: begins, latency: result.latency)
    result.back = try stream(peer, sends: !begins, latency: result.latency)
    return result
  }

  private func roundTrip(_ peer: Int, _ begins: Bool) throws -> Double {
    let start = tutti_now_ns()
    if begins {
      try communicator.send(small, to: peer)
      try communicator.receive(into: small, from: peer)
    } else {
      try communicator.receive(into: small, from: peer)
      try communicator.send(small, to: peer)
    }
    return Double(tutti_now_ns() - start)
  }

  /// One message first, which tells how many the stream needs. Both ranks return the rate.
  private func stream(_ peer: Int, sends: Bool, latency: Double) throws -> Double {
    let one = try timed(peer, sends, count: 1)
    var count = min(max(Int(Self.streamTime / one), Self.streamMessages.lowerBound), Self.streamMessages.upperBound)
    count = try tell(count, peer, sends)
    let time = try timed(peer, sends, count: count)
    let rate = Double(count * Self.streamBytes) / max(1, time - latency)
    return Double(bitPattern: UInt64(bitPattern: Int64(try tell(Int(Int64(bitPattern: rate.bitPattern)), peer, sends))))
  }

  /// The sender's number, on both.
  private func tell(_ number: Int, _ peer: Int, _ sends: Bool) throws -> Int {
    if sends {
      word.pointer.storeBytes(of: Int64(number), as: Int64.self)
      try communicator.send(small, to: peer)
      return number
    }
    try communicator.receive(into: small, from: peer)
    return Int(word.pointer.load(as: Int64.self))
  }

  private func timed(_ peer: Int, _ sends: Bool, count: Int) throws -> Double {
    let start = tutti_now_ns()
    for _ in 0..<count {
      if sends { try communicator.send(large, to: peer) } else { try communicator.receive(into: large, from: peer) }
    }
    // The last word of the receiver: all has arrived.
    if sends { try communicator.receive(into: small, from: peer) } else { try communicator.send(small, to: peer) }
    return Double(tutti_now_ns() - start)
  }
}
