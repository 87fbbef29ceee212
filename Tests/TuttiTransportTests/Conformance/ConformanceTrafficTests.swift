import Glibc
import Testing
import TuttiTransport

/// Both ends on threads of their own, under load.
@Suite(.serialized) struct ConformanceTrafficTests {
  @Test("random traffic in both directions on all lanes", arguments: conformanceFactories)
  func randomTraffic(factory: any LinkPairFactory) throws {
    for round in 0..<UInt64(3) {
      let seed = testSeed &+ round
      let (first, second) = try factory.makePair()
      defer { close(first, second) }
      let ends = (Handed(first), Handed(second))
      try onTwoThreads(
        { try RandomTraffic(ends.0.value, seed: seed, outgoing: 0, segments: 300).run() },
        { try RandomTraffic(ends.1.value, seed: seed, outgoing: 1, segments: 300).run() })
    }
  }

  @Test("10,000 segments one way", arguments: conformanceFactories)
  func oneWay(factory: any LinkPairFactory) throws {
    let (first, second) = try factory.makePair()
    defer { close(first, second) }
    let ends = (Handed(first), Handed(second))
    let segments = UInt64(10_000)
    try onTwoThreads(
      {
        let link = ends.0.value
        let deadline = Deadline(seconds: 60)
        for number in 1...segments {
          let bytes = number % 100 == 0 ? 40_000 : Int(number % 300)
          let content = BytePool.shared.content(number)
          while !link.canSend(0) {
            if link.needsProgress { link.progress() }
            try deadline.check("credit for segment \(number)")
          }
          _ = link.send(0, CallSignature(rawValue: 1), number, content, bytes, copied: number % 3 == 0)
        }
        while link.released(0) < segments {
          if link.needsProgress { link.progress() }
          try deadline.check("the last release")
        }
      },
      {
        let link = ends.1.value
        let deadline = Deadline(seconds: 60)
        for number in 1...segments {
          var found = link.peek(0)
          while found == nil {
            if link.needsProgress { link.progress() }
            found = link.peek(0)
            try deadline.check("segment \(number)")
          }
          let bytes = number % 100 == 0 ? 40_000 : Int(number % 300)
          let arrival = found!.pointee
          guard arrival.count == number, arrival.bytes == bytes,
            memcmp(arrival.payload, BytePool.shared.content(number), bytes) == 0
          else { throw TestFailure("segment \(number) is not what was sent") }
          link.consume(0)
        }
      })
  }
}

/// One end of a random exchange: sends segments of random sizes on all lanes, composed in the link's memory or from reused
/// buffers, overwrites each buffer as soon as it is free, consumes with random delay, and compares every byte when it
/// arrives and again when it is consumed.
final class RandomTraffic {
  private struct Outgoing {
    var sent: UInt64 = 0
    /// The sequence number each source buffer was last used for; 0 when it is free.
    var busy = [UInt64](repeating: 0, count: Lane.credit + 1)
    /// What was composed last, which must stay as it is until the next segment of the lane.
    var composed: (memory: UnsafeRawPointer, sequence: UInt64)?
  }
  private struct Incoming {
    var received: UInt64 = 0
    var delay = -1
    var payload: UnsafeRawPointer?
  }

  private let link: Link
  private let seed: UInt64
  private let outgoing: UInt64
  private let segments: UInt64
  private var generator: SeededGenerator
  private var sending = [Outgoing](repeating: Outgoing(), count: Lane.count)
  private var receiving = [Incoming](repeating: Incoming(), count: Lane.count)
  private let sources: Scratch
  private let destinations: Scratch
  private let stride = conformanceSegmentBytesMax + 64

  init(_ link: Link, seed: UInt64, outgoing: UInt64, segments: UInt64) {
    self.link = link
    self.seed = seed
    self.outgoing = outgoing
    self.segments = segments
    generator = SeededGenerator(seed, outgoing)
    sources = Scratch(Lane.count * (Lane.credit + 1) * stride)
    destinations = Scratch(Lane.count * stride)
  }

  private func key(_ direction: UInt64, _ lane: Int, _ sequence: UInt64) -> UInt64 {
    seed &* 31 &+ (direction << 60 | UInt64(lane) << 50 | sequence)
  }

  /// Both ends know the size of every segment.
  private func size(_ direction: UInt64, _ lane: Int, _ sequence: UInt64) -> Int {
    var generator = SeededGenerator(key(direction, lane, sequence))
    let limit = [64, 64, 600, 5000, 17_000, conformanceSegmentBytesMax][Int(generator.next() % 6)]
    return Int(generator.next() % UInt64(limit + 1))
  }

  func run() throws {
    let deadline = Deadline(seconds: 60)
    var unfinished = true
    while unfinished {
      if link.needsProgress { link.progress() }
      unfinished = false
      for lane in 0..<Lane.count {
        reuse(lane)
        try trySend(lane)
        try tryReceive(lane)
        let isSent = sending[lane].sent == segments && link.released(lane) == segments
        if !isSent || receiving[lane].received < segments { unfinished = true }
      }
      if link.status.pointee.failed { throw link.failure! }
      try deadline.check("the exchange: sent \(sending.map(\.sent)), received \(receiving.map(\.received))")
    }
  }

  private func source(_ lane: Int, _ index: Int) -> UnsafeMutableRawPointer {
    sources.base + (lane * (Lane.credit + 1) + index) * stride
  }

  /// Overwrites what is free: a link that reads it later is caught by the comparison.
  private func reuse(_ lane: Int) {
    let released = link.released(lane)
    for index in 0...Lane.credit where sending[lane].busy[index] != 0 && sending[lane].busy[index] <= released {
      memset(source(lane, index), 0xEE, 64 + min(2000, conformanceSegmentBytesMax))
      sending[lane].busy[index] = 0
    }
  }

  private func trySend(_ lane: Int) throws {
    guard sending[lane].sent < segments, generator.next() % 3 != 0,
      let free = sending[lane].busy.firstIndex(of: 0), link.canSend(lane)
    else { return }
    let sequence = sending[lane].sent + 1
    let bytes = size(outgoing, lane, sequence)
    if let composed = sending[lane].composed {
      try compare(composed.memory, outgoing, lane, composed.sequence, size(outgoing, lane, composed.sequence))
      sending[lane].composed = nil
    }
    // Some reservations come to nothing.
    let way = generator.next() % 6
    if way < 3 { memcpy(link.reserve(lane, bytes), BytePool.shared.content(key(outgoing, lane, sequence)), bytes) }
    if way < 2 {
      let memory = link.reserve(lane, bytes)
      try compare(memory, outgoing, lane, sequence, bytes)
      let returned = link.commit(lane, CallSignature(rawValue: 5), sequence, bytes)
      precondition(returned == sequence)
      sending[lane].sent = sequence
      sending[lane].composed = (UnsafeRawPointer(memory), sequence)
      return
    }
    let place = source(lane, free) + Int(generator.next() % 17)
    memcpy(place, BytePool.shared.content(key(outgoing, lane, sequence)), bytes)
    let returned = link.send(lane, CallSignature(rawValue: 5), sequence, place, bytes, copied: way == 5)
    precondition(returned == sequence)
    sending[lane].sent = sequence
    sending[lane].busy[free] = sequence
  }

  private func tryReceive(_ lane: Int) throws {
    let direction = 1 - outgoing
    let sequence = receiving[lane].received + 1
    let bytes = sequence <= segments ? size(direction, lane, sequence) : 0
    let destination = destinations.base + lane * stride
    guard let found = link.peek(lane) else {
      if sequence <= segments && generator.next() % 2 == 0 {
        link.offer(lane, CallSignature(rawValue: 5), sequence, destination, bytes)
      }
      return
    }
    guard sequence <= segments, found.pointee.count == sequence, found.pointee.bytes == bytes else {
      throw TestFailure(
        "lane \(lane): segment \(found.pointee.count) of \(found.pointee.bytes) bytes instead of \(sequence)")
    }
    let payload = found.pointee.placed ? UnsafeRawPointer(destination) : found.pointee.payload
    if receiving[lane].delay < 0 {
      receiving[lane].delay = Int(generator.next() % 8)
      receiving[lane].payload = payload
      try compare(payload, direction, lane, sequence, bytes)
    }
    if receiving[lane].delay > 0 {
      receiving[lane].delay -= 1
      return
    }
    guard receiving[lane].payload == payload else { throw TestFailure("a peeked payload moved") }
    try compare(payload, direction, lane, sequence, bytes)
    link.consume(lane)
    receiving[lane].received = sequence
    receiving[lane].delay = -1
  }

  /// Throws when memory does not hold the contents of a segment.
  private func compare(
    _ payload: UnsafeRawPointer, _ direction: UInt64, _ lane: Int, _ sequence: UInt64, _ bytes: Int
  ) throws {
    if memcmp(payload, BytePool.shared.content(key(direction, lane, sequence)), bytes) != 0 {
      throw TestFailure("lane \(lane), segment \(sequence): \(bytes) bytes differ")
    }
  }
}
