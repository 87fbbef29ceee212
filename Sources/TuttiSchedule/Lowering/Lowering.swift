// From a schedule to a plan: chunks become bytes, data dependencies become edges, steps go to queues.
//
// Invariant: a plan's edges and queues order every pair of steps that touch the same bytes, one of them writing, and every
// pair of messages on one lane in one direction; nothing else is ordered. Cost: O(chunks named by the rank's own steps).

extension Plan {
  /// Lowers one rank's schedule for a number of elements. Pure: equal arguments give equal plans.
  ///
  /// - Parameters:
  ///   - elementBytes: Size of an element; at least 1.
  ///   - inPlace: Input and output are the same memory, the smaller a part of the larger: only the output is named, and
  ///     copies onto themselves vanish.
  ///   - segmentBytes: The largest segment wanted; see ``roundedSegmentBytes(_:elementBytes:)``. The same on every rank.
  ///   - streaming: Mark the steps whose results nothing reads again with ``Step/streaming``.
  ///   - contributions: Tells which operands an average divides as they enter; nil where none is.
  /// - Throws: ``LoweringError`` when the schedule is malformed. A schedule that was proven is not.
  package init(
    lowering schedule: Schedule, layout: DataLayout, elementBytes: Int, inPlace: Bool, segmentBytes: Int,
    streaming: Bool, contributions: Contributions? = nil
  ) throws(LoweringError) {
    var lowering = try Lowering(
      schedule, layout: layout, elementBytes: elementBytes, inPlace: inPlace, segmentBytes: segmentBytes)
    lowering.contributions = contributions
    for index in schedule.steps.indices { try lowering.lower(index) }
    self = try lowering.finish(streaming: streaming)
  }

  /// Lowers a schedule whose input and output have the same layout.
  package init(
    lowering schedule: Schedule, chunkMap: ChunkMap, elementBytes: Int, inPlace: Bool, segmentBytes: Int,
    streaming: Bool
  ) throws(LoweringError) {
    try self.init(
      lowering: schedule, layout: DataLayout(chunkMap), elementBytes: elementBytes, inPlace: inPlace,
      segmentBytes: segmentBytes, streaming: streaming)
  }
}

/// The state of one lowering. Used once, step by step in program order.
struct Lowering {
  struct PendingSlot {
    var peer: Int
    var channel: Int
    /// Its place among the messages received on its lane.
    var ordinal: Int
    /// Sizes of its ranges that are not empty.
    var sizes: [UInt64]
  }

  /// What has been sent or received on one lane in one direction.
  struct LaneState {
    var queue: Int32 = -1
    /// The step that used the lane last, or -1.
    var tail: Int32 = -1
    var received = 0
    var consumed = 0

    /// Puts the step behind the lane's last one, which becomes a predecessor. An edge is kept where their queues differ.
    mutating func follow(_ step: Int32, _ predecessors: inout [Int32]) {
      if tail >= 0 { predecessors.append(tail) }
      tail = step
    }
  }

  let schedule: Schedule
  var contributions: Contributions?
  let inPlace: Bool
  /// Byte offsets of chunks in input and scratch, and in the output.
  let offsets: [UInt64]
  let outputOffsets: [UInt64]
  let inputChunks: Range<Int>
  let outputChunks: Range<Int>
  var plan: Plan
  var hazards: HazardTable
  /// Data dependencies of the step being lowered.
  var runs: [HazardTable.Run] = []
  /// Steps it must follow on a lane, or whose empty chunk it reads.
  var predecessors: [Int32] = []
  /// The schedule's step being lowered.
  var origin = 0

  /// By peer and lane: a rank's sends, and what it receives.
  var sendLanes: [LaneState]
  var receiveLanes: [LaneState]
  var localQueues: [Int32]
  var slots: [Int: PendingSlot] = [:]

  enum QueueClass { case send, receive, local }
  var queues: [(class: QueueClass, steps: [Int32])] = []
  /// By plan step.
  var queueOfStep: [Int32] = []
  /// By plan step: whether a later step reads its destination; and whether one does that is not its fused send.
  var wasRead: [Bool] = []
  var wasReadUnfused: [Bool] = []

  /// Marks the destination of the step being lowered, by memory and chunk: its stream position, where the stamp is the step.
  var stamp: [Int32]
  var stampPosition: [UInt64]

  init(
    _ schedule: Schedule, layout: DataLayout, elementBytes: Int, inPlace: Bool, segmentBytes: Int
  ) throws(LoweringError) {
    func refuse(_ kind: LoweringError.Kind, _ expected: String, _ found: String) -> LoweringError {
      LoweringError(kind, rank: schedule.rank, step: -1, expected: expected, found: found)
    }
    for map in [layout.input, layout.output] {
      guard map.chunkCount == schedule.chunkCount else {
        throw refuse(.bounds, "a chunk map of \(schedule.chunkCount) chunks", "one of \(map.chunkCount)")
      }
      let size = map.count.multipliedReportingOverflow(by: UInt64(elementBytes))
      guard !size.overflow, size.partialValue <= UInt64(Int64.max) else {
        throw refuse(.bounds, "at most 2^63 - 1 bytes", "\(map.count) elements of \(elementBytes) bytes")
      }
    }
    guard !inPlace || layout.input == layout.output else {
      throw refuse(.sizes, "equal layouts of input and output, in place", "different ones")
    }
    guard (0..<schedule.rankCount).contains(schedule.rank) else {
      throw refuse(.address, "a rank in 0..<\(schedule.rankCount)", "\(schedule.rank)")
    }
    guard !schedule.collective.hasBlocks || schedule.chunkCount % schedule.rankCount == 0 else {
      throw refuse(.bounds, "a multiple of \(schedule.rankCount) chunks", "\(schedule.chunkCount)")
    }
    guard (1...256).contains(schedule.channelCount), schedule.scratchCount >= 0 else {
      throw refuse(
        .bounds, "1 to 256 channels and no fewer than 0 scratch buffers",
        "\(schedule.channelCount) channels, \(schedule.scratchCount) scratch buffers")
    }
    self.schedule = schedule
    self.inPlace = inPlace
    inputChunks = schedule.inputChunks
    outputChunks = schedule.outputChunks
    offsets = layout.input.offsets.map { $0 * UInt64(elementBytes) }
    outputOffsets = layout.output.offsets.map { $0 * UInt64(elementBytes) }
    plan = Plan(
      rank: schedule.rank, rankCount: schedule.rankCount, channelCount: schedule.channelCount,
      segmentBytes: Plan.roundedSegmentBytes(segmentBytes, elementBytes: elementBytes))
    let memoryCount = 2 + schedule.scratchCount
    hazards = HazardTable(memoryCount: memoryCount, chunkCount: schedule.chunkCount)
    sendLanes = Array(repeating: LaneState(), count: schedule.rankCount * Channel.laneCount)
    receiveLanes = Array(repeating: LaneState(), count: schedule.rankCount * Channel.laneCount)
    localQueues = Array(repeating: -1, count: schedule.channelCount)
    stamp = Array(repeating: -1, count: memoryCount * schedule.chunkCount)
    stampPosition = Array(repeating: 0, count: memoryCount * schedule.chunkCount)
    plan.buffers = Array(repeating: Plan.BufferRange(), count: memoryCount)
    // In place, one of the two is a part of the other.
    let larger = inPlace && inputChunks.count > outputChunks.count ? inputChunks : outputChunks
    if !inPlace { plan.buffers[0] = range(offsets, inputChunks) }
    plan.buffers[1] = range(outputOffsets, larger)
  }

  private func range(_ offsets: [UInt64], _ chunks: Range<Int>) -> Plan.BufferRange {
    Plan.BufferRange(base: offsets[chunks.lowerBound], bytes: offsets[chunks.upperBound] - offsets[chunks.lowerBound])
  }

  mutating func lower(_ index: Int) throws(LoweringError) {
    origin = index
    runs.removeAll(keepingCapacity: true)
    predecessors.removeAll(keepingCapacity: true)
    switch schedule.steps[index] {
    case .send(let message, let peers, let channel, let lifetime):
      try lowerSend(message, peers, channel, lifetime)
    case .receive(let message, let peer, let channel):
      try lowerReceive(message, peer, channel)
    case .receiveSlot(let message, let slot, let peer, let channel):
      try lowerReceiveSlot(message, slot, peer, channel)
    case .reduce(let message, let fold, let channel):
      try lowerReduce(message, fold, channel)
    case .forward(let message, let fold, let peers, let channel):
      try lowerForward(message, fold, peers, channel)
    }
  }

  // MARK: Steps

  mutating func lowerSend(
    _ message: Message, _ peers: [Int], _ channel: Int, _ lifetime: SourceLifetime
  ) throws(LoweringError) {
    let ranges = try resolve(message)
    var step = try makeStep(.send, channel, ranges)
    // Out of place nobody writes the input.
    step.copied = lifetime == .copied && (inPlace || message.ranges.contains { schedule.ranges[$0].buffer != .input })
    let number = Int32(plan.steps.count)
    let queue = try address(&step, number, peers, channel)
    fuse(&step, number, ranges)
    read(ranges, by: number, isSend: true, empty: step.bytes == 0)
    append(step, queue)
  }

  /// Notes the peers of a send, behind what was sent to them before. Returns its queue.
  mutating func address(
    _ step: inout Plan.Step, _ number: Int32, _ peers: [Int], _ channel: Int
  ) throws(LoweringError) -> Int32 {
    guard let first = peers.first else { throw refuse(.address, "at least one peer", "none") }
    let peersStart = plan.peers.count
    let queue = queue(.send, lane: try lane(first, channel))
    for peer in peers {
      let lane = try lane(peer, channel)
      guard sendLanes[lane].tail != number else { throw refuse(.address, "each peer once", "rank \(peer) twice") }
      sendLanes[lane].follow(number, &predecessors)
      plan.peers.append(Int32(peer))
    }
    step.peers = Int32(peersStart)..<Int32(plan.peers.count)
    return queue
  }

  mutating func lowerReceive(_ message: Message, _ peer: Int, _ channel: Int) throws(LoweringError) {
    let ranges = try resolve(message)
    var step = try makeStep(.receive, channel, ranges)
    let number = Int32(plan.steps.count)
    let lane = try lane(peer, channel)
    let queue = queue(.receive, lane: lane)
    receiveLanes[lane].received += 1
    try consume(lane, ordinal: receiveLanes[lane].received - 1, peer: peer)
    receiveLanes[lane].follow(number, &predecessors)
    step.peers = Int32(plan.peers.count)..<Int32(plan.peers.count + 1)
    plan.peers.append(Int32(peer))
    try markDestination(ranges, number)
    write(ranges, by: number)
    append(step, queue)
  }

  mutating func lowerReceiveSlot(
    _ message: Message, _ slot: Slot, _ peer: Int, _ channel: Int
  ) throws(LoweringError) {
    let sizes = try resolve(message, namesMemory: false).map { bytes($0) }
    let lane = try lane(peer, channel)
    guard slots[slot.index] == nil else { throw refuse(.bounds, "slot \(slot.index) received once", "a second time") }
    slots[slot.index] = PendingSlot(
      peer: peer, channel: channel, ordinal: receiveLanes[lane].received, sizes: sizes.filter { $0 > 0 })
    receiveLanes[lane].received += 1
  }

  mutating func lowerReduce(
    _ message: Message, _ fold: Fold, _ channel: Int
  ) throws(LoweringError) {
    var ranges = try resolve(message)
    var moved: [Resolved]?
    if inPlace, fold.sources.count == 1, case .chunks(let source) = fold.sources[0] {
      // A copy: what lies there already needs no moving.
      let copied = try resolve(source)
      try match(ranges, copied)
      let moving = ranges.indices.filter { ranges[$0] != copied[$0] }
      if moving.isEmpty, !ranges.isEmpty { return }
      moved = moving.map { copied[$0] }
      ranges = moving.map { ranges[$0] }
    }
    var step = try makeStep(.combine, channel, ranges)
    step.completes = fold.completes
    step.isBalanced = fold.order == .balanced && fold.sources.count > 2
    let number = Int32(plan.steps.count)
    try markDestination(ranges, number)
    let queue: Int32
    if let moved {
      let first = Int32(plan.sources.count)
      try addSource(moved, of: step, number, ranges)
      step.sources = first..<Int32(plan.sources.count)
      queue = localQueue(channel)
    } else {
      queue = try addOperands(fold.sources, of: &step, number, ranges, channel)
      addParts(to: &step, ranges)
    }
    write(ranges, by: number)
    append(step, queue)
  }

  /// Lowers a forward: a combine into memory that does not exist, and the send that it feeds segment by segment.
  mutating func lowerForward(
    _ message: Message, _ fold: Fold, _ peers: [Int], _ channel: Int
  ) throws(LoweringError) {
    let ranges = try resolve(message, namesMemory: false)
    var combine = try makeStep(.combine, channel, ranges, isForwarded: true)
    let number = Int32(plan.steps.count)
    combine.completes = fold.completes
    combine.isBalanced = fold.order == .balanced && fold.sources.count > 2
    combine.forwarded = true
    combine.fusedSend = number + 1
    var send = combine
    let combineQueue = try addOperands(fold.sources, of: &combine, number, ranges, channel)
    addParts(to: &combine, ranges)
    append(combine, combineQueue)

    runs.removeAll(keepingCapacity: true)
    predecessors.removeAll(keepingCapacity: true)
    send.kind = .send
    send.completes = false
    send.isBalanced = false
    send.copied = true
    send.fusedSend = -1
    if send.bytes > 0 {
      runs.append(HazardTable.Run(kind: .executed, step: number, lower: 0, upper: send.bytes, delta: 0))
    } else {
      predecessors.append(number)
    }
    let sendQueue = try address(&send, number + 1, peers, channel)
    append(send, sendQueue)
  }

  /// Notes the operands of a combine. Returns its queue: that of the lane its first slot arrives on, or the local one.
  mutating func addOperands(
    _ operands: [Source], of step: inout Plan.Step, _ number: Int32, _ ranges: [Resolved], _ channel: Int
  ) throws(LoweringError) -> Int32 {
    guard !operands.isEmpty else { throw refuse(.sizes, "at least one source", "none") }
    // No result needs more operands, and the engine has room for no more.
    guard operands.count <= schedule.rankCount + 1 else {
      throw refuse(.sizes, "at most \(schedule.rankCount + 1) sources for \(schedule.rankCount) ranks", "\(operands.count)")
    }
    var queue: Int32 = -1
    let firstSource = plan.sources.count
    for operand in operands {
      switch operand {
      case .chunks(let source): try addSource(try resolve(source), of: step, number, ranges)
      case .slot(let slot):
        guard let pending = slots.removeValue(forKey: slot.index) else {
          throw refuse(.bounds, "slot \(slot.index) received earlier and read once", "no message in it")
        }
        guard pending.channel == channel else {
          throw refuse(
            .address, "slots of channel \(channel), as the reduce", "slot \(slot.index) of channel \(pending.channel)")
        }
        guard pending.sizes == sizes(of: step) else {
          throw refuse(
            .sizes, "sources of \(sizes(of: step)) bytes, as the destination",
            "\(pending.sizes) in slot \(slot.index)")
        }
        let lane = try lane(pending.peer, pending.channel)
        if queue < 0 { queue = self.queue(.receive, lane: lane) }
        guard receiveLanes[lane].tail != number else {
          throw refuse(
            .order, "at most one slot from each rank and lane in one reduce",
            "two from rank \(pending.peer), whose segments come one message after the other")
        }
        try consume(lane, ordinal: pending.ordinal, peer: pending.peer)
        receiveLanes[lane].follow(number, &predecessors)
        plan.sources.append(Plan.Source(kind: .slot, peer: Int32(pending.peer)))
      }
    }
    step.sources = Int32(firstSource)..<Int32(plan.sources.count)
    return queue < 0 ? localQueue(channel) : queue
  }

  mutating func addSource(
    _ source: [Resolved], of step: Plan.Step, _ number: Int32, _ destination: [Resolved]
  ) throws(LoweringError) {
    try match(destination, source)
    try checkOverlap(source, number)
    plan.sources.append(Plan.Source(kind: .memory, extent: Int32(plan.extents.count)))
    appendExtents(source)
    read(source, by: number, isSend: false, empty: step.bytes == 0)
  }

  mutating func append(_ step: Plan.Step, _ queue: Int32) {
    var step = step
    let number = Int32(plan.steps.count)
    let firstEdge = plan.edges.count
    runs.removeAll { $0.kind == .executed && queueOfStep[Int($0.step)] == queue }
    HazardTable.merge(&runs)
    for run in runs {
      plan.edges.append(
        Plan.Edge(kind: run.kind, step: run.step, lower: run.lower, upper: run.upper, delta: run.delta))
    }
    predecessors.sort()
    var previous: Int32 = -1
    for predecessor in predecessors where predecessor != previous && queueOfStep[Int(predecessor)] != queue {
      plan.edges.append(Plan.Edge(kind: .completed, step: predecessor))
      previous = predecessor
    }
    step.edges = Int32(firstEdge)..<Int32(plan.edges.count)
    plan.steps.append(step)
    queues[Int(queue)].steps.append(number)
    queueOfStep.append(queue)
    wasRead.append(false)
    wasReadUnfused.append(false)
  }

  /// Closes the plan once all steps are lowered.
  consuming func finish(streaming: Bool) throws(LoweringError) -> Plan {
    if let (index, slot) = slots.min(by: { $0.key < $1.key }) {
      throw LoweringError(
        .bounds, rank: schedule.rank, step: -1, expected: "every slot read by one reduce",
        found: "slot \(index), received from rank \(slot.peer), never read")
    }
    if streaming {
      for index in plan.steps.indices where plan.steps[index].kind != .send && plan.steps[index].bytes > 0 {
        plan.steps[index].streaming = !wasReadUnfused[index] && !plan.steps[index].forwarded
      }
    }
    shrinkScratch()
    for wanted in [QueueClass.send, .receive, .local] {
      for queue in queues where queue.class == wanted {
        let start = Int32(plan.queueSteps.count)
        for step in queue.steps { plan.steps[Int(step)].queue = Int32(plan.queues.count) }
        plan.queueSteps.append(contentsOf: queue.steps)
        plan.queues.append(start..<Int32(plan.queueSteps.count))
      }
    }
    plan.allPeers = (0..<schedule.rankCount).filter { peer in
      let lanes = peer * Channel.laneCount..<(peer + 1) * Channel.laneCount
      return lanes.contains { sendLanes[$0].tail >= 0 || receiveLanes[$0].received > 0 }
    }.map(Int32.init)
    return plan
  }

  /// Gives each scratch buffer the part of its layout that the steps touch.
  private mutating func shrinkScratch() {
    guard schedule.scratchCount > 0 else { return }
    var lower = Array(repeating: UInt64.max, count: plan.buffers.count)
    var upper = Array(repeating: UInt64(0), count: plan.buffers.count)
    for extent in plan.extents where extent.memory >= 2 && extent.memory < plan.forwardedMemory {
      lower[Int(extent.memory)] = min(lower[Int(extent.memory)], extent.offset)
      upper[Int(extent.memory)] = max(upper[Int(extent.memory)], extent.offset + extent.bytes)
    }
    for memory in 2..<plan.buffers.count where lower[memory] < upper[memory] {
      plan.buffers[memory] = Plan.BufferRange(base: lower[memory], bytes: upper[memory] - lower[memory])
    }
    for index in plan.extents.indices {
      let memory = Int(plan.extents[index].memory)
      if memory >= 2, memory < plan.buffers.count { plan.extents[index].offset -= lower[memory] }
    }
  }

  // MARK: Lanes and queues

  func lane(_ peer: Int, _ channel: Int) throws(LoweringError) -> Int {
    guard (0..<schedule.rankCount).contains(peer), peer != schedule.rank else {
      throw refuse(.address, "a peer in 0..<\(schedule.rankCount) other than the rank itself", "\(peer)")
    }
    return peer * Channel.laneCount + Channel.lane(channel)
  }

  mutating func queue(_ kind: QueueClass, lane: Int) -> Int32 {
    let known = kind == .send ? sendLanes[lane].queue : receiveLanes[lane].queue
    if known >= 0 { return known }
    queues.append((kind, []))
    let queue = Int32(queues.count - 1)
    if kind == .send { sendLanes[lane].queue = queue } else { receiveLanes[lane].queue = queue }
    return queue
  }

  mutating func localQueue(_ channel: Int) -> Int32 {
    if localQueues[channel] < 0 {
      queues.append((.local, []))
      localQueues[channel] = Int32(queues.count - 1)
    }
    return localQueues[channel]
  }

  mutating func consume(_ lane: Int, ordinal: Int, peer: Int) throws(LoweringError) {
    guard receiveLanes[lane].consumed == ordinal else {
      throw refuse(
        .order, "message \(receiveLanes[lane].consumed) from rank \(peer) on this lane to be consumed first",
        "message \(ordinal) consumed before it")
    }
    receiveLanes[lane].consumed += 1
  }

  func refuse(
    _ kind: LoweringError.Kind, _ expected: String, _ found: String, chunk: Int = -1
  ) -> LoweringError {
    LoweringError(kind, rank: schedule.rank, step: origin, chunk: chunk, expected: expected, found: found)
  }
}
