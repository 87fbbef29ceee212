import TuttiSystem
import CTuttiAllocations
import Foundation
import Synchronization
import Testing
import TuttiTesting
import TuttiTransport

@testable import Tutti
@testable import TuttiEngine

/// Sends and receives that end well: matched by order for each pair, with each other and with collectives in flight.
@Suite(.serialized) struct PointToPointTests {
  /// What carries a test: a fabric, or in-process links that misbehave.
  static let carriers: [Fabric?] = [nil] + Fabric.allCases.map { $0 }

  static func faults(_ fabric: Fabric?, _ seed: UInt64) -> InProcessFaults? {
    fabric == nil ? InProcessFaults(seed: seed) : nil
  }

  /// Many messages both ways between all pairs of 1 to 5 ranks, self included, started in an order of each rank's own, among
  /// collectives, and waited for in another.
  @Test(arguments: carriers)
  func manyInFlight(fabric: Fabric?) throws {
    let seed = testSeed("PointToPointTests.manyInFlight")
    var seeds = SeededGenerator(seed: seed)
    for rankCount in 1...5 {
      for _ in 0..<(rankCount == 1 ? 1 : 3) {
        let shared = seeds.next()
        try withRanks(rankCount, fabric ?? .inProcess, faults: Self.faults(fabric, seeds.next())) {
          try Self.play($0, seed: shared)
        }
      }
    }
  }

  /// One rank's part of a random run.
  static func play(_ communicator: Communicator, seed: UInt64) throws {
    let (rank, rankCount) = (communicator.rank, communicator.rankCount)
    var shared = SeededGenerator(seed: seed)
    var own = SeededGenerator(seed: seed &+ 1 &+ UInt64(rank))
    for round in 0..<3 {
      // By pair: the messages in order. All ranks draw the same.
      var mine: [[Letter]] = []
      for sender in 0..<rankCount {
        for receiver in 0..<rankCount {
          let letters = (0..<Int.random(in: 0...6, using: &shared)).map { index in
            (Letter.randomBytes(&shared), DataType.allCases.randomElement(using: &shared)!, index)
          }
          if sender == rank {
            mine.append(
              letters.map {
                Letter(isSend: true, receiver, $0.0, $0.1, salt: $0.2 + 7 * round + sender * 31 + receiver, &own)
              })
          }
          if receiver == rank {
            mine.append(
              letters.map {
                Letter(isSend: false, sender, $0.0, $0.1, salt: $0.2 + 7 * round + sender * 31 + receiver, &own)
              })
          }
        }
      }
      let collectives = Int.random(in: 0...3, using: &shared)
      var started: [AsynchronousTests.Started] = []
      var queues = mine.filter { !$0.isEmpty }
      while !queues.isEmpty || started.count < collectives {
        if queues.isEmpty || started.count < collectives && Int.random(in: 0..<5, using: &own) == 0 {
          started.append(try .init(communicator, nil, count: 3000 * started.count, salt: round))
          continue
        }
        let place = Int.random(in: 0..<queues.count, using: &own)
        try queues[place].removeFirst().start(communicator)
        if queues[place].isEmpty { queues.remove(at: place) }
        if Int.random(in: 0..<20, using: &own) == 0 { RandomOperations.dawdle(&own) }
      }
      var all = mine.flatMap { $0 }
      all.shuffle(using: &own)
      if Bool.random(using: &own) { for one in started { try one.finish() } }
      for letter in all {
        if Int.random(in: 0..<20, using: &own) == 0 { RandomOperations.dawdle(&own) }
        try letter.finish()
      }
      for one in started { try one.finish() }
      // A blocking collective between rounds, now and then.
      if Bool.random(using: &shared) { try communicator.barrier() }
    }
  }

  /// Blocking calls in the order of a random list of pairs, which all ranks know, so that they cannot wait in a circle.
  @Test(arguments: carriers)
  func blockingCalls(fabric: Fabric?) throws {
    let seed = testSeed("PointToPointTests.blockingCalls")
    var seeds = SeededGenerator(seed: seed)
    for rankCount in 2...4 {
      let shared = seeds.next()
      try withRanks(rankCount, fabric ?? .inProcess, faults: Self.faults(fabric, seeds.next())) { communicator in
        var common = SeededGenerator(seed: shared)
        var own = SeededGenerator(seed: shared &+ 1 &+ UInt64(communicator.rank))
        for index in 0..<60 {
          let sender = Int.random(in: 0..<rankCount, using: &common)
          let receiver = (sender + Int.random(in: 1..<rankCount, using: &common)) % rankCount
          let bytes = Letter.randomBytes(&common)
          let isMine = sender == communicator.rank
          guard isMine || receiver == communicator.rank else { continue }
          let letter = Letter(isSend: isMine, isMine ? receiver : sender, bytes, .float32, salt: index, &own)
          try letter.perform(communicator)
        }
      }
    }
  }

  /// Every rank passes its data to the next, which a send followed by a receive could not do.
  @Test(arguments: carriers)
  func ringShift(fabric: Fabric?) throws {
    let seed = testSeed("PointToPointTests.ringShift")
    for rankCount in [1, 2, 3, 5] {
      try withRanks(rankCount, fabric ?? .inProcess, faults: Self.faults(fabric, seed)) { communicator in
        let rank = communicator.rank
        let (next, previous) = ((rank + 1) % rankCount, (rank + rankCount - 1) % rankCount)
        for count in [0, 1, 77, 30_000, 700_000] {
          let mine = [Int32](repeating: Int32(rank * 1000 + count % 1000), count: count)
          let expected = [Int32](repeating: Int32(previous * 1000 + count % 1000), count: count)
          var theirs = [Int32](repeating: -1, count: count)
          try communicator.sendReceive(mine, to: next, into: &theirs, from: previous)
          guard theirs == expected else { throw WrongResult(description: "array of \(count) on \(rankCount) ranks") }
          theirs = [Int32](repeating: -1, count: count)
          var target = theirs.mutableSpan
          try communicator.sendReceive(mine.span, to: next, into: &target, from: previous)
          guard theirs == expected else { throw WrongResult(description: "span of \(count) on \(rankCount) ranks") }
        }
      }
    }
  }

  /// Every form of the calls.
  @Test(arguments: Fabric.allCases)
  func forms(fabric: Fabric) throws {
    try withRanks(2, fabric) { communicator in
      let values: [Double] = [1, 2, 3]
      if communicator.rank == 0 {
        try communicator.send(values, to: 1)
        try communicator.send(values.span, to: 1)
        try values.withUnsafeBytes { try communicator.send(RawMemory($0.baseAddress!, count: 3, type: .float64), to: 1) }
        let buffer = TuttiBuffer<Double>(values)
        try communicator.startSend(buffer, to: 1).wait()
        try communicator.startSend(RawMemory(buffer.pointer.baseAddress!, count: 3, type: .float64), to: 1).wait()
        try communicator.send([Int64](), to: 1)
        return
      }
      var got = [Double](repeating: 0, count: 3)
      func check() throws {
        guard got == values else { throw WrongResult(description: "received \(got)") }
        got = [0, 0, 0]
      }
      try communicator.receive(into: &got, from: 0)
      try check()
      var span = got.mutableSpan
      try communicator.receive(into: &span, from: 0)
      try check()
      try got.withUnsafeMutableBytes {
        try communicator.receive(into: RawMemory($0.baseAddress!, count: 3, type: .float64), from: 0)
      }
      try check()
      let buffer = TuttiBuffer<Double>(count: 3, repeating: 0)
      let work = try communicator.startReceive(into: buffer, from: 0)
      try work.wait()
      guard work.isDone && work.number > 1 << 63 else { throw WrongResult(description: "number \(work.number)") }
      got = buffer.elements
      try check()
      try communicator.startReceive(into: RawMemory(buffer.pointer.baseAddress!, count: 3, type: .float64), from: 0).wait()
      got = buffer.elements
      try check()
      var none: [Int64] = []
      try communicator.receive(into: &none, from: 0)
    }
  }

  /// Small blocking sends end although the receiver calls only after they have.
  @Test(arguments: Fabric.allCases)
  func smallSendsDoNotWait(fabric: Fabric) throws {
    let hasSent = Atomic<Bool>(false)
    let communicators = try makeCommunicators(2, fabric, timeout: .seconds(20))
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      try communicator.barrier()
      if communicator.rank == 0 {
        for value in 0..<Lane.credit { try communicator.send([Int32(value)], to: 1) }
        hasSent.store(true, ordering: .releasing)
        return
      }
      while !hasSent.load(ordering: .acquiring) { Thread.sleep(forTimeInterval: 0.001) }
      for value in 0..<Lane.credit {
        var got: [Int32] = [-1]
        try communicator.receive(into: &got, from: 0)
        if got != [Int32(value)] { communicator.abort("received \(got)") }
      }
    }
    for ending in ended { #expect(ending.error == nil, "\(ending.error?.description ?? "")") }
    communicators.forEach { $0.close() }
  }

  /// Sends and receives that were started end while nobody waits for them.
  @Test(arguments: Fabric.allCases)
  func progressWhileNobodyWaits(fabric: Fabric) throws {
    let communicators = try makeCommunicators(3, fabric)
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      let (next, previous) = ((communicator.rank + 1) % 3, (communicator.rank + 2) % 3)
      let incoming = TuttiBuffer<Float>(count: 1_000_000, repeating: 0)
      let receive = try communicator.startReceive(into: incoming, from: previous)
      let send = try communicator.startSend(
        TuttiBuffer<Float>(count: 1_000_000, repeating: Float(communicator.rank)), to: next)
      let end = ContinuousClock.now + .seconds(20 * slowness)
      while !(send.isDone && receive.isDone) && ContinuousClock.now < end { Thread.sleep(forTimeInterval: 0.002) }
      if !send.isDone || !receive.isDone || incoming.elements.contains(where: { $0 != Float(previous) }) {
        communicator.abort("the progress thread did not do it")
      }
    }
    for ending in ended { #expect(ending.error == nil, "\(ending.error?.description ?? "")") }
    communicators.forEach { $0.close() }
  }

  @Test func valuesCanBeAwaited() async throws {
    let communicators = try makeCommunicators(2, .inProcess)
    let buffers = (0..<2).map { _ in TuttiBuffer<Int64>(count: 100_000, repeating: 3) }
    let receive = try communicators[1].startReceive(into: buffers[1], from: 0)
    let send = try communicators[0].startSend(buffers[0], to: 1)
    try await receive.finish()
    try await send.finish()
    #expect(buffers[1].elements == buffers[0].elements)
    communicators.forEach { $0.close() }
  }

  /// A completion handler is called without the lock: it may make calls of its own.
  @Test(arguments: Fabric.allCases)
  func handlersMayCall(fabric: Fabric) throws {
    let communicators = try makeCommunicators(2, fabric, timeout: .seconds(20))
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      let other = 1 - communicator.rank
      let buffers = (0..<4).map { TuttiBuffer<Int32>(count: 5000, repeating: Int32($0)) }
      let second = Lock<Work?>(nil)
      let first = try communicator.startReceive(into: buffers[0], from: other)
      _ = try communicator.startSend(buffers[2], to: other)
      communicator.engine.notify(first.number) {
        let work = try? communicator.startSend(buffers[1], to: other)
        second.withLock { $0 = work }
      }
      try communicator.receive(into: RawMemory(buffers[3].pointer.baseAddress!, count: 5000, type: .int32), from: other)
      try first.wait()
      let end = ContinuousClock.now + .seconds(10 * slowness)
      while second.withLock({ $0 == nil }) && ContinuousClock.now < end { Thread.sleep(forTimeInterval: 0.001) }
      guard let work = second.withLock({ $0 }) else { return communicator.abort("no handler was called") }
      try work.wait()
      if buffers[0][4999] != 2 || buffers[3][4999] != 1 { communicator.abort("the messages came in the wrong order") }
    }
    for ending in ended { #expect(ending.error == nil, "\(ending.error?.description ?? "")") }
    communicators.forEach { $0.close() }
  }

  /// One thread sleeps in a receive while others of the same rank exchange with another rank.
  @Test(arguments: Fabric.allCases)
  func threadsDoNotHoldEachOtherUp(fabric: Fabric) throws {
    let communicators = try makeCommunicators(3, fabric, timeout: .seconds(20))
    let failures = Failures()
    try onThreads(4) { index in
      failures.record {
        switch index {
        case 0:
          var last: [Int32] = [0]
          try communicators[0].receive(into: &last, from: 1)
        case 1:  // The same rank, with rank 2, after the first thread has gone to sleep; only then rank 1 sends.
          Thread.sleep(forTimeInterval: 0.1)
          for round in 0..<200 {
            try communicators[0].send([Int32](repeating: Int32(round), count: 1 + round * 50), to: 2)
            var echo = [Int32](repeating: 0, count: 1 + round * 50)
            try communicators[0].receive(into: &echo, from: 2)
            guard echo.allSatisfy({ $0 == round }) else { throw WrongResult(description: "round \(round)") }
          }
          try communicators[0].send([1] as [Int32], to: 1)
        case 2:
          var word: [Int32] = [0]
          try communicators[1].receive(into: &word, from: 0)
          try communicators[1].send(word, to: 0)
        default:
          for round in 0..<200 {
            var word = [Int32](repeating: 0, count: 1 + round * 50)
            try communicators[2].receive(into: &word, from: 0)
            try communicators[2].send(word, to: 0)
          }
        }
      }
    }
    try failures.throwFirst()
    communicators.forEach { $0.close() }
  }

  // MARK: To itself

  @Test(arguments: Fabric.allCases)
  func messagesToItself(fabric: Fabric) throws {
    try withRanks(2, fabric) { communicator in
      let rank = communicator.rank
      var own = SeededGenerator(seed: UInt64(rank))
      var letters: [(Letter, Letter)] = []
      for (salt, bytes) in [0, 4, 1000, 3 << 20].enumerated() {
        letters.append(
          (
            Letter(isSend: true, rank, bytes, .int32, salt: salt, &own),
            Letter(isSend: false, rank, bytes, .int32, salt: salt, &own)
          ))
      }
      for (send, _) in letters { try send.start(communicator) }
      for (_, receive) in letters { try receive.start(communicator) }
      for (send, receive) in letters.reversed() {
        try receive.finish()
        try send.finish()
      }
      var target: [Int64] = [0, 0]
      try communicator.sendReceive([5, 6] as [Int64], to: rank, into: &target, from: rank)
      guard target == [5, 6] else { throw WrongResult(description: "received \(target)") }
      // Blocking, with the other half started before.
      let buffer = TuttiBuffer<Int64>(count: 2, repeating: 0)
      let work = try communicator.startReceive(into: buffer, from: rank)
      try communicator.send([7, 8] as [Int64], to: rank)
      try work.wait()
      guard buffer.elements == [7, 8] else { throw WrongResult(description: "received \(buffer.elements)") }
    }
  }

  // MARK: Records

  /// More in flight than one block of records holds: all receives first, so that nothing may wait for room.
  @Test(arguments: Fabric.allCases)
  func thousandsInFlight(fabric: Fabric) throws {
    try withRanks(2, fabric) { communicator in
      let (other, count) = (1 - communicator.rank, 1500)
      let buffer = TuttiBuffer<Int32>(count: count, repeating: -1)
      let source = TuttiBuffer<Int32>((0..<count).map { Int32($0) })
      let base = UnsafeMutableRawPointer(buffer.pointer.baseAddress!)
      var works = try (0..<count).map {
        try communicator.startReceive(into: RawMemory(base + 4 * $0, count: 1, type: .int32), from: other)
      }
      for index in 0..<count {
        works.append(
          try communicator.startSend(RawMemory(source.pointer.baseAddress! + index, count: 1, type: .int32), to: other))
      }
      for work in works { try work.wait() }
      guard buffer.elements == source.elements else { throw WrongResult(description: "received \(buffer.elements)") }
    }
  }

  /// A ticket stays done however often its record is used again.
  @Test func ticketsAreNotUsedAgain() throws {
    try withRanks(2) { communicator in
      let other = 1 - communicator.rank
      let buffer = TuttiBuffer<Int32>(count: 1, repeating: 0)
      var numbers: Set<UInt64> = []
      var works: [Work] = []
      for _ in 0..<2000 {
        let receive = try communicator.startReceive(into: buffer, from: other)
        let early = receive.isDone
        try communicator.send([1] as [Int32], to: other)
        try receive.wait()
        guard numbers.insert(receive.number).inserted, receive.isDone, !early || buffer[0] == 1 else {
          throw WrongResult(description: "ticket \(receive.number)")
        }
        works.append(receive)
      }
      guard works.allSatisfy(\.isDone) else { throw WrongResult(description: "a ticket is no longer done") }
      let pending = try communicator.startReceive(into: buffer, from: other)
      guard !works.contains(where: { $0.number == pending.number }) else { throw WrongResult(description: "used again") }
      try communicator.barrier()
      guard !pending.isDone else { throw WrongResult(description: "done before it was sent") }
      try communicator.barrier()
      try communicator.send([1] as [Int32], to: other)
      try pending.wait()
    }
  }

  /// Only 32 bits of a message's number travel.
  @Test(arguments: Fabric.allCases)
  func numbersWrapAround(fabric: Fabric) throws {
    try withRanks(2, fabric) { communicator in
      let other = 1 - communicator.rank
      for isSend in [true, false] {
        communicator.engine.transfers.pointee.queue(other, isSend: isSend).pointee.started = (1 << 32) - 3
      }
      for value in 0..<8 {
        var got: [Int32] = [-1]
        try communicator.sendReceive([Int32(value)], to: other, into: &got, from: other)
        guard got == [Int32(value)] else { throw WrongResult(description: "received \(got)") }
      }
    }
  }

  // MARK: Memory

  enum Style: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case blocking, started, exchanged

    var testDescription: String { rawValue }
  }

  @Test(
    .enabled(if: AllocationTests.isCounting, "a sanitizer's allocator counts nothing"), arguments: Fabric.allCases,
    Style.allCases)
  func steadyStateAllocatesNothing(fabric: Fabric, style: Style) throws {
    for (bytes, times) in [(8, 100), (65_536, 100), (1 << 20, 20)] {
      let communicators = try makeCommunicators(2, fabric)
      let quietest = Mutex(UInt64.max)
      let ended = try endings(communicators) { communicator throws(TuttiError) in
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 2 * bytes, alignment: 64)
        defer { memory.deallocate() }
        memset(memory, 0, 2 * bytes)
        try Self.repeatedly(times, style, communicator, memory, bytes)
        // Other tests' threads may allocate meanwhile, so the quietest of several stretches counts.
        for _ in 0..<10 {
          try communicator.barrier()
          let before = tutti_allocation_count()
          try Self.repeatedly(times, style, communicator, memory, bytes)
          try communicator.barrier()
          let count = tutti_allocation_count() - before
          try communicator.barrier()
          if communicator.rank == 0 { quietest.withLock { $0 = min($0, count) } }
        }
      }
      for ending in ended { #expect(ending.error == nil, "\(ending.error?.description ?? "")") }
      let count = quietest.withLock { $0 }
      #expect(count == 0, "\(bytes) bytes: \(count) allocations in \(times) exchanges")
      communicators.forEach { $0.close() }
    }
  }

  private static func repeatedly(
    _ times: Int, _ style: Style, _ communicator: Communicator, _ memory: UnsafeMutableRawPointer, _ bytes: Int
  ) throws(TuttiError) {
    let (other, count) = (1 - communicator.rank, bytes / 4)
    for _ in 0..<times {
      switch style {
      case .blocking:
        if communicator.rank == 0 {
          try communicator.send(RawMemory(memory, count: count, type: .float32), to: other)
          try communicator.receive(into: RawMemory(memory + bytes, count: count, type: .float32), from: other)
        } else {
          try communicator.receive(into: RawMemory(memory + bytes, count: count, type: .float32), from: other)
          try communicator.send(RawMemory(memory, count: count, type: .float32), to: other)
        }
      case .started:
        let receive = try communicator.startReceive(
          into: RawMemory(memory + bytes, count: count, type: .float32), from: other)
        let send = try communicator.startSend(RawMemory(memory, count: count, type: .float32), to: other)
        try send.wait()
        try receive.wait()
      case .exchanged:
        try communicator.sendReceive(
          RawMemory(memory, count: count, type: .float32), to: other,
          into: RawMemory(memory + bytes, count: count, type: .float32), from: other)
      }
    }
  }

  /// A buffer lives as long as the transfer that uses it, and no longer.
  @Test func buffersAreKeptAndLetGo() throws {
    let communicators = try makeCommunicators(2)
    weak var sent: TuttiBuffer<Int32>?
    weak var received: TuttiBuffer<Int32>?
    weak var pending: TuttiBuffer<Int32>?
    func start() throws -> [Work] {
      let buffers = (0..<3).map { _ in TuttiBuffer<Int32>(count: 300_000, repeating: 1) }
      (sent, received, pending) = (buffers[0], buffers[1], buffers[2])
      _ = try communicators[0].startReceive(into: buffers[2], from: 1)
      return [
        try communicators[0].startSend(buffers[0], to: 1), try communicators[1].startReceive(into: buffers[1], from: 0),
      ]
    }
    for work in try start() { try work.wait() }
    #expect(sent == nil && received == nil && pending != nil)
    communicators.forEach { $0.close() }
  }
}
