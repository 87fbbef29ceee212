import TuttiSchedule

/// What one rank's program sends, receives and combines, by the levels that messages cross. Volumes are multiples of the
/// collective's data, as those of `AlgorithmCost` are.
struct RankTraffic {
  struct Level {
    var sent = 0.0
    var received = 0.0
    var sentMessages = 0
    var receivedMessages = 0

    /// The number of messages in the busier direction.
    var messages: Int { max(sentMessages, receivedMessages) }
  }

  /// By level, from level 0 on.
  private(set) var levels: [Level]
  private(set) var combined = 0.0
  /// Whether each channel leads to one peer only: data then walks from rank to rank.
  private(set) var isWalk = true

  init(_ schedule: Schedule, _ representatives: Representatives, levelCount: Int) {
    levels = Array(repeating: Level(), count: levelCount)
    let chunkCount = Double(schedule.chunkCount)
    // A barrier's messages carry nothing.
    let carriesData = schedule.collective != .barrier
    var peers: [Int: Int] = [:]
    func volume(_ message: Message) -> Double {
      guard carriesData else { return 0 }
      return Double(schedule.ranges[message.ranges].reduce(0) { $0 + $1.chunks.count }) / chunkCount
    }
    for step in schedule.steps {
      switch step {
      case .send(let message, let to, let channel, _):
        send(volume(message), to: to, channel: channel, from: schedule.rank, representatives, &peers)
      case .forward(let message, let fold, let to, let channel):
        combined += volume(message) * Double(fold.sources.count - 1)
        send(volume(message), to: to, channel: channel, from: schedule.rank, representatives, &peers)
      case .receive(let message, let peer, _), .receiveSlot(let message, _, let peer, _):
        let level = representatives.crossing(schedule.rank, peer)
        levels[level].received += volume(message)
        levels[level].receivedMessages += 1
      case .reduce(let message, let fold, _):
        combined += volume(message) * Double(fold.sources.count - 1)
      }
    }
  }

  private mutating func send(
    _ volume: Double, to destinations: [Int], channel: Int, from rank: Int, _ representatives: Representatives,
    _ peers: inout [Int: Int]
  ) {
    for peer in destinations {
      let level = representatives.crossing(rank, peer)
      levels[level].sent += volume
      levels[level].sentMessages += 1
      if peers.updateValue(peer, forKey: channel) ?? peer != peer { isWalk = false }
    }
  }

  /// The number of messages in the busier direction, at all levels together.
  var messages: Int {
    max(levels.reduce(0) { $0 + $1.sentMessages }, levels.reduce(0) { $0 + $1.receivedMessages })
  }
}
