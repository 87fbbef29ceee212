// Executes all plans with reduction trees instead of numbers, in an order that the event graph allows.
//
// Invariant: a cell holds the tree that the bytes of one segment would hold, or nothing before they are written.

struct SymbolicExecution {
  private let verifier: Verifier
  private let graph: EventGraph
  private let chunkMap: ChunkMap
  private let cellCount: Int
  private var trees: ReductionTrees
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
  private enum Role: UInt8 { case held, copied, writer }
  /// By event: whether it is a send, and of which kind, or writes its cell.
  private var roles: [Role]

  init(_ verifier: Verifier, _ graph: EventGraph, _ chunkMap: ChunkMap, inPlace: Bool) {
    self.verifier = verifier
    self.graph = graph
    self.chunkMap = chunkMap
    cellCount = Int(chunkMap.count)
    trees = ReductionTrees(rankCount: verifier.rankCount, cellCount: cellCount)
    var total = 0
    for plan in graph.plans {
      memoryBase.append(total)
      total += (2 + plan.scratchCount) * cellCount
    }
    memory = Array(repeating: -1, count: total)
    for rank in graph.plans.indices {
      for cell in 0..<cellCount {
        memory[memoryBase[rank] + (inPlace ? cellCount : 0) + cell] = trees.leaf(cell: cell, rank: rank)
      }
    }
    cellOfEvent = Array(repeating: -1, count: graph.segmentCount)
    sent = Array(repeating: -1, count: graph.segmentCount)
    roles = Array(repeating: .writer, count: graph.segmentCount)
    operandBase.reserveCapacity(graph.segmentCount + 1)
    for (rank, plan) in graph.plans.enumerated() {
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
      let value = values.count == 1 ? values[0] : trees.combine(&values)
      if roles[event] == .writer { memory[home] = value } else { sent[event] = value }
    }
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
    let chunk = chunk(place % cellCount)
    let buffer: Buffer = place / cellCount == 0 ? .input : place / cellCount == 1 ? .output : .scratch(place / cellCount - 2)
    return (rank, Int(origin), chunk, ChunkRange(buffer, chunk).description)
  }

  private func chunk(_ cell: Int) -> Int { chunkMap.offsets.firstIndex { $0 > UInt64(cell) }! - 1 }

  // MARK: The end

  func checkPostcondition() throws(ProofFailure) {
    for rank in 0..<verifier.rankCount {
      for cell in 0..<cellCount {
        let tree = memory[memoryBase[rank] + cellCount + cell]
        if tree >= 0, trees.isComplete(tree), trees.repeatedRank(tree) < 0, trees.cell(tree) == cell { continue }
        let found: String
        if tree < 0 {
          found = "nothing was written"
        } else if trees.repeatedRank(tree) >= 0 {
          found = "rank \(trees.repeatedRank(tree)) more than once in \(trees.text(tree))"
        } else if trees.cell(tree) >= 0, trees.cell(tree) != cell {
          found = "data of chunk \(chunk(Int(trees.cell(tree)))) or of another segment"
        } else if let missing = trees.missingRank(tree) {
          found = "rank \(missing) missing in \(trees.text(tree))"
        } else {
          found = "chunks mixed in \(trees.text(tree))"
        }
        throw verifier.failure(
          .postcondition, rank: rank, step: lastWriter(rank, cell), chunk: chunk(cell),
          expected: "each of \(verifier.rankCount) ranks' contributions exactly once", found: found)
      }
    }
    for rank in 1..<max(verifier.rankCount, 1) {
      for cell in 0..<cellCount {
        let expected = memory[memoryBase[0] + cellCount + cell]
        let found = memory[memoryBase[rank] + cellCount + cell]
        guard expected != found else { continue }
        throw verifier.failure(
          .sameTree, rank: rank, step: lastWriter(rank, cell), chunk: chunk(cell),
          expected: "\(trees.text(expected)), as on rank 0", found: trees.text(found))
      }
    }
  }

  /// The schedule's step that wrote an output cell last, or -1.
  private func lastWriter(_ rank: Int, _ cell: Int) -> Int {
    let plan = graph.plans[rank]
    let offset = UInt64(cell * Verifier.cellBytes)
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
