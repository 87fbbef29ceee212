/// Tells, for each operand of one rank's combines, which of its chunks are a rank's contribution as it was given, and
/// which were combined before.
///
/// An average of 16-bit numbers divides contributions where they enter a combine, and nothing else. What a message
/// carries is decided on the rank that sends it, so the schedules of other ranks are read as well, as far as data
/// comes from them: each once.
package final class Contributions {
  /// Where a chunk's data comes from.
  private enum Origin: Hashable {
    case contribution
    case combined
    /// Whatever the sender sent: chunk `place` of a message, by its number on the lane.
    case received(from: Int, lane: Int, message: Int, place: Int)
  }

  /// The data's way through one rank.
  private struct Flow {
    /// By receiver and lane, the messages in order, by chunk.
    var sent: [Int: [[Origin]]] = [:]
    /// By step, for each operand, by chunk.
    var operands: [Int: [[Origin]]] = [:]
  }

  private let rank: Int
  private let rankCount: Int
  /// Whether a sum of all contributions is within the range that it is computed in.
  let sumsAreInRange: Bool
  private let schedule: (Int) -> Schedule
  private var flows: [Int: Flow] = [:]

  /// - Parameters:
  ///   - sumsAreInRange: Whether a sum of all contributions is within the range that it is computed in: then it may
  ///     be divided once.
  ///   - schedule: The program of any rank, of one algorithm for one call.
  package init(rank: Int, rankCount: Int, sumsAreInRange: Bool, schedule: @escaping (Int) -> Schedule) {
    self.rank = rank
    self.rankCount = rankCount
    self.sumsAreInRange = sumsAreInRange
    self.schedule = schedule
  }

  /// Says for each operand of a combine of this rank, and for each chunk of it, whether it is a contribution.
  ///
  /// - Parameter step: Its place in the schedule.
  package func operands(of step: Int) -> [[Bool]] {
    (flow(of: rank).operands[step] ?? []).map { operand in operand.map { isContribution($0, on: rank) } }
  }

  private func isContribution(_ origin: Origin, on rank: Int) -> Bool {
    var (origin, receiver) = (origin, rank)
    // Data goes from rank to rank only so often, unless ranks wait for each other in a circle, and the proof excludes that.
    for _ in 0...rankCount * rankCount {
      switch origin {
      case .contribution: return true
      case .combined: return false
      case .received(let sender, let lane, let message, let place):
        let messages = flow(of: sender).sent[receiver * Channel.laneCount + lane] ?? []
        guard messages.indices.contains(message), messages[message].indices.contains(place) else { return false }
        origin = messages[message][place]
        receiver = sender
      }
    }
    return false
  }

  private func flow(of rank: Int) -> Flow {
    if let known = flows[rank] { return known }
    let made = Self.makeFlow(schedule(rank))
    flows[rank] = made
    return made
  }

  /// Follows the data through a rank's program.
  private static func makeFlow(_ schedule: Schedule) -> Flow {
    var flow = Flow()
    var cells: [ChunkRange: Origin] = [:]
    var slots: [Int: (from: Int, lane: Int, message: Int)] = [:]
    var received: [Int: Int] = [:]

    func cell(_ buffer: Buffer, _ chunk: Int) -> ChunkRange { ChunkRange(buffer, chunk) }
    func chunks(of message: Message) -> [ChunkRange] {
      schedule.ranges[message.ranges].flatMap { range in range.chunks.map { cell(range.buffer, $0) } }
    }
    func read(_ message: Message) -> [Origin] {
      chunks(of: message).map { place in
        if case .input = place.buffer { return .contribution }
        return cells[place] ?? .combined
      }
    }
    func take(from peer: Int, _ channel: Int) -> (from: Int, lane: Int, message: Int) {
      let lane = peer * Channel.laneCount + Channel.lane(channel)
      let message = received[lane] ?? 0
      received[lane] = message + 1
      return (peer, Channel.lane(channel), message)
    }
    func send(_ data: [Origin], to peers: [Int], _ channel: Int) {
      for peer in peers { flow.sent[peer * Channel.laneCount + Channel.lane(channel), default: []].append(data) }
    }
    func combine(_ step: Int, _ sources: [Source], _ count: Int) -> [Origin] {
      let operands = sources.map { source -> [Origin] in
        switch source {
        case .chunks(let message): return read(message)
        case .slot(let slot):
          guard let (sender, lane, message) = slots[slot.index] else { return Array(repeating: .combined, count: count) }
          return (0..<count).map { .received(from: sender, lane: lane, message: message, place: $0) }
        }
      }
      flow.operands[step] = operands
      return operands.count == 1 ? operands[0] : Array(repeating: .combined, count: count)
    }
    func write(_ data: [Origin], _ message: Message) {
      for (place, origin) in zip(chunks(of: message), data) { cells[place] = origin }
    }

    for (index, step) in schedule.steps.enumerated() {
      switch step {
      case .send(let message, let peers, let channel, _): send(read(message), to: peers, channel)
      case .receive(let message, let peer, let channel):
        let (sender, lane, number) = take(from: peer, channel)
        let count = chunks(of: message).count
        write((0..<count).map { .received(from: sender, lane: lane, message: number, place: $0) }, message)
      case .receiveSlot(_, let slot, let peer, let channel): slots[slot.index] = take(from: peer, channel)
      case .reduce(let message, let fold, _):
        write(combine(index, fold.sources, chunks(of: message).count), message)
      case .forward(let message, let fold, let peers, let channel):
        send(combine(index, fold.sources, chunks(of: message).count), to: peers, channel)
      }
    }
    return flow
  }
}
