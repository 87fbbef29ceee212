// Executes all plans with reduction trees instead of numbers, in an order that the event graph allows.
//
// Invariant: a cell holds the tree that the bytes of one segment would hold, or nothing before they are written.

struct SymbolicExecution {
  private let verifier: Verifier
  private let graph: EventGraph
  /// By rank.
  private let layouts: [DataLayout]
  /// Cells of the largest buffer.
  private let cellCount: Int
  private var trees: ReductionTrees
  private let canonical: FoldTree
  /// By rank, memory and cell; -1 is undefined.
  private var memory: [Int32]
  /// By rank: its first cell in `memory`.
  private var memoryBase: [Int] = []
  /// By event: the cell in `memory` that it reads (send) or writes; -1 when the segment is empty.
  private var cellOfEvent: [Int32]
  /// By event: its operands at `operandBase[event]..<operandBase[event + 1]`. A cell in `memory`, or the complement of the
  /// send event that an operand arrives from.
  private var operandBase: [Int32] = [0]
  private var operands: [Int32] = []
  /// By send event: what it sent.
  private var sent: [Int32]
  private enum Role: UInt8 { case held, copied, writer, completer }
  /// By event: whether it is a send, and of which kind, or writes its cell, and says that it completes it.
  private var roles: [Role]
  /// By step among the steps of all ranks.
  private var orders: [FoldOrder] = []
  /// The class of the results that have been checked; nil where there are none that combine.
  private(set) var foldClass: FoldClass?

  init(_ verifier: Verifier, _ graph: EventGraph, _ layouts: [DataLayout], inPlace: Bool) {
    self.verifier = verifier
    self.graph = graph
    self.layouts = layouts
    cellCount = Int(layouts.map { max($0.input.count, $0.output.count) }.max() ?? 0)
    trees = ReductionTrees(rankCount: verifier.rankCount, cellCount: cellCount)
    canonical = .canonical(rankCount: verifier.rankCount)
    var total = 0
    for plan in graph.plans {
      memoryBase.append(total)
      total += plan.buffers.count * cellCount + Int(plan.forwardedBytes) / Verifier.cellBytes
    }
    memory = Array(repeating: -1, count: total)
    for (rank, plan) in graph.plans.enumerated() {
      let held = verifier.schedules[rank].inputChunks
      let offsets = layouts[rank].input.offsets
      let base = Int(plan.buffers[inPlace ? 1 : 0].base) / Verifier.cellBytes
      for cell in Int(offsets[held.lowerBound])..<Int(offsets[held.upperBound]) {
        memory[memoryBase[rank] + (inPlace ? cellCount : 0) + cell - base] = trees.leaf(cell: cell, rank: rank)
      }
    }
    cellOfEvent = Array(repeating: -1, count: graph.segmentCount)
    sent = Array(repeating: -1, count: graph.segmentCount)
    roles = Array(repeating: .writer, count: graph.segmentCount)
    operandBase.reserveCapacity(graph.segmentCount + 1)
    for (rank, plan) in graph.plans.enumerated() {
      orders += plan.steps.map { $0.isBalanced ? .balanced : .leftToRight }
      for index in plan.steps.indices { addOperands(rank, plan, index) }
    }
  }

  /// Notes what the segments of one step read and write.
  private mutating func addOperands(_ rank: Int, _ plan: Plan, _ index: Int) {
    let step = plan.steps[index]
    var event = graph.eventBase[graph.stepBase[rank] + index]
    var segment = 0
    for extent in step.extents {
      let first = cell(rank, plan.extents[Int(extent)])
      for place in 0..<Int(plan.extents[Int(extent)].bytes) / Verifier.cellBytes {
        cellOfEvent[event] = Int32(first + place)
        switch step.kind {
        case .send:
          roles[event] = step.copied ? .copied : .held
          operands.append(Int32(first + place))
        case .receive:
          operands.append(~graph.laneSends[graph.peerPlace[rank][Int(step.peers.lowerBound)] + segment])
        case .combine:
          if step.completes { roles[event] = .completer }
          for entry in step.sources {
            let source = plan.sources[Int(entry)]
            if source.kind == .slot {
              operands.append(~graph.laneSends[graph.sourcePlace[rank][Int(entry)] + segment])
            } else {
              let theirs = plan.extents[Int(source.extent + extent - step.extents.lowerBound)]
              operands.append(Int32(cell(rank, theirs) + place))
            }
          }
        }
        operandBase.append(Int32(operands.count))
        event += 1
        segment += 1
      }
    }
    // The one segment of an empty step has no operands.
    if step.bytes == 0 { operandBase.append(Int32(operands.count)) }
  }

  /// The first cell of an extent in `memory`.
  private func cell(_ rank: Int, _ extent: Plan.Extent) -> Int {
    memoryBase[rank] + Int(extent.memory) * cellCount + Int(extent.offset) / Verifier.cellBytes
  }

  mutating func run(_ order: [Int32]) throws(ProofFailure) {
    var values: [Int32] = []
    for event in order {
      let event = Int(event)
      guard event < graph.segmentCount else { continue }
      let home = Int(cellOfEvent[event])
      guard home >= 0 else { continue }
      values.removeAll(keepingCapacity: true)
      for index in Int(operandBase[event])..<Int(operandBase[event + 1]) {
        let operand = Int(operands[index])
        if operand >= 0 {
          guard memory[operand] >= 0 else { throw undefined(operand, event) }
          values.append(memory[operand])
        } else {
          // A receiver may read a held send's source as late as it consumes the segment.
          let send = ~operand
          guard roles[send] == .copied || memory[Int(cellOfEvent[send])] == sent[send] else { throw overwritten(send) }
          values.append(sent[send])
        }
      }
      let value = values.count == 1 ? values[0] : trees.combine(&values, orders[Int(graph.stepOfEvent[event])])
      switch roles[event] {
      case .held, .copied: sent[event] = value
      case .writer, .completer:
        memory[home] = value
        let isComplete =
          operandBase[event + 1] - operandBase[event] > 1 && trees.isComplete(value) && trees.repeatedRank(value) < 0
        // A single rank's own input is complete, whether or not its copy says so.
        guard isComplete == (roles[event] == .completer) || verifier.rankCount == 1 else {
          throw miscounted(home, event, isComplete)
        }
      }
    }
  }

  /// An average is divided where a combine says that it completes the data: by each of those that do, and by no other.
  private func miscounted(_ cell: Int, _ event: Int, _ isComplete: Bool) -> ProofFailure {
    let (rank, step, chunk, _) = describe(cell, event)
    let tree = trees.text(memory[cell])
    return verifier.failure(
      .postcondition, rank: rank, step: step, chunk: chunk,
      expected: isComplete
        ? "a combine that says it completes the data, as it does" : "a result with every rank's contribution",
      found: isComplete ? "\(tree), and completes: false" : "\(tree), and completes: true")
  }

  private func undefined(_ cell: Int, _ event: Int) -> ProofFailure {
    let (rank, step, chunk, text) = describe(cell, event)
    return verifier.failure(
      .memory, rank: rank, step: step, chunk: chunk, expected: "\(text) to be written before it is read",
      found: "it is undefined")
  }

  private func overwritten(_ send: Int) -> ProofFailure {
    let (rank, step, chunk, text) = describe(Int(cellOfEvent[send]), send)
    return verifier.failure(
      .memory, rank: rank, step: step, chunk: chunk,
      expected: "\(text) to stay \(trees.text(sent[send])) until the receiver has consumed it",
      found: "overwritten with \(trees.text(memory[Int(cellOfEvent[send])]))")
  }

  /// The schedule's words for a cell that an event touches.
  private func describe(_ cell: Int, _ event: Int) -> (rank: Int, step: Int, chunk: Int, text: String) {
    let global = Int(graph.stepOfEvent[event])
    let rank = Int(graph.rankOfStep[global])
    let origin = graph.plans[rank].steps[global - graph.stepBase[rank]].origin
    let place = cell - memoryBase[rank]
    let memory = place / max(cellCount, 1)
    guard memory < graph.plans[rank].buffers.count else { return (rank, Int(origin), -1, "what is forwarded") }
    let chunk = chunk(rank, memory, place % cellCount)
    let buffer: Buffer = memory == 0 ? .input : memory == 1 ? .output : .scratch(memory - 2)
    return (rank, Int(origin), chunk, ChunkRange(buffer, chunk).description)
  }

  /// The chunk that a cell of a rank's memory belongs to.
  private func chunk(_ rank: Int, _ memory: Int, _ cell: Int) -> Int {
    let place = UInt64(cell) + graph.plans[rank].buffers[memory].base / UInt64(Verifier.cellBytes)
    let offsets = memory == 1 ? layouts[rank].output.offsets : layouts[rank].input.offsets
    return offsets.firstIndex { $0 > place }! - 1
  }

  // MARK: The end

  mutating func checkPostcondition() throws(ProofFailure) {
    for rank in 0..<verifier.rankCount {
      let schedule = verifier.schedules[rank]
      let offsets = layouts[rank].output.offsets
      for chunk in schedule.outputChunks {
        let result = schedule.collective.result(
          rank: rank, chunk: chunk, rankCount: schedule.rankCount, root: schedule.root, chunkCount: schedule.chunkCount)
        for place in Int(offsets[chunk])..<Int(offsets[chunk + 1]) {
          switch result {
          case .combined: try checkCombined(rank, chunk, place)
          case .copy(let source, let sourceChunk):
            let origin = Int(layouts[source].input.offsets[sourceChunk]) + place - Int(offsets[chunk])
            try checkCopy(rank, chunk, place, of: trees.leaf(cell: origin, rank: source), source, sourceChunk)
          }
        }
      }
    }
    if verifier.collective == .allReduce { try checkSameTrees() }
  }

  /// The cell in `memory` of a place in the output's layout.
  private func outputCell(_ rank: Int, _ place: Int) -> Int {
    memoryBase[rank] + cellCount + place - Int(graph.plans[rank].buffers[1].base) / Verifier.cellBytes
  }

  private mutating func checkCombined(_ rank: Int, _ chunk: Int, _ place: Int) throws(ProofFailure) {
    let tree = memory[outputCell(rank, place)]
    if tree >= 0, trees.isComplete(tree), trees.repeatedRank(tree) < 0, trees.cell(tree) == place {
      noteFold(tree)
      return
    }
    let found: String
    if tree < 0 {
      found = "nothing was written"
    } else if trees.repeatedRank(tree) >= 0 {
      found = "rank \(trees.repeatedRank(tree)) more than once in \(trees.text(tree))"
    } else if trees.cell(tree) >= 0, trees.cell(tree) != place {
      found = "data of chunk \(inputChunk(Int(trees.cell(tree)))) or of another segment"
    } else if let missing = trees.missingRank(tree) {
      found = "rank \(missing) missing in \(trees.text(tree))"
    } else {
      found = "chunks mixed in \(trees.text(tree))"
    }
    throw verifier.failure(
      .postcondition, rank: rank, step: lastWriter(rank, place), chunk: chunk,
      expected: "each of \(verifier.rankCount) ranks' contributions exactly once", found: found)
  }

  /// Takes a result's tree into the class of all.
  private mutating func noteFold(_ tree: Int32) {
    let fold = trees.fold(tree)
    switch foldClass {
    case .canonical where fold == canonical: return
    case .one(let known, _) where fold == known: return
    case .several: return
    case nil, .canonical, .one:
      let own: FoldClass = fold == canonical ? .canonical : .one(fold, text: trees.text(tree))
      foldClass = .joined(foldClass, own)
    }
  }

  private func checkCopy(
    _ rank: Int, _ chunk: Int, _ place: Int, of leaf: Int32, _ source: Int, _ sourceChunk: Int
  ) throws(ProofFailure) {
    let tree = memory[outputCell(rank, place)]
    if tree == leaf { return }
    let found: String
    if tree < 0 {
      found = "nothing was written"
    } else if trees.isLeaf(tree) {
      found = "data of rank \(trees.text(tree))'s chunk \(inputChunk(Int(trees.cell(tree)), Int(tree) % verifier.rankCount))"
    } else {
      found = "a combination of ranks, \(trees.text(tree))"
    }
    throw verifier.failure(
      .postcondition, rank: rank, step: lastWriter(rank, place), chunk: chunk,
      expected: "chunk \(sourceChunk) of rank \(source)'s input", found: found)
  }

  /// The chunk of a rank's input that holds a cell.
  private func inputChunk(_ cell: Int, _ rank: Int = 0) -> Int {
    layouts[rank].input.offsets.firstIndex { $0 > UInt64(cell) }! - 1
  }

  private func checkSameTrees() throws(ProofFailure) {
    for rank in 1..<max(verifier.rankCount, 1) {
      for cell in 0..<cellCount {
        let expected = memory[memoryBase[0] + cellCount + cell]
        let found = memory[memoryBase[rank] + cellCount + cell]
        guard expected != found else { continue }
        throw verifier.failure(
          .sameTree, rank: rank, step: lastWriter(rank, cell), chunk: chunk(rank, 1, cell),
          expected: "\(trees.text(expected)), as on rank 0", found: trees.text(found))
      }
    }
  }

  /// The schedule's step that wrote a place of the output's layout last, or -1.
  private func lastWriter(_ rank: Int, _ cell: Int) -> Int {
    let plan = graph.plans[rank]
    let offset = UInt64(cell * Verifier.cellBytes) - plan.buffers[1].base
    let step = plan.steps.last { step in
      step.kind != .send
        && step.extents.contains {
          let extent = plan.extents[Int($0)]
          return extent.memory == 1 && extent.offset <= offset && offset < extent.offset + extent.bytes
        }
    }
    return Int(step?.origin ?? -1)
  }
}
