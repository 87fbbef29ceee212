import TuttiSchedule

/// Random data for one collective: what the ranks give and must get, with the layouts of their buffers.
///
/// The right results are computed here from the collective's definition, by hand, and not from what the verifier reads.
struct CollectiveProblem {
  private(set) var layouts: [DataLayout]
  private(set) var inputs: [[UInt64]]
  /// Where each rank's input begins in its layout, in elements.
  private(set) var inputOffsets: [Int]
  private(set) var outputs: [[UInt64]]

  init(_ schedules: [Schedule], using generator: inout SeededGenerator) {
    layouts = []
    inputs = []
    inputOffsets = Array(repeating: 0, count: schedules.count)
    outputs = []
    if schedules[0].collective == .allToAll {
      fillAllToAll(schedules, &generator)
    } else {
      fill(schedules, &generator)
    }
  }

  /// It cannot be in place where unequal blocks are sent from and received into one place.
  var canRunInPlace: Bool { layouts.allSatisfy { $0.input == $0.output } }

  /// Elements of each chunk, at random; equal for all blocks where the algorithm wants that.
  private func randomSizes(_ schedule: Schedule, _ generator: inout SeededGenerator) -> [UInt64] {
    if schedule.collective == .barrier { return Array(repeating: 0, count: schedule.chunkCount) }
    let perBlock = schedule.equalBlocks ? schedule.chunkCount / schedule.rankCount : schedule.chunkCount
    let block = (0..<perBlock).map { _ in UInt64.random(in: 0...40, using: &generator) }
    return (0..<schedule.chunkCount).map { block[$0 % perBlock] }
  }

  private func map(_ sizes: [UInt64]) -> ChunkMap {
    ChunkMap(offsets: sizes.reduce(into: [0]) { $0.append($0.last! + $1) })
  }

  private mutating func fill(_ schedules: [Schedule], _ generator: inout SeededGenerator) {
    let (collective, root) = (schedules[0].collective, schedules[0].root)
    let ranks = schedules.indices
    let map = map(randomSizes(schedules[0], &generator))
    let count = Int(map.count)
    let wholes = ranks.map { _ in (0..<count).map { _ in generator.next() } }
    let sum = (0..<count).map { index in wholes.reduce(UInt64(0)) { $0 &+ $1[index] } }
    func block(_ rank: Int) -> Range<Int> {
      let perBlock = schedules[0].chunkCount / ranks.count
      return Int(map.offsets[rank * perBlock])..<Int(map.offsets[(rank + 1) * perBlock])
    }
    layouts = ranks.map { _ in DataLayout(map) }
    let gathered = ranks.flatMap { wholes[$0][collective.hasBlocks ? block($0) : 0..<0] }
    for rank in ranks {
      switch collective {
      case .allReduce, .barrier:
        inputs.append(wholes[rank])
        outputs.append(sum)
      case .reduceScatter:
        inputs.append(wholes[rank])
        outputs.append(Array(sum[block(rank)]))
      case .allGather, .gather:
        inputs.append(Array(wholes[rank][block(rank)]))
        inputOffsets[rank] = block(rank).lowerBound
        outputs.append(collective == .allGather || rank == root ? gathered : [])
      case .broadcast:
        inputs.append(rank == root ? wholes[root] : [])
        outputs.append(wholes[root])
      case .reduce:
        inputs.append(wholes[rank])
        outputs.append(rank == root ? sum : [])
      case .scatter:
        inputs.append(rank == root ? wholes[root] : [])
        outputs.append(Array(wholes[root][block(rank)]))
      case .allToAll: break
      }
    }
  }

  private mutating func fillAllToAll(_ schedules: [Schedule], _ generator: inout SeededGenerator) {
    let ranks = schedules.indices
    let equal = randomSizes(schedules[0], &generator)
    let perBlock = schedules[0].chunkCount / ranks.count
    /// By sender, receiver and part of the block.
    let sizes = ranks.map { _ in
      ranks.map { _ in
        (0..<perBlock).map { schedules[0].equalBlocks ? equal[$0] : UInt64.random(in: 0...40, using: &generator) }
      }
    }
    let data = sizes.map { $0.map { $0.map { size in (0..<size).map { _ in generator.next() } } } }
    layouts = ranks.map { rank in
      DataLayout(input: map(sizes[rank].flatMap { $0 }), output: map(ranks.flatMap { sizes[$0][rank] }))
    }
    inputs = ranks.map { data[$0].flatMap { $0.flatMap { $0 } } }
    outputs = ranks.map { rank in ranks.flatMap { data[$0][rank].flatMap { $0 } } }
  }

  /// Executes the schedules on the data. Returns what went wrong, or nil.
  func run(
    _ schedules: [Schedule], inPlace: Bool, credit: Int, using generator: inout SeededGenerator
  ) throws(LoweringError) -> String? {
    var plans: [Plan] = []
    for (schedule, layout) in zip(schedules, layouts) {
      plans.append(
        try Plan(
          lowering: schedule, layout: layout, elementBytes: PlanInterpreter.elementBytes, inPlace: inPlace,
          segmentBytes: 64, streaming: true))
    }
    var interpreter = PlanInterpreter(
      plans, inputs: inputs, inputOffsets: inputOffsets.map { $0 * PlanInterpreter.elementBytes }, inPlace: inPlace,
      credit: credit)
    guard interpreter.run(using: &generator) else { return "stuck" }
    for (rank, plan) in plans.enumerated() where !schedules[rank].outputChunks.isEmpty {
      // In place, the output may be a part of a larger input.
      let first = Int(layouts[rank].output.offsets[schedules[rank].outputChunks.lowerBound])
      let start = first - Int(plan.buffers[1].base) / PlanInterpreter.elementBytes
      let found = interpreter.memory[rank][1].dropFirst(start).prefix(outputs[rank].count)
      if Array(found) != outputs[rank] { return "a wrong result on rank \(rank)" }
      if !inPlace, interpreter.memory[rank][0] != inputs[rank] { return "a written input on rank \(rank)" }
    }
    return nil
  }
}
