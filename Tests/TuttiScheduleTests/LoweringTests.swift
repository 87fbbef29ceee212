import Testing
import TuttiSchedule

/// Tests what lowering makes of single steps, and what it refuses. That its dependencies are complete is tested with the
/// algorithms.
@Suite struct LoweringTests {
  private func lower(_ program: ScheduleBuilder, sizes: [UInt64], inPlace: Bool = false) throws(LoweringError) -> Plan {
    try Plan(
      lowering: program.finish(), chunkMap: ChunkMap(offsets: sizes.reduce(into: [0]) { $0.append($0.last! + $1) }),
      elementBytes: 8, inPlace: inPlace, segmentBytes: 64, streaming: true)
  }

  @Test func copiesOntoThemselvesVanish() throws {
    var program = ScheduleBuilder(.allReduce, rank: 0, rankCount: 1, chunkCount: 3, scratchCount: 1)
    program.copy([.output(0), .output(1), .scratch(0, 2..<3)], from: [.input(0), .input(1), .input(2)])
    program.copy([.output(2)], from: [.input(2)])
    #expect(try lower(program, sizes: [8, 8, 8]).steps.map(\.bytes) == [192, 64])
    let inPlace = try lower(program, sizes: [8, 8, 8], inPlace: true)
    #expect(inPlace.steps.map(\.bytes) == [64])
    #expect(inPlace.queues == [0..<1])
  }

  @Test func fusesOnlyTheNextReaderOfTheWholeDestination() throws {
    var program = ScheduleBuilder(.allReduce, rank: 0, rankCount: 3, chunkCount: 2)
    program.copy([.output(0..<2)], from: [.input(0..<2)])
    program.send([.output(0..<2)], to: 1)
    program.send([.output(0..<2)], to: 2)
    #expect(try lower(program, sizes: [8, 8]).steps.map(\.fusedSend) == [1, -1, -1])
    #expect(try lower(program, sizes: [8, 8]).steps[0].streaming == false)

    var part = ScheduleBuilder(.allReduce, rank: 0, rankCount: 3, chunkCount: 2)
    part.copy([.output(0..<2)], from: [.input(0..<2)])
    part.send([.output(1)], to: 1)
    part.send([.output(0..<2)], to: 2)
    #expect(try lower(part, sizes: [8, 8]).steps.map(\.fusedSend) == [-1, -1, -1])
    // With an empty first chunk, the part is the whole.
    #expect(try lower(part, sizes: [0, 8]).steps.map(\.fusedSend) == [1, -1, -1])

    var overwritten = ScheduleBuilder(.allReduce, rank: 0, rankCount: 3, chunkCount: 1)
    overwritten.copy([.output(0)], from: [.input(0)])
    overwritten.receive([.output(0)], from: 1)
    overwritten.send([.output(0)], to: 1)
    let plan = try lower(overwritten, sizes: [8])
    #expect(plan.steps.map(\.fusedSend) == [-1, -1, -1])
    #expect(plan.steps.map(\.streaming) == [true, false, false])
  }

  @Test func emptySendsFollowTheWriterOfTheirChunk() throws {
    var program = ScheduleBuilder(.barrier, rank: 0, rankCount: 3, chunkCount: 1)
    program.receive([.output(0)], from: 1)
    program.send([.output(0)], to: 2)
    let plan = try lower(program, sizes: [0])
    #expect(plan.steps[1].edges.map { plan.edges[Int($0)].kind } == [.completed])
  }

  @Test func refusesWhatNoOrderCanServe() {
    func refusal(_ kind: LoweringError.Kind, _ write: (inout ScheduleBuilder) -> Void) {
      var program = ScheduleBuilder(.allReduce, rank: 0, rankCount: 3, chunkCount: 2, channelCount: 2, scratchCount: 1)
      write(&program)
      let error = #expect(throws: LoweringError.self) { try lower(program, sizes: [8, 8]) }
      #expect(error?.kind == kind, "\(error.map(String.init(describing:)) ?? "")")
    }
    // Consumed in another order than received.
    refusal(.order) {
      let slot = $0.receiveSlot([.output(0)], from: 1)
      $0.receive([.output(1)], from: 1)
      $0.reduce([.output(0)], [slot, .input(0)])
    }
    // Two messages of one lane at once.
    refusal(.order) {
      let slots = [$0.receiveSlot([.output(0)], from: 1), $0.receiveSlot([.output(0)], from: 1)]
      $0.reduce([.output(0)], slots)
    }
    refusal(.bounds) { _ = $0.receiveSlot([.output(0)], from: 1) }
    refusal(.bounds) {
      let slot = $0.receiveSlot([.output(0)], from: 1)
      $0.reduce([.output(0)], [slot])
      $0.reduce([.output(1)], [slot])
    }
    refusal(.bounds) { $0.send([.input(2)], to: 1) }
    refusal(.bounds) { $0.receive([.scratch(1, 0..<1)], from: 1) }
    refusal(.address) { $0.send([.input(0)], to: 0) }
    refusal(.address) { $0.send([.input(0)], to: 3) }
    refusal(.address) { $0.send([.input(0)], to: 1, 1) }
    refusal(.address) {
      $0.channel = 2
      $0.send([.input(0)], to: 1)
    }
    refusal(.address) {
      let slot = $0.receiveSlot([.output(0)], from: 1)
      $0.channel = 1
      $0.reduce([.output(0)], [slot])
    }
    refusal(.sizes) { $0.reduce([.output(0)], [.input(0..<2)]) }
    refusal(.sizes) { $0.reduce([.output(0)], []) }
    refusal(.overlap) { $0.receive([.output(0), .output(0)], from: 1) }
    refusal(.overlap) { $0.copy([.output(0), .output(1)], from: [.output(1), .output(0)]) }
  }
}
