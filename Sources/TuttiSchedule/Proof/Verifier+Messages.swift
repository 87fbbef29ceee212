// What is checked on the schedules themselves, for every chunk map at once: two lists of ranges have equal sizes in every
// chunk map exactly when they name the same chunks, or chunks of one size class.

extension Verifier {
  /// All ranks must speak of the same collective, cut in the same way.
  func checkAgreement() throws(ProofFailure) {
    for (rank, schedule) in schedules.enumerated() {
      func check(_ what: String, _ expected: Int, _ found: Int) throws(ProofFailure) {
        guard expected == found else {
          throw failure(.matchedMessages, rank: rank, expected: "\(what) \(expected)", found: "\(found)")
        }
      }
      guard schedule.collective == collective else {
        throw failure(
          .matchedMessages, rank: rank, expected: "a schedule of \(collective.name)", found: schedule.collective.name)
      }
      try check("rank", rank, schedule.rank)
      try check("rank count", rankCount, schedule.rankCount)
      try check("root", root, schedule.root)
      try check("chunk count", max(schedules[0].chunkCount, 1), schedule.chunkCount)
      try check("channel count", max(schedules[0].channelCount, 1), schedule.channelCount)
      if collective.hasBlocks, schedule.chunkCount % rankCount != 0 {
        throw failure(
          .matchedMessages, rank: rank, expected: "a multiple of \(rankCount) chunks, as many for each rank's block",
          found: "\(schedule.chunkCount)")
      }
      guard schedule.equalBlocks == schedules[0].equalBlocks else {
        throw failure(
          .matchedMessages, rank: rank,
          expected: "equal blocks \(schedules[0].equalBlocks ? "" : "not ")required, as on rank 0",
          found: "the contrary")
      }
    }
  }

  private struct Passage {
    var lane: Int
    var rank: Int
    var step: Int
    var message: Message
  }

  /// Every send must have its receive, and both name the same chunks in the same order, lane by lane.
  mutating func checkMessages() throws(ProofFailure) {
    var sent: [Passage] = []
    var received: [Passage] = []
    for (rank, schedule) in schedules.enumerated() {
      for (index, step) in schedule.steps.enumerated() {
        switch step {
        case .send(let message, let peers, let channel, _):
          for peer in peers {
            sent.append(Passage(lane: lane(rank, peer, channel), rank: rank, step: index, message: message))
          }
        case .receive(let message, let peer, let channel), .receiveSlot(let message, _, let peer, let channel):
          received.append(Passage(lane: lane(peer, rank, channel), rank: rank, step: index, message: message))
        case .reduce(let message, let fold, _):
          try checkSources(schedule, index, message, fold.sources)
        case .forward(let message, let fold, let peers, let channel):
          try checkSources(schedule, index, message, fold.sources)
          for peer in peers {
            sent.append(Passage(lane: lane(rank, peer, channel), rank: rank, step: index, message: message))
          }
        }
      }
    }
    report.messages = sent.count
    try checkSlots()
    // Stable by rank and step within a lane, because those were visited in order.
    sent.sort { ($0.lane, $0.step) < ($1.lane, $1.step) }
    received.sort { ($0.lane, $0.step) < ($1.lane, $1.step) }
    for index in 0..<max(sent.count, received.count) {
      let send = index < sent.count ? sent[index] : nil
      let receive = index < received.count ? received[index] : nil
      if let send, receive == nil || send.lane < receive!.lane { throw unmatched(send, isSend: true) }
      if let receive, send == nil || receive.lane < send!.lane { throw unmatched(receive, isSend: false) }
      guard let send, let receive else { continue }
      let sender = schedules[send.rank]
      let receiver = schedules[receive.rank]
      guard sameSizes(sender, send.message, receiver, receive.message) else {
        throw failure(
          .matchedMessages, rank: receive.rank, step: receive.step,
          expected: "\(sender.sizes(send.message)), as rank \(send.rank) sends in its step \(send.step)",
          found: receiver.sizes(receive.message),
          details: ["rank \(send.rank), step \(send.step): \(sender.text(ofStep: send.step))"])
      }
    }
  }

  private func lane(_ from: Int, _ to: Int, _ channel: Int) -> Int {
    (from * rankCount + to) * Channel.laneCount + Channel.lane(channel)
  }

  private func checkSources(
    _ schedule: Schedule, _ step: Int, _ message: Message, _ sources: [Source]
  ) throws(ProofFailure) {
    for case .chunks(let source) in sources where !sameSizes(schedule, message, schedule, source) {
      throw failure(
        .matchedMessages, rank: schedule.rank, step: step, expected: "sources of " + schedule.sizes(message),
        found: schedule.sizes(source))
    }
  }

  /// Whether two messages have ranges of equal sizes, whatever the sizes of chunks.
  private func sameSizes(_ a: Schedule, _ first: Message, _ b: Schedule, _ second: Message) -> Bool {
    guard first.ranges.count == second.ranges.count else { return false }
    let byNumber = collective != .allToAll && !a.equalBlocks
    return zip(a.ranges[first.ranges], b.ranges[second.ranges]).allSatisfy { one, other in
      if byNumber { return one.chunks == other.chunks }
      return one.chunks.count == other.chunks.count
        && zip(one.chunks, other.chunks).allSatisfy { chunk, match in
          guard let size = a.sizeClass(one.buffer, chunk) else { return false }
          return size == b.sizeClass(other.buffer, match)
        }
    }
  }

  private func unmatched(_ passage: Passage, isSend: Bool) -> ProofFailure {
    let pair = passage.lane / Channel.laneCount
    let peer = isSend ? pair % rankCount : pair / rankCount
    return failure(
      .matchedMessages, rank: passage.rank, step: passage.step,
      expected: isSend ? "a receive of it on rank \(peer)" : "a send of it on rank \(peer)",
      found: "rank \(peer) \(isSend ? "receives" : "sends") no further message on this lane")
  }

  /// A slot has the chunks of the reduce that reads it. That it is received and read once, lowering has checked.
  private func checkSlots() throws(ProofFailure) {
    for (rank, schedule) in schedules.enumerated() {
      var slots: [Slot: Message] = [:]
      for (index, step) in schedule.steps.enumerated() {
        switch step {
        case .receiveSlot(let message, let slot, _, _): slots[slot] = message
        case .reduce(let destination, let fold, _), .forward(let destination, let fold, _, _):
          for case .slot(let slot) in fold.sources {
            guard let message = slots[slot], !sameSizes(schedule, destination, schedule, message) else { continue }
            throw failure(
              .matchedMessages, rank: rank, step: index,
              expected: "slots of " + schedule.sizes(destination),
              found: "slot \(slot.index) of " + schedule.sizes(message))
          }
        default: break
        }
      }
    }
  }

  /// Input belongs to the caller, who may share it.
  func checkInputsUnwritten() throws(ProofFailure) {
    for (rank, schedule) in schedules.enumerated() {
      for (index, step) in schedule.steps.enumerated() {
        let destination: Message
        switch step {
        case .receive(let message, _, _), .reduce(let message, _, _): destination = message
        case .send, .receiveSlot, .forward: continue
        }
        if let range = schedule.ranges[destination.ranges].first(where: { $0.buffer == .input }) {
          throw failure(
            .memory, rank: rank, step: index, chunk: range.chunks.lowerBound,
            expected: "a destination in output or scratch", found: "a write to \(range)")
        }
      }
    }
  }
}
