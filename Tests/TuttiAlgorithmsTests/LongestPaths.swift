import Testing
import TuttiAlgorithms
import TuttiSchedule

/// How many messages each chunk of each rank has behind it: a message has one more than any chunk in it has.
struct LongestPaths {
  private let schedules: [Schedule]
  /// By lane, then place on it: what the message has behind it, as far as the passes so far have found out.
  private var lanes: [[Int]: [Int]] = [:]
  private var longest = 0

  private init(_ schedules: [Schedule]) { self.schedules = schedules }

  /// The messages on the longest path through the job.
  static func rounds(of schedules: [Schedule]) -> Int {
    var paths = LongestPaths(schedules)
    while paths.pass() {}
    return paths.longest
  }

  /// Goes through all programs once, with what is known of messages from the pass before. Returns whether anything changed.
  private mutating func pass() -> Bool {
    var sent: [[Int]: [Int]] = [:]
    for (rank, schedule) in schedules.enumerated() {
      /// Of each chunk; input has nothing behind it.
      var behind: [ChunkRange: Int] = [:]
      var slots: [Slot: Int] = [:]
      var received: [[Int]: Int] = [:]
      func each(_ message: Message) -> [ChunkRange] {
        schedule.ranges[message.ranges].flatMap { range in range.chunks.map { ChunkRange(range.buffer, $0) } }
      }
      func depth(_ message: Message) -> Int { each(message).map { behind[$0, default: 0] }.max() ?? 0 }
      func depth(_ sources: [Source]) -> Int {
        sources.map { source in
          switch source {
          case .chunks(let message): depth(message)
          case .slot(let slot): slots[slot]!
          }
        }.max() ?? 0
      }
      func arrival(_ peer: Int, _ channel: Int) -> Int {
        let lane = [peer, rank, channel]
        defer { received[lane, default: 0] += 1 }
        let known = lanes[lane, default: []]
        return received[lane, default: 0] < known.count ? known[received[lane, default: 0]] : 0
      }
      for step in schedule.steps {
        switch step {
        case .send(let message, let peers, let channel, _):
          for peer in peers { sent[[rank, peer, channel], default: []].append(depth(message) + 1) }
        case .forward(_, let fold, let peers, let channel):
          for peer in peers { sent[[rank, peer, channel], default: []].append(depth(fold.sources) + 1) }
        case .receive(let message, let peer, let channel):
          let depth = arrival(peer, channel)
          for chunk in each(message) { behind[chunk] = depth }
        case .receiveSlot(_, let slot, let peer, let channel):
          slots[slot] = arrival(peer, channel)
        case .reduce(let message, let fold, _):
          reduce(message, fold.sources)
        }
      }
      /// Chunk by chunk: a slot's all have the same behind them, chunks in memory each their own.
      func reduce(_ message: Message, _ sources: [Source]) {
        var depths = each(message).map { _ in 0 }
        for source in sources {
          switch source {
          case .chunks(let operand):
            for (index, chunk) in each(operand).enumerated() {
              depths[index] = max(depths[index], behind[chunk, default: 0])
            }
          case .slot(let slot):
            for index in depths.indices { depths[index] = max(depths[index], slots[slot]!) }
          }
        }
        for (chunk, depth) in zip(each(message), depths) { behind[chunk] = depth }
      }
    }
    longest = sent.values.joined().max() ?? 0
    defer { lanes = sent }
    return sent != lanes
  }
}
