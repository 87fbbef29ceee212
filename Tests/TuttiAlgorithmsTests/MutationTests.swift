import Testing
import TuttiAlgorithms
import TuttiSchedule

/// Proven schedules, damaged at random: the verifier must refuse them, or they must still be right.
@Suite struct MutationTests {
  private static let rankCounts = [2, 3, 4, 5]

  @Test func provenMeansRight() throws {
    let seed = testSeed()
    var generator = SeededGenerator(seed: seed)
    var refused: [ProvenProperty: Int] = [:]
    var accepted = 0
    for round in 0..<600 {
      let algorithm = AlgorithmRegistry.algorithms(for: .allReduce).randomElement(using: &generator)!
      let rankCount = MutationTests.rankCounts.randomElement(using: &generator)!
      var schedules = (0..<rankCount).map { algorithm.schedule(rank: $0, rankCount: rankCount, root: 0) }
      let victim = Int.random(in: 0..<rankCount, using: &generator)
      schedules[victim] = mutated(schedules[victim], &generator)
      do throws(ProofFailure) {
        try Verifier.prove(collective: .allReduce, rankCount: rankCount, root: 0) { schedules[$0] }
      } catch {
        refused[error.property, default: 0] += 1
        #expect(error.description.split(separator: "\n").count <= 24, "\(error)")
        continue
      }
      accepted += 1
      try tryOut(schedules, "seed \(seed), round \(round), \(algorithm.name), \(rankCount) ranks", &generator)
    }
    // Deadlocks and other trees need particular damage; their own tests make it.
    for property in [ProvenProperty.postcondition, .matchedMessages, .memory] {
      #expect(refused[property, default: 0] > 0, "seed \(seed): nothing broke property \(property.rawValue)")
    }
    #expect(accepted < 300, "seed \(seed)")
  }

  private func tryOut(_ schedules: [Schedule], _ place: String, _ generator: inout SeededGenerator) throws {
    for inPlace in [false, true] {
      let offsets = (0..<schedules[0].chunkCount).reduce(into: [UInt64(0)]) { offsets, _ in
        offsets.append(offsets.last! + UInt64.random(in: 0...40, using: &generator))
      }
      let plans = try schedules.map { schedule throws(LoweringError) in
        try Plan(
          lowering: schedule, chunkMap: ChunkMap(offsets: offsets), elementBytes: 8, inPlace: inPlace,
          segmentBytes: 64, streaming: false)
      }
      let inputs = schedules.map { _ in (0..<Int(offsets.last!)).map { _ in generator.next() } }
      var interpreter = PlanInterpreter(
        plans, inputs: inputs, inPlace: inPlace, credit: Int.random(in: 1...4, using: &generator))
      let isDone = interpreter.run(using: &generator)
      #expect(isDone, "stuck, in place \(inPlace): \(place)")
      for rank in schedules.indices {
        for index in inputs[rank].indices {
          let sum = inputs.reduce(UInt64(0)) { $0 &+ $1[index] }
          guard interpreter.memory[rank][1][index] == sum else {
            Issue.record("wrong at element \(index) of rank \(rank), in place \(inPlace): \(place)")
            return
          }
        }
      }
    }
  }

  /// The schedule with one thing changed.
  private func mutated(_ schedule: Schedule, _ generator: inout SeededGenerator) -> Schedule {
    var steps = schedule.steps
    let index = Int.random(in: 0..<steps.count, using: &generator)
    var ranges = schedule.ranges
    switch Int.random(in: 0..<7, using: &generator) {
    case 0: steps.remove(at: index)
    case 1: steps.insert(steps[index], at: index)
    case 2: steps.swapAt(index, Int.random(in: 0..<steps.count, using: &generator))
    case 3:
      let range = Int.random(in: 0..<ranges.count, using: &generator)
      let shift = [-1, 1].randomElement(using: &generator)!
      ranges[range].chunks = ranges[range].chunks.lowerBound + shift..<ranges[range].chunks.upperBound + shift
    case 4:
      let range = Int.random(in: 0..<ranges.count, using: &generator)
      ranges[range].buffer = [.input, .output, .scratch(0)].randomElement(using: &generator)!
    case 5: steps[index] = redirected(steps[index], Int.random(in: -1...schedule.rankCount, using: &generator))
    default:
      if case .reduce(let message, var sources, let channel) = steps[index] {
        sources.shuffle(using: &generator)
        if Bool.random(using: &generator) { sources.removeLast() }
        steps[index] = .reduce(message, sources, channel: channel)
      }
    }
    return rebuilt(schedule, ranges, steps)
  }

  private func redirected(_ step: Step, _ peer: Int) -> Step {
    switch step {
    case .send(let message, let peers, let channel, let lifetime):
      // With several peers, the lifetime instead.
      peers.count > 1
        ? .send(message, to: peers, channel: channel, lifetime == .held ? .copied : .held)
        : .send(message, to: [peer], channel: channel, lifetime)
    case .receive(let message, _, let channel): .receive(message, from: peer, channel: channel)
    case .receiveSlot(let message, let slot, _, let channel): .receiveSlot(message, slot, from: peer, channel: channel)
    case .reduce: step
    }
  }

  private func rebuilt(_ schedule: Schedule, _ ranges: [ChunkRange], _ steps: [Step]) -> Schedule {
    var program = ScheduleBuilder(
      schedule.collective, rank: schedule.rank, rankCount: schedule.rankCount, root: schedule.root,
      chunkCount: schedule.chunkCount, channelCount: schedule.channelCount, scratchCount: schedule.scratchCount)
    var slots: [Slot: ScheduleBuilder.Operand] = [:]
    for step in steps {
      switch step {
      case .send(let message, let peers, let channel, let lifetime):
        program.channel = channel
        program.send(Array(ranges[message.ranges]), to: peers, lifetime: lifetime)
      case .receive(let message, let peer, let channel):
        program.channel = channel
        program.receive(Array(ranges[message.ranges]), from: peer)
      case .receiveSlot(let message, let slot, let peer, let channel):
        program.channel = channel
        slots[slot] = program.receiveSlot(Array(ranges[message.ranges]), from: peer)
      case .reduce(let message, let sources, let channel):
        program.channel = channel
        program.reduce(
          Array(ranges[message.ranges]),
          sources.map { source in
            switch source {
            case .chunks(let message): .chunks(Array(ranges[message.ranges]))
            case .slot(let slot): slots[slot] ?? .slot(Slot(index: 1_000_000))
            }
          })
      }
    }
    return program.finish()
  }
}
