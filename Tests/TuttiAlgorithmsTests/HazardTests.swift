import Testing
import TuttiAlgorithms
import TuttiSchedule

/// The edges of a plan order all segments that touch the same bytes: by brute force, on random programs and on every
/// algorithm.
@Suite struct HazardTests {
  private func randomOffsets(_ chunkCount: Int, _ generator: inout SeededGenerator) -> [UInt64] {
    (0..<chunkCount).reduce(into: [UInt64(0)]) { offsets, _ in
      offsets.append(offsets.last! + UInt64.random(in: 0...40, using: &generator))
    }
  }

  @Test(arguments: AlgorithmRegistry.all.indices)
  func algorithmsAreCovered(_ index: Int) throws {
    let algorithm = AlgorithmRegistry.all[index]
    let seed = testSeed()
    var generator = SeededGenerator(seed: seed)
    for rankCount in 1...9 {
      for rank in 0..<rankCount {
        let schedule = algorithm.schedule(for: .flat(rank: rank, rankCount: rankCount))
        let offsets =
          schedule.equalBlocks
          ? (0...schedule.chunkCount).map { UInt64($0) * 20 } : randomOffsets(schedule.chunkCount, &generator)
        for inPlace in [false, true] {
          let plan = try Plan(
            lowering: schedule, chunkMap: ChunkMap(offsets: offsets), elementBytes: 8, inPlace: inPlace, segmentBytes: 64,
            streaming: true)
          let hazard = HazardOracle(plan).uncovered()
          #expect(hazard == nil, "\(algorithm.name), rank \(rank) of \(rankCount), seed \(seed): \(hazard ?? "")")
        }
      }
    }
  }

  /// A program of one rank that no algorithm would write: anything lowering accepts.
  private func randomSchedule(_ generator: inout SeededGenerator) -> Schedule {
    let chunkCount = Int.random(in: 1...5, using: &generator)
    let channelCount = Int.random(in: 1...3, using: &generator)
    var program = ScheduleBuilder(
      .allReduce, rank: 0, rankCount: 4, chunkCount: chunkCount, channelCount: channelCount, scratchCount: 1)
    /// Ranges over distinct chunks, so that they do not overlap.
    func chunks() -> [Range<Int>] {
      var list: [Range<Int>] = []
      var next = 0
      while next < chunkCount {
        let start = Int.random(in: next...chunkCount, using: &generator)
        let end = Int.random(in: start...chunkCount, using: &generator)
        list.append(start..<end)
        next = max(end, start + 1)
      }
      return list
    }
    func place(_ list: [Range<Int>], writable: Bool) -> [ChunkRange] {
      let buffers: [Buffer] = writable ? [.output, .scratch(0)] : [.input, .output, .scratch(0)]
      return list.map { ChunkRange(buffers.randomElement(using: &generator)!, $0) }
    }
    for _ in 0..<Int.random(in: 1...14, using: &generator) {
      program.channel = Int.random(in: 0..<channelCount, using: &generator)
      let list = chunks()
      let peers = (1...3).shuffled(using: &generator)
      switch Int.random(in: 0..<4, using: &generator) {
      case 0:
        program.send(
          place(list, writable: false), to: Array(peers.prefix(Int.random(in: 1...3, using: &generator))),
          lifetime: Bool.random(using: &generator) ? .held : .copied)
      case 1: program.receive(place(list, writable: true), from: peers[0])
      default:
        var operands = (0..<Int.random(in: 1...2, using: &generator)).map { _ in
          ScheduleBuilder.Operand.chunks(place(list, writable: false))
        }
        for peer in peers.prefix(Int.random(in: 0...3, using: &generator)) {
          operands.append(program.receiveSlot(place(list, writable: true), from: peer))
        }
        operands.shuffle(using: &generator)
        if Bool.random(using: &generator) {
          program.reduce(place(list, writable: true), operands)
        } else {
          program.forward(place(list, writable: true), operands, to: Array(peers.prefix(2)))
        }
      }
    }
    return program.finish()
  }

  @Test func randomProgramsAreCovered() throws {
    let seed = testSeed()
    var generator = SeededGenerator(seed: seed)
    for round in 0..<300 {
      let schedule = randomSchedule(&generator)
      let offsets = randomOffsets(schedule.chunkCount, &generator)
      for inPlace in [false, true] {
        let plan = try Plan(
          lowering: schedule, chunkMap: ChunkMap(offsets: offsets), elementBytes: 8, inPlace: inPlace,
          segmentBytes: 64, streaming: true)
        if let hazard = HazardOracle(plan).uncovered() {
          Issue.record("seed \(seed), round \(round): \(hazard)")
          return
        }
      }
    }
  }

  /// The oracle itself must notice: without any edge, a write after a read is not ordered.
  @Test func oracleFindsMissingEdges() throws {
    var program = ScheduleBuilder(.allReduce, rank: 0, rankCount: 3, chunkCount: 1)
    program.send([.input(0)], to: 1)
    program.receive([.output(0)], from: 2)
    var plan = try Plan(
      lowering: program.finish(), chunkMap: ChunkMap(offsets: [0, 20]), elementBytes: 8, inPlace: true, segmentBytes: 64,
      streaming: true)
    #expect(HazardOracle(plan).uncovered() == nil)
    #expect(plan.steps[1].edges.count == 1)
    plan.steps[1].edges = 0..<0
    #expect(HazardOracle(plan).uncovered()?.contains("step 1 segment 0 (receive) does not wait for step 0") == true)
  }
}
