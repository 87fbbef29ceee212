import Testing
import TuttiSchedule

/// Schedules broken on purpose, one of the five properties each, and the counterexamples they get.
@Suite struct BrokenScheduleTests {
  private typealias Write = (inout ScheduleBuilder, Int) -> Void

  /// The failure of an all-reduce in which each rank's program is what `write` writes.
  private func refusal(
    _ property: ProvenProperty, rankCount: Int = 2, chunkCount: Int = 1, scratchCount: Int = 0,
    collective: Collective = .allReduce, _ write: Write, sourceLocation: SourceLocation = #_sourceLocation
  ) -> ProofFailure? {
    do throws(ProofFailure) {
      try Verifier.prove(collective: collective, rankCount: rankCount, root: 0) { rank in
        var program = ScheduleBuilder(
          collective, rank: rank, rankCount: rankCount, chunkCount: chunkCount, scratchCount: scratchCount)
        write(&program, rank)
        return program.finish()
      }
      Issue.record("the schedule was proven", sourceLocation: sourceLocation)
      return nil
    } catch {
      let lines = error.description.split(separator: "\n")
      #expect(error.property == property, "\(error)", sourceLocation: sourceLocation)
      #expect(lines.count <= 24 && lines.allSatisfy { $0.count <= 160 }, "\(error)", sourceLocation: sourceLocation)
      return error
    }
  }

  /// The exchange of two ranks, as it should be.
  private func exchange(_ program: inout ScheduleBuilder, _ rank: Int) {
    program.send([.input(0)], to: 1 - rank, lifetime: .copied)
    let theirs = program.receiveSlot([.output(0)], from: 1 - rank)
    program.reduce([.output(0)], rank == 0 ? [.input(0), theirs] : [theirs, .input(0)], completes: true)
  }

  @Test func theUnbrokenExchangeIsProven() throws {
    let report = try Verifier.prove(collective: .allReduce, rankCount: 2, root: 0) { rank in
      var program = ScheduleBuilder(.allReduce, rank: rank, rankCount: 2, chunkCount: 1)
      exchange(&program, rank)
      return program.finish()
    }
    #expect(report.steps == 6 && report.messages == 2)
    // Per setting: two ranks, a send and a combine for each segment: 3, 2 and one empty one, in place and not.
    #expect(report.events == 2 * 2 * 2 * (3 + 2 + 1))
  }

  // MARK: 1, the postcondition

  @Test func aMissingContribution() {
    let failure = refusal(.postcondition) { program, rank in
      guard rank == 1 else { return exchange(&program, rank) }
      program.send([.input(0)], to: 0, lifetime: .copied)
      program.receive([.output(0)], from: 0)
    }
    #expect(failure?.rank == 1 && failure?.step == 1 && failure?.chunk == 0)
    #expect(failure?.expected == "each of 2 ranks' contributions exactly once")
    #expect(failure?.found == "rank 1 missing in 0")
  }

  @Test func aContributionTwice() {
    let failure = refusal(.postcondition) { program, rank in
      exchange(&program, rank)
      if rank == 0 { program.reduce([.output(0)], [.output(0), .input(0)]) }
    }
    #expect(failure?.rank == 0 && failure?.step == 3)
    #expect(failure?.found == "rank 0 more than once in (0+(0+1))")
  }

  @Test func anOutputNeverWritten() {
    let failure = refusal(.postcondition, chunkCount: 2) { program, rank in exchange(&program, rank) }
    #expect(failure?.chunk == 1 && failure?.found == "nothing was written")
  }

  @Test func aBarrierWithoutItsLastRound() {
    let failure = refusal(.postcondition, rankCount: 3, collective: .barrier) { program, rank in
      program.send([.input(0)], to: (rank + 1) % 3)
      program.receive([.output(0)], from: (rank + 2) % 3)
    }
    #expect(failure?.rank == 0)
    #expect(failure?.expected == "rank 0 to leave after rank 1 has entered")
  }

  // MARK: 2, the same tree

  @Test func ownInputFirst() {
    let failure = refusal(.sameTree, rankCount: 3) { program, rank in
      let peers = [(rank + 1) % 3, (rank + 2) % 3]
      program.send([.input(0)], to: peers, lifetime: .copied)
      let theirs = peers.map { program.receiveSlot([.output(0)], from: $0) }
      program.reduce([.output(0)], [.input(0)] + theirs, completes: true)
    }
    #expect(failure?.rank == 1 && failure?.chunk == 0 && failure?.step == 3)
    #expect(failure?.expected == "(0+1+2), as on rank 0" && failure?.found == "(1+2+0)")
  }

  /// Swapping the two operands of one combine changes nothing, because combines are commutative.
  @Test func twoOperandsMaySwap() throws {
    try Verifier.prove(collective: .allReduce, rankCount: 2, root: 0) { rank in
      var program = ScheduleBuilder(.allReduce, rank: rank, rankCount: 2, chunkCount: 1)
      program.send([.input(0)], to: 1 - rank, lifetime: .copied)
      let theirs = program.receiveSlot([.output(0)], from: 1 - rank)
      program.reduce([.output(0)], [theirs, .input(0)], completes: true)
      return program.finish()
    }
  }

  // MARK: 3, matched messages

  @Test func aSendWithoutItsReceive() {
    let failure = refusal(.matchedMessages) { program, rank in
      exchange(&program, rank)
      if rank == 0 { program.send([.output(0)], to: 1) }
    }
    #expect(failure?.rank == 0 && failure?.step == 3)
    #expect(failure?.stepText == "send output[0] to 1 (held, channel 0)")
    #expect(failure?.expected == "a receive of it on rank 1")
  }

  @Test func aReceiveWithoutItsSend() {
    let failure = refusal(.matchedMessages) { program, rank in
      exchange(&program, rank)
      if rank == 0 { program.receive([.output(0)], from: 1) }
    }
    #expect(failure?.rank == 0 && failure?.step == 3 && failure?.expected == "a send of it on rank 1")
  }

  @Test func anotherChunkThanWasSent() {
    let failure = refusal(.matchedMessages, chunkCount: 2) { program, rank in
      let order = rank == 0 ? [0, 1] : [1, 0]
      for chunk in order { program.send([.input(chunk)], to: 1 - rank, lifetime: .copied) }
      for chunk in 0..<2 {
        let theirs = program.receiveSlot([.output(chunk)], from: 1 - rank)
        program.reduce([.output(chunk)], [.input(chunk), theirs])
      }
    }
    #expect(failure?.rank == 0 && failure?.step == 2)
    #expect(failure?.expected == "chunks [1], as rank 1 sends in its step 0" && failure?.found == "chunks [0]")
  }

  @Test func ranksThatCutTheDataDifferently() {
    let failure = #expect(throws: ProofFailure.self) {
      try Verifier.prove(collective: .allReduce, rankCount: 2, root: 0) { rank in
        ScheduleBuilder(.allReduce, rank: rank, rankCount: 2, chunkCount: 1 + rank).finish()
      }
    }
    #expect(failure?.property == .matchedMessages && failure?.rank == 1 && failure?.expected == "chunk count 1")
  }

  // MARK: 4, deadlock

  @Test func heldExchangesInPlace() {
    let failure = refusal(.noDeadlock) { program, rank in
      program.send([.input(0)], to: 1 - rank, lifetime: .held)
      let theirs = program.receiveSlot([.output(0)], from: 1 - rank)
      program.reduce([.output(0)], rank == 0 ? [.input(0), theirs] : [theirs, .input(0)], completes: true)
    }
    #expect(failure?.setting == "in place, chunks of 3 segments")
    #expect(failure?.found == "a cycle of 2 waits")
    #expect(failure?.details.contains { $0.contains("must have consumed what would be overwritten") } == true)
    #expect(failure?.details.contains { $0.hasPrefix("rank 0, step 2, segment 0: reduce") } == true)
  }

  /// Rank 1 consumes its first message from rank 0 together with one from rank 2, which comes only after rank 0 could send a
  /// second.
  @Test func aSecondMessageThatNeedsMoreCredit() {
    let failure = refusal(.noDeadlock, rankCount: 3, chunkCount: 2, scratchCount: 1) { program, rank in
      switch rank {
      case 0:
        program.send([.input(0)], to: 1)
        program.send([.input(1)], to: 1, 2)
      case 1:
        let first = program.receiveSlot([.output(0)], from: 0)
        program.receive([.scratch(0, 1..<2)], from: 2)
        let late = program.receiveSlot([.output(0)], from: 2)
        program.reduce([.output(0)], [first, late])
        program.receive([.output(1)], from: 0)
      default:
        program.receive([.output(1)], from: 0)
        program.send([.output(1)], to: 1)
        program.send([.input(0)], to: 1)
      }
    }
    #expect(failure?.details.contains { $0.contains("to give credit") } == true)
  }

  @Test func everyoneWaitsForItsNeighbour() {
    let failure = refusal(.noDeadlock, rankCount: 9) { program, rank in
      program.receive([.output(0)], from: (rank + 8) % 9)
      program.send([.output(0)], to: (rank + 1) % 9)
    }
    #expect(failure?.found == "a cycle of 18 waits")
    #expect(failure?.details.contains { $0.hasPrefix("... ") && $0.hasSuffix(" more waits ...") } == true)
  }

  // MARK: 5, memory

  @Test func anUndefinedRead() {
    let failure = refusal(.memory) { program, rank in
      program.send([.output(0)], to: 1 - rank, lifetime: .copied)
      program.receive([.output(0)], from: 1 - rank)
    }
    #expect(failure?.step == 0 && failure?.chunk == 0 && failure?.setting == "out of place, chunks of 3 segments")
    #expect(failure?.expected == "output[0] to be written before it is read")
  }

  @Test func aWrittenInput() {
    let failure = refusal(.memory) { program, rank in
      exchange(&program, rank)
      if rank == 1 { program.copy([.input(0)], from: [.output(0)]) }
    }
    #expect(failure?.rank == 1 && failure?.step == 3 && failure?.found == "a write to input[0]")
  }

  @Test func scratchOutOfBounds() {
    let failure = refusal(.memory, scratchCount: 1) { program, rank in
      exchange(&program, rank)
      if rank == 0 { program.copy([.scratch(1, 0..<1)], from: [.output(0)]) }
    }
    #expect(failure?.rank == 0 && failure?.step == 3)
    #expect(failure?.expected == "scratch below 1" && failure?.found == "scratch 1")
  }

  @Test func aSlotReadTwice() {
    let failure = refusal(.memory) { program, rank in
      program.send([.input(0)], to: 1 - rank, lifetime: .copied)
      let theirs = program.receiveSlot([.output(0)], from: 1 - rank)
      program.reduce([.output(0)], [.input(0), theirs])
      if rank == 0 { program.reduce([.output(0)], [theirs]) }
    }
    #expect(failure?.rank == 0 && failure?.step == 3)
  }
}
