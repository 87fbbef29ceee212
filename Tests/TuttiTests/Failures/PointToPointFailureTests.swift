import TuttiSystem
import Foundation
import Testing
import TuttiBootstrap
import TuttiTransport

@testable import Tutti
@testable import TuttiEngine

/// Sends and receives that cannot end: each ends with an error that names the peer, on every rank, and none hangs.
@Suite(.serialized) struct PointToPointFailureTests {
  /// The first error of a body that must throw one.
  static func error(_ body: () throws(TuttiError) -> Void) -> TuttiError? {
    do throws(TuttiError) { try body() } catch { return error }
    return nil
  }

  @Test(arguments: Fabric.allCases)
  func badArgumentsAreRefused(fabric: Fabric) throws {
    try withRanks(2, fabric) { communicator in
      var values: [Float] = [1, 2]
      let buffer = TuttiBuffer<Float>(values)
      let base = UnsafeMutableRawPointer(buffer.pointer.baseAddress!)
      for peer in [-1, 2, Int.max, Int.min] {
        let refusals = [
          Self.error { () throws(TuttiError) in try communicator.send(values, to: peer) },
          Self.error { () throws(TuttiError) in try communicator.receive(into: &values, from: peer) },
          Self.error { () throws(TuttiError) in _ = try communicator.startSend(buffer, to: peer) },
          Self.error { () throws(TuttiError) in _ = try communicator.startReceive(into: buffer, from: peer) },
          Self.error { () throws(TuttiError) in
            try communicator.sendReceive(buffer.elements, to: 0, into: &values, from: peer)
          },
        ]
        for refused in refusals {
          let refused = try #require(refused)
          #expect(refused.code == .invalidArgument && refused.rank == communicator.rank)
          #expect(refused.message.contains("rank \(peer)") && refused.advice.contains("0 to 1"), "\(refused)")
          expectReadable(refused)
        }
      }
      for count in [-1, Int.max / 8] {
        let refused = Self.error { () throws(TuttiError) in
          try communicator.send(RawMemory(base, count: count, type: .float64), to: 0)
        }
        #expect(refused?.code == .invalidArgument && refused?.message.contains("\(count)") == true)
      }
      // Nothing was numbered.
      try communicator.sendReceive([3, 4] as [Float], to: 1 - communicator.rank, into: &values, from: 1 - communicator.rank)
      #expect(values == [3, 4])
    }
  }

  /// Elements that are nowhere are refused, in every call; none of them are none.
  @Test func nilMemoryIsRefused() throws {
    try withRanks(2) { communicator in
      let peer = 1 - communicator.rank
      let (nowhere, nothing) = (RawMemory(nil, count: 3, type: .float32), RawMemory(nil, count: 0, type: .float32))
      let refusals = [
        Self.error { () throws(TuttiError) in try communicator.send(nowhere, to: peer) },
        Self.error { () throws(TuttiError) in try communicator.receive(into: nowhere, from: peer) },
        Self.error { () throws(TuttiError) in _ = try communicator.startSend(nowhere, to: peer) },
        Self.error { () throws(TuttiError) in _ = try communicator.startReceive(into: nowhere, from: peer) },
        Self.error { () throws(TuttiError) in try communicator.sendReceive(nowhere, to: peer, into: nothing, from: peer) },
        Self.error { () throws(TuttiError) in try communicator.sendReceive(nothing, to: peer, into: nowhere, from: peer) },
        Self.error { () throws(TuttiError) in try communicator.send(nowhere, to: peer, tag: 1) },
        Self.error { () throws(TuttiError) in _ = try communicator.startSend(nowhere, to: peer, tag: 1) },
        Self.error { () throws(TuttiError) in try communicator.receive(into: nowhere, from: .rank(peer), tag: 1) },
        Self.error { () throws(TuttiError) in _ = try communicator.startReceive(into: nowhere, from: .any, tag: 1) },
      ]
      for (index, refused) in refusals.enumerated() {
        let refused = try #require(refused, "call \(index)")
        #expect(refused.code == .invalidArgument && refused.message.contains("is nil on rank"), "\(refused)")
        expectReadable(refused)
      }
      try communicator.sendReceive(nothing, to: peer, into: nothing, from: peer)
    }
  }

  /// So many can be in flight, and one more is refused without harm.
  @Test func crowdingIsRefused() throws {
    let communicators = try makeCommunicators(2)
    let buffer = TuttiBuffer<Int32>(count: 1, repeating: 0)
    for _ in 0..<PointToPoint.capacity { _ = try communicators[0].startReceive(into: buffer, from: 1) }
    for _ in 0..<2 {
      let refused = Self.error { () throws(TuttiError) in _ = try communicators[0].startReceive(into: buffer, from: 1) }
      #expect(refused?.code == .resources && refused?.message.contains("65536") == true, "\(String(describing: refused))")
      if let refused { expectReadable(refused) }
    }
    // One ends, one fits.
    try communicators[1].send([7] as [Int32], to: 0)
    let end = ContinuousClock.now + .seconds(10 * slowness)
    while buffer[0] != 7 && ContinuousClock.now < end { Thread.sleep(forTimeInterval: 0.001) }
    var last: Work?
    while last == nil && ContinuousClock.now < end { last = try? communicators[0].startReceive(into: buffer, from: 1) }
    #expect(last != nil)
    communicators.forEach { $0.close() }
  }

  // MARK: Mismatch

  enum Difference: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case type, count, emptiness, large, registeredPart, registeredSegment

    var testDescription: String { rawValue }

    /// Where the receiver tells the sender beforehand where segments belong, and the sender has segments of another size.
    var isRegistered: Bool { self == .registeredPart || self == .registeredSegment }

    /// What rank 1 sends and rank 0 receives, as its third message.
    var sent: (count: Int, type: DataType) {
      switch self {
      case .large, .registeredSegment: (1_000_000, .float32)
      case .registeredPart: (25_600, .float32)
      default: (10, .float32)
      }
    }
    var received: (count: Int, type: DataType) {
      switch self {
      // One segment instead of two; and smaller segments.
      case .registeredPart: (10_000, .float32)
      case .registeredSegment: (250_000, .float32)
      case .type: (10, .int32)
      case .count: (12, .float32)
      case .emptiness: (0, .float32)
      case .large: (1_000_001, .float32)
      }
    }
  }

  @Test(arguments: Fabric.allCases, Difference.allCases)
  func mismatches(fabric: Fabric, difference: Difference) throws {
    let communicators = try makeCommunicators(3, fabric, timeout: .seconds(20))
    let start = ContinuousClock.now
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      let memory =
        difference.isRegistered
        ? try communicator.allocate(count: 1_000_001, repeating: Float(1))
        : TuttiBuffer<Float>(count: 1_000_001, repeating: 1)
      let base = UnsafeMutableRawPointer(memory.pointer.baseAddress!)
      for index in 0..<3 {
        let isLast = index == 2
        if communicator.rank == 1 {
          try communicator.send(
            RawMemory(base, count: isLast ? difference.sent.count : 5, type: isLast ? difference.sent.type : .int64), to: 0)
        } else if communicator.rank == 0 {
          try communicator.receive(
            into: RawMemory(
              base, count: isLast ? difference.received.count : 5, type: isLast ? difference.received.type : .int64), from: 1
          )
        }
      }
      try communicator.barrier()
    }
    for (rank, ending) in ended.enumerated() {
      let error = try #require(ending.error, "rank \(rank)'s call ended well")
      #expect(error.code == .mismatch && error.peer == 1, "\(error)")
      let (sent, received) = (difference.sent, difference.received)
      #expect(
        error.message
          == "rank 1 sent \(sent.type) x \(sent.count) as its message 3 to rank 0, which receives \(received.type) x \(received.count)"
      )
      #expect(error.operation == "receive of message 3 from rank 1 (\(received.type) x \(received.count))")
      // Over RDMA on an emulated processor, making the links takes most of a second.
      let limit = Duration.seconds((fabric == .rdma ? 8 : 1) * slowness)
      #expect(ending.time - start < limit, "rank \(rank) heard after \(ending.time - start)")
      expectReadable(error)
    }
    communicators.forEach { $0.close() }
  }

  @Test func mismatchesWithItself() throws {
    let communicators = try makeCommunicators(2)
    var target: [Int32] = [0]
    let error = Self.error { () throws(TuttiError) in
      let work = try communicators[0].startSend(TuttiBuffer<Float>(count: 1, repeating: 1), to: 0)
      try communicators[0].receive(into: &target, from: 0)
      try work.wait()
    }
    #expect(error?.code == .mismatch && error?.peer == 0, "\(String(describing: error))")
    #expect(error?.message == "rank 0 sent float32 x 1 as its message 1 to rank 0, which receives int32 x 1")
    communicators.forEach { $0.close() }
  }

  // MARK: Deadlines

  /// A receive whose send never comes, a large send that nobody receives, and messages queued behind them.
  @Test(arguments: Fabric.allCases, ["receive", "send", "started", "behind", "exchange"])
  func thePeerNeverCalls(fabric: Fabric, how: String) throws {
    let communicators = try makeCommunicators(3, fabric)
    let timeout = Duration.seconds(0.4)
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      try communicator.barrier()
      if communicator.rank != 0 { return }
      var values = [Float](repeating: 1, count: 1_000_000)
      let buffer = TuttiBuffer<Float>(count: 1_000_000, repeating: 1)
      switch how {
      case "receive": try communicator.receive(into: &values, from: 1, timeout: timeout)
      // More than sockets and windows hold.
      case "send": for _ in 0..<5 { try communicator.send(values, to: 1, timeout: timeout) }
      case "started":
        try communicator.startReceive(into: buffer, from: 1, timeout: timeout).wait()
      case "behind":
        let first = try communicator.startReceive(into: buffer, from: 1)
        _ = try communicator.startReceive(into: buffer, from: 1, timeout: timeout)
        try first.wait()
      default: try communicator.sendReceive([1] as [Float], to: 2, into: &values, from: 1, timeout: timeout)
      }
    }
    let error = try #require(ended[0].error)
    let took = ended[0].time - ended[1].time
    #expect(error.code == .timeout && error.peer == 1, "\(error)")
    #expect(took > .seconds(0.3) && took < .seconds(1.4 * Double(slowness)), "took \(took)")
    #expect(error.message.contains("0.4 s") && error.message.contains("rank 1"), "\(error)")
    #expect(error.message.contains("answers, and waits for nothing"), "\(error)")
    let operation =
      how == "send" ? "send of message" : how == "behind" ? "receive of message 2 from" : "receive of message 1 from"
    #expect(error.operation.contains(operation) && error.operation.contains("(float32 x 1000000)"), "\(error)")
    expectReadable(error)
    // The others hear it.
    let late = Self.error { () throws(TuttiError) in try communicators[2].barrier() }
    #expect(late?.code == .timeout && late?.peer == 1)
    communicators.forEach { $0.close() }
  }

  /// The chain of waits is followed, also from sends and receives into collectives and back.
  @Test(arguments: Fabric.allCases, ["receives", "collective first", "circle"])
  func theChainIsFollowed(fabric: Fabric, how: String) throws {
    let communicators = try makeCommunicators(3, fabric)
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      try communicator.barrier()
      var value: [Int32] = [0]
      let (soon, late) = (Duration.seconds(0.5), Duration.seconds(20))
      switch (how, communicator.rank) {
      case ("receives", 0): try communicator.receive(into: &value, from: 1, timeout: soon)
      case ("receives", 1): try communicator.receive(into: &value, from: 2, timeout: late)
      case ("collective first", 0): try communicator.receive(into: &value, from: 1, timeout: soon)
      case ("collective first", 1): try communicator.allReduce(&value, .sum, timeout: late)
      case ("circle", 0): try communicator.receive(into: &value, from: 1, timeout: soon)
      case ("circle", 1): try communicator.receive(into: &value, from: 2, timeout: late)
      case ("circle", 2): try communicator.receive(into: &value, from: 0, timeout: late)
      default: break
      }
    }
    let error = try #require(ended[0].error)
    #expect(error.code == .timeout, "\(error)")
    switch how {
    case "receives":
      #expect(error.peer == 2 && error.message.contains("rank 1: rank 2"), "\(error)")
      #expect(error.message.contains("answers, and waits for nothing; rank 1 waits for rank 2"), "\(error)")
    case "circle":
      #expect(error.peer == 2 && error.message.contains("waits for rank 0"), "\(error)")
      #expect(
        error.message.contains("in a receive of message 1 from rank 0 (int32 x 1); rank 1 waits for rank 2"), "\(error)")
    default:
      // Rank 1 waits for either of the others.
      #expect(error.peer == 2 || error.message.contains("rank 1 is in operation 2"), "\(error)")
    }
    expectReadable(error)
    communicators.forEach { $0.close() }
  }

  /// A rank in a send or receive is told from one that is nowhere, by a collective that waits for it.
  @Test(arguments: Fabric.allCases)
  func aCollectiveWaitsForAReceive(fabric: Fabric) throws {
    let communicators = try makeCommunicators(2, fabric)
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      try communicator.barrier()
      if communicator.rank == 0 { return try communicator.barrier(timeout: .seconds(0.5)) }
      var value: [Int32] = [0]
      try communicator.receive(into: &value, from: 0, timeout: .seconds(20))
    }
    for ending in ended {
      let error = try #require(ending.error)
      #expect(error.code == .timeout && error.peer == 1, "\(error)")
      #expect(error.message.contains("waits for rank 0"), "\(error)")
      #expect(error.message.contains("in a receive of message 1 from rank 0 (int32 x 1)"), "\(error)")
    }
    communicators.forEach { $0.close() }
  }

  /// To itself without the other half: an error, not a hang.
  @Test(arguments: [true, false])
  func aloneWithItself(isSend: Bool) throws {
    let communicators = try makeCommunicators(2)
    let start = ContinuousClock.now
    var value: [Int32] = [0]
    let error = Self.error { () throws(TuttiError) in
      if isSend {
        try communicators[0].send(value, to: 0, timeout: .seconds(0.2))
      } else {
        try communicators[0].receive(into: &value, from: 0, timeout: .seconds(0.2))
      }
    }
    #expect(error?.code == .timeout && error?.peer == 0 && ContinuousClock.now - start < .seconds(2 * slowness))
    #expect(error?.message.contains("has not called the matching \(isSend ? "receive" : "send")") == true)
    if let error { expectReadable(error) }
    communicators.forEach { $0.close() }
  }

  // MARK: Peers that go

  @Test(arguments: Fabric.allCases, ["close", "abort", "kill", "close this"])
  func thePeerGoes(fabric: Fabric, how: String) throws {
    // A process that dies is tested where ranks are processes.
    if how == "kill" && fabric != .inProcess { return }
    let communicators = try makeCommunicators(3, fabric, timeout: .seconds(20))
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      try communicator.barrier()
      if communicator.rank == 2 { return }
      var values = [Float](repeating: 1, count: 1_000_000)
      if communicator.rank == 1 {
        // The first message was sent before: it arrives.
        try communicator.send([5] as [Float], to: 0)
        Thread.sleep(forTimeInterval: 0.1)
        switch how {
        case "close": communicator.close()
        case "abort": communicator.abort("enough")
        case "kill": (communicator.member.controlPlane as! InProcessControlPlane).kill()
        default: break
        }
        return
      }
      let pending = try communicator.startReceive(into: TuttiBuffer<Float>(count: 1_000_000, repeating: 1), from: 2)
      var first: [Float] = [0]
      try communicator.receive(into: &first, from: 1)
      if how == "close this" {
        communicator.close()
        try pending.wait()
      }
      try communicator.receive(into: &values, from: 1)
    }
    let error = try #require(ended[0].error)
    if how == "close this" {
      #expect(error.code == .closed, "\(error)")
    } else {
      #expect(error.code == (how == "abort" ? .aborted : .peerLost) && error.peer == 1, "\(error)")
      #expect(ended[0].time - ended[1].time < .seconds(1 * slowness), "heard after \(ended[0].time - ended[1].time)")
    }
    expectReadable(error)
    communicators.forEach { $0.close() }
  }

  /// A peer that has sent what it had and closed has done its part.
  @Test(arguments: Fabric.allCases)
  func aPeerMayLeaveWhenItHasSent(fabric: Fabric) throws {
    let communicators = try makeCommunicators(2, fabric, timeout: .seconds(20))
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      try communicator.barrier()
      if communicator.rank == 1 {
        for value in 0..<3 { try communicator.send([Int32](repeating: Int32(value), count: 1000), to: 0) }
        return communicator.close()
      }
      Thread.sleep(forTimeInterval: 0.1)
      for value in 0..<3 {
        var got = [Int32](repeating: -1, count: 1000)
        try communicator.receive(into: &got, from: 1)
        if got.contains(where: { $0 != Int32(value) }) { communicator.abort("received \(got[0])") }
      }
    }
    for ending in ended { #expect(ending.error == nil, "\(ending.error?.description ?? "")") }
    communicators.forEach { $0.close() }
  }

  /// A link that breaks anywhere in a random run.
  @Test func severedLinks() throws {
    let seed = testSeed("PointToPointFailureTests.severedLinks")
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<15 {
      var faults = InProcessFaults(seed: generator.next())
      faults.severAtSegment = UInt64.random(in: 1...20, using: &generator)
      let shared = generator.next()
      let communicators = try makeCommunicators(
        Int.random(in: 2...4, using: &generator), faults: faults, timeout: .seconds(20))
      let ended = try endings(communicators) { communicator throws(TuttiError) in
        do {
          for round in 0..<3 { try PointToPointTests.play(communicator, seed: shared &+ UInt64(round)) }
          try communicator.barrier()
        } catch let error as TuttiError { throw error } catch { communicator.abort("\(error)") }
      }
      for ending in ended {
        let error = try #require(ending.error, "a run over a link that broke ended well")
        #expect(error.code == .peerLost, "\(error)")
        expectReadable(error)
      }
      communicators.forEach { $0.close() }
    }
  }

  /// What was thrown ends the transfers: their memory may go at once.
  @Test(arguments: Fabric.allCases)
  func memoryIsLeftAloneAfterAFailure(fabric: Fabric) throws {
    let communicators = try makeCommunicators(2, fabric)
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      try communicator.barrier()
      let (bytes, other) = (8 << 20, 1 - communicator.rank)
      let memory = UnsafeMutableRawPointer.allocate(byteCount: 2 * bytes, alignment: 64)
      defer { memory.deallocate() }
      memset(memory, 1, 2 * bytes)
      var work: Work?
      var thrown: TuttiError?
      do throws(TuttiError) {
        work = try communicator.startReceive(into: RawMemory(memory, count: bytes / 4, type: .int32), from: other)
        _ = try communicator.startSend(RawMemory(memory + bytes, count: bytes / 4, type: .int32), to: other)
        if communicator.rank == 1 {
          Thread.sleep(forTimeInterval: 0.0005)
          communicator.abort("stop")
        }
        try work?.wait()
      } catch { thrown = error }
      if thrown == nil { return }
      // From now on the memory is ours again.
      memset(memory, 0x77, 2 * bytes)
      communicator.close()
      Thread.sleep(forTimeInterval: 0.05)
      guard memcmp(memory, memory + 1, 2 * bytes - 1) == 0, memory.load(as: UInt8.self) == 0x77 else {
        throw TuttiError(FailureReport(.unproven, "memory was written after a failure"))
      }
    }
    for ending in ended { #expect(ending.error == nil, "\(ending.error?.description ?? "")") }
    communicators.forEach { $0.close() }
  }
}
