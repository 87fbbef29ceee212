import Foundation
import Patience
import Synchronization
import Testing
import TuttiEngine
import TuttiSystem
import TuttiTesting
import TuttiTransport

@testable import Tutti

/// Messages with tags: which receive gets which message, from which rank, and what fails.
@Suite(.serialized) struct TaggedTests {
  /// Elements of message `index` with `tag` from `sender`: no two have the same.
  private static func values(_ sender: Int, _ tag: Int, _ index: Int, count: Int) -> [Int32] {
    (0..<count).map { Int32($0 &+ 1000 * sender + 100 * tag + index) }
  }

  /// The order of receives is the receiver's: by tag the reverse of the order of sends, in the order of sends for each tag;
  /// in
  /// an envelope, in one segment, and in many.
  @Test(arguments: PointToPointTests.carriers)
  func receiverChoosesByTag(fabric: Fabric?) throws {
    let seed = testSeed("TaggedTests.receiverChoosesByTag")
    try withRanks(2, fabric ?? .inProcess, faults: PointToPointTests.faults(fabric, seed)) { communicator in
      for count in [0, 1, 56, 57, 5000, 300_000] {
        if communicator.rank == 0 {
          var works: [Work] = []
          for tag in 0..<3 {
            for index in 0..<2 {
              let buffer = TuttiBuffer(Self.values(0, tag, index, count: count))
              works.append(try communicator.startSend(buffer, to: 1, tag: tag))
            }
          }
          try WorkGroup(works).wait()
        } else {
          for tag in (0..<3).reversed() {
            for index in 0..<2 {
              var values = [Int32](repeating: -1, count: count)
              let source = try communicator.receive(into: &values, from: .rank(0), tag: tag)
              guard source == 0, values == Self.values(0, tag, index, count: count) else {
                throw WrongResult(description: "message \(index) with tag \(tag) of \(count) elements")
              }
            }
          }
        }
      }
    }
  }

  /// Rank 0 receives from whoever sends, and is told who it was; every message arrives once.
  @Test(arguments: PointToPointTests.carriers)
  func anyRank(fabric: Fabric?) throws {
    let seed = testSeed("TaggedTests.anyRank")
    var seeds = SeededGenerator(seed: seed)
    for rankCount in 1...4 {
      try withRanks(rankCount, fabric ?? .inProcess, faults: PointToPointTests.faults(fabric, seeds.next())) {
        communicator in
        let (rank, rounds) = (communicator.rank, 20)
        var sends: [Work] = []
        for index in 0..<rounds {
          let buffer = TuttiBuffer(Self.values(rank, 7, index, count: 10 * index * index))
          sends.append(try communicator.startSend(buffer, to: 0, tag: index))
        }
        if rank == 0 {
          for index in 0..<rounds {
            let received = try (0..<rankCount).map { _ in
              let buffer = TuttiBuffer<Int32>(count: 10 * index * index, repeating: -1)
              return (try communicator.startReceive(into: buffer, from: .any, tag: index), buffer)
            }
            var sources: Set<Int> = []
            for (message, buffer) in received {
              try message.work.wait()
              guard let source = message.source, message.work.isDone else { throw WrongResult(description: "no source") }
              sources.insert(source)
              guard buffer.elements == Self.values(source, 7, index, count: buffer.count) else {
                throw WrongResult(description: "message \(index) of rank \(source)")
              }
            }
            guard sources == Set(0..<rankCount) else { throw WrongResult(description: "messages of \(sources)") }
          }
        }
        try WorkGroup(sends).wait()
        try communicator.barrier()
      }
    }
  }

  /// Random tags, sizes and orders, on all pairs, with handlers, among collectives: each message meets its receive.
  @Test(arguments: PointToPointTests.carriers)
  func randomOrders(fabric: Fabric?) throws {
    let seed = testSeed("TaggedTests.randomOrders")
    try withRanks(3, fabric ?? .inProcess, faults: PointToPointTests.faults(fabric, seed)) { communicator in
      let (rank, rankCount) = (communicator.rank, communicator.rankCount)
      var shared = SeededGenerator(seed: seed)
      var own = SeededGenerator(seed: seed &+ UInt64(rank) &+ 1)
      // By sender and receiver: tag, index among those with the tag, count.
      var messages: [(sender: Int, receiver: Int, tag: Int, index: Int, count: Int)] = []
      for sender in 0..<rankCount {
        for receiver in 0..<rankCount {
          var indexes = [0, 0, 0]
          for _ in 0..<Int.random(in: 0...12, using: &shared) {
            let tag = Int.random(in: 0..<3, using: &shared)
            let count = [3, 40, 60, 3000, 100_000].randomElement(using: &shared)!
            messages.append((sender, receiver, tag, indexes[tag], count))
            indexes[tag] += 1
          }
        }
      }
      let ended = Atomic<Int>(0)
      var works: [Work] = []
      var received: [(TuttiBuffer<Int32>, [Int32])] = []
      let mine = messages.filter { $0.sender == rank }
      // Those of one receiver and tag stay in order; which receive is started when is anybody's choice.
      var receives = messages.filter { $0.receiver == rank }
      var sends = mine[...]
      while !sends.isEmpty || !receives.isEmpty {
        if receives.isEmpty || !sends.isEmpty && Bool.random(using: &own) {
          let message = sends.removeFirst()
          works.append(
            try communicator.startSend(
              TuttiBuffer(Self.values(rank, message.tag, message.index, count: message.count)), to: message.receiver,
              tag: message.tag))
        } else {
          let choice = receives.randomElement(using: &own)!
          let place = receives.firstIndex { $0.sender == choice.sender && $0.tag == choice.tag }!
          let message = receives.remove(at: place)
          let buffer = TuttiBuffer<Int32>(count: message.count, repeating: -1)
          let work = try communicator.startReceive(into: buffer, from: .rank(message.sender), tag: message.tag).work
          work.whenNoticed { ended.wrappingAdd(1, ordering: .relaxed) }
          works.append(work)
          received.append((buffer, Self.values(message.sender, message.tag, message.index, count: message.count)))
        }
      }
      works.append(try communicator.startBarrier())
      works.shuffle(using: &own)
      try communicator.combine(works).wait()
      for (buffer, expected) in received where buffer.elements != expected {
        throw WrongResult(description: "rank \(rank) got \(buffer.elements.prefix(2)), not \(expected.prefix(2))")
      }
      try communicator.barrier()
      guard ended.load(ordering: .relaxed) == received.count else { throw WrongResult(description: "handlers") }
    }
  }

  /// A message of another type or count is named on both ranks, also when it had been kept.
  @Test(arguments: Fabric.allCases, [false, true])
  func mismatchIsNamed(fabric: Fabric, isKept: Bool) throws {
    let communicators = try makeCommunicators(2, fabric)
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      if communicator.rank == 0 {
        try communicator.send([1, 2, 3, 4] as [Float], to: 1, tag: 5)
        if isKept { try communicator.send([1] as [Float], to: 1, tag: 6) }
      } else {
        var (values, one) = ([Double](repeating: 0, count: 4), [Float(0)])
        if isKept { try communicator.receive(into: &one, from: .rank(0), tag: 6) }
        try communicator.receive(into: &values, from: .any, tag: 5)
      }
      try communicator.barrier()
    }
    for ending in ended {
      let error = try #require(ending.error)
      #expect(error.code == .mismatch && error.message.contains("float32 x 4 with tag 5"), "\(error)")
      #expect(error.message.contains("float64 x 4"), "\(error)")
    }
  }

  /// A receive without a tag that meets a message with one says so.
  @Test(arguments: Fabric.allCases)
  func kindsAreNotMixed(fabric: Fabric) throws {
    let communicators = try makeCommunicators(2, fabric)
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      var values = [Float(0)]
      if communicator.rank == 0 {
        try communicator.send(values, to: 1, tag: 5)
      } else {
        try communicator.receive(into: &values, from: 0)
      }
      try communicator.barrier()
    }
    for ending in ended {
      let error = try #require(ending.error)
      #expect(error.code == .mismatch && error.message.contains("a message with a tag"), "\(error)")
    }
  }

  /// A number says which kind of operation it is of, and a transfer of an envelope is of no type.
  @Test func numbersAreApart() throws {
    #expect(WorkNumber(1 << 61) == .collective && WorkNumber(.max) == .transfer)
    for foreign in ForeignElements.allCases {
      #expect(DataType(rawValue: foreign.rawValue) == nil, "\(foreign)")
    }
    try withRanks(2) { communicator in
      let peer = 1 - communicator.rank
      let buffers = (0..<2).map { _ in TuttiBuffer<Int32>(count: 1, repeating: 0) }
      let collective = try communicator.startAllReduce(TuttiBuffer<Float>(count: 1, repeating: 1), .sum)
      let send = try communicator.startSend(buffers[0], to: peer, tag: 1)
      let receive = try communicator.startReceive(into: buffers[1], from: .rank(peer), tag: 1).work
      let both = try communicator.combine([send, receive])
      let kinds = [collective, send, receive, both].map { WorkNumber($0.number) }
      guard kinds == [.collective, .transfer, .receive, .composite] else { throw WrongResult(description: "\(kinds)") }
      try WorkGroup([collective, both]).wait()
    }
  }

  /// A receive that no message comes for ends at its limit, whoever waits for it, and after others have ended. The error
  /// tells that limit, though another message comes when half of it is over.
  @Test(arguments: Fabric.allCases, [MessageSource.rank(0), .any])
  func limitIsKept(fabric: Fabric, source: MessageSource) throws {
    let communicators = try makeCommunicators(2, fabric)
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      let one = TuttiBuffer<Int32>(count: 1, repeating: 0)
      if communicator.rank == 0 {
        usleep(200_000)
        try communicator.send(one, to: 1, tag: 1)
        try communicator.barrier()
      } else {
        let message = try communicator.startReceive(into: one, from: source, tag: 2, timeout: .milliseconds(400))
        try communicator.receive(into: one, from: source, tag: 1)
        let hasEnded = Atomic(false)
        message.work.whenNoticed { hasEnded.store(true, ordering: .releasing) }
        // Nobody waits for it but this loop, which makes no progress.
        let deadline = ContinuousClock.now + .seconds(Patience.seconds(30))
        while !hasEnded.load(ordering: .acquiring), ContinuousClock.now < deadline { usleep(1000) }
        try message.work.wait()
      }
    }
    for ending in ended {
      let error = try #require(ending.error)
      #expect(error.code == .timeout && error.message.contains("timed out after 0.4 s") && error.peer == 0, "\(error)")
    }
  }

  /// A receive that claims a kept message, of which the rest does not come, ends at its own limit, not the communicator's.
  @Test(arguments: Fabric.allCases)
  func limitOfKeptMessageIsKept(fabric: Fabric) throws {
    let communicators = try makeCommunicators(2, fabric, timeout: .seconds(20 * slowness))
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      if communicator.rank == 0 {
        // The envelope of a message, and nothing after it.
        let memory = EnvelopeMemory()
        Envelope(tag: 1, count: 1000, type: .int32).write(to: memory, message: nil)
        let request = TransferRequest(
          isSend: true, peer: 1, memory: memory.bytes, count: 1, elementBytes: Envelope.byteCount,
          dataType: ForeignElements.envelope.rawValue, limit: TimeLimit(nanoseconds: TimeLimit.never))
        do throws(FailureReport) { _ = try communicator.engine.begin(request, owner: memory) } catch {
          throw TuttiError(error)
        }
        try communicator.barrier()
      } else {
        let one = TuttiBuffer<Int32>(count: 1, repeating: 0)
        _ = try communicator.startReceive(into: one, from: .rank(0), tag: 2)
        let deadline = ContinuousClock.now + .seconds(Patience.seconds(10))
        while communicator.mailbox.keptBytes == 0, ContinuousClock.now < deadline { usleep(1000) }
        #expect(communicator.mailbox.keptBytes == 4000)
        let rest = TuttiBuffer<Int32>(count: 1000, repeating: 0)
        try communicator.receive(into: rest, from: .rank(0), tag: 1, timeout: .milliseconds(300))
      }
    }
    let error = try #require(ended[1].error)
    #expect(error.code == .timeout && error.message.contains("timed out after 0.3 s") && error.peer == 0, "\(error)")
  }

  /// Of two receives that are started at the same time, the one whose limit is over first ends both, whichever of them
  /// starts the transfer.
  @Test func earlierLimitWinsTheRace() throws {
    for turn in 0..<200 {
      let communicator = try makeCommunicators(1)[0]
      let ready = Atomic(0)
      try onThreads(2) { index in
        let one = TuttiBuffer<Int32>(count: 1, repeating: 0)
        ready.wrappingAdd(1, ordering: .acquiringAndReleasing)
        while ready.load(ordering: .acquiring) < 2 {}
        // The other one may have ended already.
        _ = try? communicator.startReceive(
          into: one, from: .rank(0), tag: index, timeout: index == 0 ? .seconds(3600) : .milliseconds(5))
      }
      let deadline = ContinuousClock.now + .seconds(Patience.seconds(10))
      while communicator.engine.failure == nil, ContinuousClock.now < deadline { usleep(500) }
      try #require(communicator.engine.failure?.code == .timeout, "turn \(turn)")
    }
  }

  /// Whoever comes during a look leaves word, and then the look is repeated, or its failure is everybody's.
  @Test func looksAreOneAtATime() {
    var listening = Listening()
    let begun = [listening.beginLook(), listening.beginLook(), listening.beginLook()]
    #expect(begun == [true, false, false])
    let again = [listening.endLook(), listening.endLook()]
    #expect(again == [true, false])
    let third = listening.beginLook()
    listening.beginTransfer()
    listening.note(7)
    listening.endTransfer()
    #expect(third && !listening.isBusy && listening.ticket == nil)
    let relied = [listening.beginLook(), listening.failLook(), listening.beginLook(), listening.failLook()]
    #expect(relied == [false, true, true, false])
    let last = [listening.beginLook(), listening.endLook()]
    #expect(last == [true, false])
  }

  /// The room for a message is taken where it is looked for, so two that come at the same time do not get the same.
  @Test func roomIsTakenInOneStep() {
    var state = MailboxState()
    let half = Mailbox.keptBytesMax / 2
    let reserved = [half + 1, half, half - 1, 1, 0].map { state.reserve($0) }
    #expect(reserved == [true, false, true, false, true])
    #expect(state.keptBytes == Mailbox.keptBytesMax)
  }

  /// The death of a rank ends a receive from any.
  @Test(arguments: Fabric.allCases)
  func abortEndsReceives(fabric: Fabric) throws {
    let communicators = try makeCommunicators(3, fabric)
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      let one = TuttiBuffer<Int32>(count: 1, repeating: 0)
      if communicator.rank == 2 {
        try communicator.send(one, to: 0, tag: 1)
        communicator.abort("enough")
        return
      }
      if communicator.rank == 0 { try communicator.receive(into: one, from: .any, tag: 1) }
      try communicator.receive(into: one, from: .any, tag: 2)
    }
    #expect(ended[0].error?.code == .aborted && ended[1].error?.code == .aborted)
  }

  /// Too much that nobody asks for is refused instead of kept.
  @Test func keptMessagesAreBounded() throws {
    let communicators = try makeCommunicators(2)
    let half = Mailbox.keptBytesMax / 2 + 1
    let ended = try endings(communicators) { communicator throws(TuttiError) in
      let large = TuttiBuffer<UInt8>(count: half, repeating: 0)
      if communicator.rank == 0 {
        let works = [
          try communicator.startSend(large, to: 1, tag: 1), try communicator.startSend(large, to: 1, tag: 2),
          try communicator.startSend(large, to: 1, tag: 3),
        ]
        try WorkGroup(works).wait()
      } else {
        try communicator.receive(into: large, from: .rank(0), tag: 3)
      }
    }
    for ending in ended {
      let error = try #require(ending.error)
      #expect(error.code == .resources && error.message.contains("with tag 2"), "\(error)")
    }
  }
}
