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
    let algorithms = AlgorithmRegistry.all.filter { $0.collective != .barrier }
    for round in 0..<1500 {
      let algorithm = algorithms.randomElement(using: &generator)!
      let rankCount = MutationTests.rankCounts.randomElement(using: &generator)!
      let root = algorithm.collective.hasRoot ? Int.random(in: 0..<rankCount, using: &generator) : 0
      var schedules = (0..<rankCount).map { algorithm.schedule(for: .flat(rank: $0, rankCount: rankCount, root: root)) }
      let victim = Int.random(in: 0..<rankCount, using: &generator)
      if schedules[victim].steps.isEmpty { continue }
      schedules[victim] = mutated(schedules[victim], &generator)
      do throws(ProofFailure) {
        try Verifier.prove(collective: algorithm.collective, rankCount: rankCount, root: root) { schedules[$0] }
      } catch {
        refused[error.property, default: 0] += 1
        #expect(error.description.split(separator: "\n").count <= 24, "\(error)")
        continue
      }
      accepted += 1
      try tryOut(
        schedules, "seed \(seed), round \(round), \(algorithm.collective.name) \(algorithm.name), \(rankCount) ranks",
        &generator)
    }
    // Deadlocks and other trees need particular damage; their own tests make it.
    for property in [ProvenProperty.postcondition, .matchedMessages, .memory] {
      #expect(refused[property, default: 0] > 0, "seed \(seed): nothing broke property \(property.rawValue)")
    }
    #expect(accepted < 750, "seed \(seed)")
  }

  private func tryOut(_ schedules: [Schedule], _ place: String, _ generator: inout SeededGenerator) throws {
    for inPlace in [false, true] {
      let problem = CollectiveProblem(schedules, using: &generator)
      if inPlace, !problem.canRunInPlace { continue }
      let wrong = try problem.run(
        schedules, inPlace: inPlace, credit: Int.random(in: 1...4, using: &generator), using: &generator)
      #expect(wrong == nil, "\(wrong ?? ""), in place \(inPlace): \(place)")
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
      switch steps[index] {
      case .reduce(let message, var fold, let channel):
        fold.sources.shuffle(using: &generator)
        if Bool.random(using: &generator) { fold.sources.removeLast() }
        steps[index] = .reduce(message, fold, channel: channel)
      case .forward(let message, var fold, let peers, let channel):
        if Bool.random(using: &generator) { fold.sources.removeLast() } else { fold.completes.toggle() }
        steps[index] = .forward(message, fold, to: peers, channel: channel)
      default: break
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
    case .forward(let message, let fold, _, let channel): .forward(message, fold, to: [peer], channel: channel)
    }
  }

  private func rebuilt(_ schedule: Schedule, _ ranges: [ChunkRange], _ steps: [Step]) -> Schedule {
    var program = ScheduleBuilder(
      schedule.collective, rank: schedule.rank, rankCount: schedule.rankCount, root: schedule.root,
      chunkCount: schedule.chunkCount, channelCount: schedule.channelCount, scratchCount: schedule.scratchCount,
      equalBlocks: schedule.equalBlocks)
    var slots: [Slot: ScheduleBuilder.Operand] = [:]
    func operands(_ sources: [Source]) -> [ScheduleBuilder.Operand] {
      sources.map { source in
        switch source {
        case .chunks(let message): .chunks(Array(ranges[message.ranges]))
        case .slot(let slot): slots[slot] ?? ScheduleBuilder.Operand(.slot(Slot(index: 1_000_000)))
        }
      }
    }
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
      case .reduce(let message, let fold, let channel):
        program.channel = channel
        program.reduce(
          Array(ranges[message.ranges]), operands(fold.sources), order: fold.order, completes: fold.completes)
      case .forward(let message, let fold, let peers, let channel):
        program.channel = channel
        program.forward(
          Array(ranges[message.ranges]), operands(fold.sources), to: peers, order: fold.order, completes: fold.completes)
      }
    }
    return program.finish()
  }
}
