import TuttiSchedule

/// A naive engine: executes the plans of all ranks on real numbers, one segment at a time, in an order drawn at random.
///
/// Knows plans only by their documented meaning, and shares no code with the verifier, so that one checks the other. A
/// receiver of a held send reads the sender's memory as late as it consumes the segment.
struct PlanInterpreter {
  /// Elements are 64-bit words.
  static let elementBytes = 8

  private struct Cursor {
    var segments: Plan.SegmentCursor
    /// Stream position executed so far.
    var executed: UInt64 = 0
    var done = false
  }

  private struct Packet {
    var payload: [UInt64]
    var sender: Int
    var step: Int
    /// First word in the sender's memory; -1 when the payload was copied.
    var source: Int
    var memory: Int
  }

  private let plans: [Plan]
  private let credit: Int
  /// By rank and memory.
  private(set) var memory: [[[UInt64]]]
  private var cursors: [[Cursor]]
  /// By rank and step: how far each receiver of a send has consumed it.
  private var consumed: [[[Int32: UInt64]]]
  /// By rank and queue: place of the step being executed.
  private var heads: [[Int]]
  private var lanes: [Int: [Packet]] = [:]

  /// - Parameter inputOffsets: By rank: the byte offset of its input in the layout of the data.
  init(_ plans: [Plan], inputs: [[UInt64]], inputOffsets: [Int], inPlace: Bool, credit: Int) {
    self.plans = plans
    self.credit = credit
    memory = plans.indices.map { rank in
      var buffers = plans[rank].buffers.map {
        Array(repeating: UInt64(0xDEAD), count: Int($0.bytes) / PlanInterpreter.elementBytes)
      }
      // In place, the smaller lies in the larger.
      let place = inPlace ? max(0, inputOffsets[rank] - Int(plans[rank].buffers[1].base)) / PlanInterpreter.elementBytes : 0
      buffers[inPlace ? 1 : 0].replaceSubrange(place..<place + inputs[rank].count, with: inputs[rank])
      // What is forwarded: the interpreter keeps what an engine does not.
      buffers.append(Array(repeating: 0xDEAD, count: Int(plans[rank].forwardedBytes) / PlanInterpreter.elementBytes))
      return buffers
    }
    cursors = plans.map { $0.steps.map { Cursor(segments: Plan.SegmentCursor($0)) } }
    consumed = plans.map { $0.steps.map { _ in [:] } }
    heads = plans.map { $0.queues.map { Int($0.lowerBound) } }
  }

  /// Executes until nothing can go on. Returns whether all is done.
  mutating func run(using generator: inout some RandomNumberGenerator) -> Bool {
    var queues = plans.indices.flatMap { rank in plans[rank].queues.indices.map { (rank, $0) } }
    while true {
      var moved = false
      queues.shuffle(using: &generator)
      for (rank, queue) in queues {
        var burst = Int.random(in: 1...4, using: &generator)
        while burst > 0, advance(rank, queue) {
          moved = true
          burst -= 1
        }
      }
      if !moved { break }
    }
    return cursors.allSatisfy { $0.allSatisfy(\.done) } && lanes.values.allSatisfy(\.isEmpty)
  }

  private func lane(_ from: Int, _ to: Int, _ channel: UInt8) -> Int { (from * plans.count + to) * 2 + Int(channel & 1) }

  private mutating func advance(_ rank: Int, _ queue: Int) -> Bool {
    let plan = plans[rank]
    guard heads[rank][queue] < plan.queues[queue].upperBound else { return false }
    let index = Int(plan.queueSteps[heads[rank][queue]])
    let step = plan.steps[index]
    var cursor = cursors[rank][index].segments
    guard cursor.next(in: plan) else { preconditionFailure("a finished step at the head of its queue") }
    guard step.edges.allSatisfy({ isMet(plan.edges[Int($0)], rank, cursor.end) }) else { return false }
    if step.forwarded, step.kind == .combine, step.bytes > 0, !canForward(rank, index, cursor.end) { return false }
    guard execute(step, index, rank, cursor) else { return false }
    cursors[rank][index].segments = cursor
    cursors[rank][index].executed = cursor.end
    if cursor.index == step.segmentCount {
      cursors[rank][index].done = true
      heads[rank][queue] += 1
    }
    return true
  }

  /// Whether the send that a combine feeds, storing nothing, could go at once: its turn has come, and there is credit.
  private func canForward(_ rank: Int, _ index: Int, _ end: UInt64) -> Bool {
    let plan = plans[rank]
    let send = plan.steps[index + 1]
    let queue = plan.queues.firstIndex { $0.contains { Int(plan.queueSteps[Int($0)]) == index + 1 } }!
    return Int(plan.queueSteps[heads[rank][queue]]) == index + 1
      && cursors[rank][index + 1].executed == cursors[rank][index].executed
      && send.edges.allSatisfy { Int(plan.edges[Int($0)].step) == index || isMet(plan.edges[Int($0)], rank, end) }
      && send.peers.allSatisfy { lanes[lane(rank, Int(plan.peers[Int($0)]), send.channel), default: []].count < credit }
  }

  private func isMet(_ edge: Plan.Edge, _ rank: Int, _ end: UInt64) -> Bool {
    let other = Int(edge.step)
    if edge.kind == .completed { return cursors[rank][other].done }
    guard end > edge.lower else { return true }
    let position = UInt64(Int64(min(end, edge.upper)) + edge.delta)
    guard edge.kind == .released, !plans[rank].steps[other].copied else {
      return cursors[rank][other].executed >= position
    }
    return plans[rank].steps[other].peers.allSatisfy {
      consumed[rank][other][plans[rank].peers[Int($0)], default: 0] >= position
    }
  }

  private mutating func execute(_ step: Plan.Step, _ index: Int, _ rank: Int, _ cursor: Plan.SegmentCursor) -> Bool {
    let plan = plans[rank]
    let words = Int(cursor.bytes) / PlanInterpreter.elementBytes
    func place(_ first: Int32) -> (memory: Int, start: Int) {
      let extent = plan.extents[Int(first + cursor.extent)]
      return (Int(extent.memory), Int(extent.offset + cursor.offset) / PlanInterpreter.elementBytes)
    }
    let home = words > 0 ? place(step.extents.lowerBound) : (0, 0)
    let peers = step.peers.map { Int(plan.peers[Int($0)]) }
    switch step.kind {
    case .send:
      guard peers.allSatisfy({ lanes[lane(rank, $0, step.channel), default: []].count < credit }) else { return false }
      let payload = Array(memory[rank][home.0][home.1..<home.1 + words])
      for peer in peers {
        lanes[lane(rank, peer, step.channel), default: []].append(
          Packet(payload: payload, sender: rank, step: index, source: step.copied ? -1 : home.1, memory: home.0))
      }
    case .receive:
      guard let payload = take(peers[0], rank, step.channel, words) else { return false }
      memory[rank][home.0].replaceSubrange(home.1..<home.1 + words, with: payload)
    case .combine:
      let sources = step.sources.map { plan.sources[Int($0)] }
      for source in sources where source.kind == .slot {
        if lanes[lane(Int(source.peer), rank, step.channel), default: []].isEmpty { return false }
      }
      var total = Array(repeating: UInt64(0), count: words)
      for source in sources {
        var operand: [UInt64]
        if source.kind == .slot {
          operand = take(Int(source.peer), rank, step.channel, words)!
        } else {
          let other = words > 0 ? place(source.extent) : (0, 0)
          operand = Array(memory[rank][other.0][other.1..<other.1 + words])
        }
        for word in 0..<words { total[word] &+= operand[word] }
      }
      memory[rank][home.0].replaceSubrange(home.1..<home.1 + words, with: total)
    }
    return true
  }

  /// Consumes the next segment of a lane, or nil when none is there.
  private mutating func take(_ from: Int, _ to: Int, _ channel: UInt8, _ words: Int) -> [UInt64]? {
    let lane = lane(from, to, channel)
    guard let packet = lanes[lane]?.first else { return nil }
    lanes[lane]!.removeFirst()
    precondition(packet.payload.count == words, "both ends of a message cut it into the same segments")
    consumed[packet.sender][packet.step][Int32(to), default: 0] += UInt64(words * PlanInterpreter.elementBytes)
    guard packet.source >= 0 else { return packet.payload }
    return Array(memory[packet.sender][packet.memory][packet.source..<packet.source + words])
  }
}
