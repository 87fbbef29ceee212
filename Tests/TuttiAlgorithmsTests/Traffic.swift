import Testing
import TuttiAlgorithms
import TuttiSchedule

/// What the ranks of a job send each other, counted step by step on their schedules.
struct Traffic {
  /// Of the rank that sends or receives most.
  let messages: Int
  /// Of the rank that sends or receives most, as a multiple of all the data. Chunks all have one size; those of a barrier
  /// have none.
  let volume: Double
  /// Of all ranks.
  let totalMessages: Int
  let totalVolume: Double

  /// - Parameter counts: Says between which ranks messages count.
  init(_ schedules: [Schedule], counts: (_ from: Int, _ to: Int) -> Bool = { _, _ in true }) {
    let hasBytes = schedules[0].collective != .barrier
    var sent = schedules.map { _ in (messages: 0, chunks: 0) }
    var received = sent
    for (rank, schedule) in schedules.enumerated() {
      for step in schedule.steps {
        let (message, peers): (Message, [Int])
        switch step {
        case .send(let sent, let to, _, _), .forward(let sent, _, let to, _): (message, peers) = (sent, to)
        case .receive, .receiveSlot, .reduce: continue
        }
        let chunks = hasBytes ? schedule.ranges[message.ranges].reduce(0) { $0 + $1.chunks.count } : 0
        for peer in peers where counts(rank, peer) {
          sent[rank] = (sent[rank].messages + 1, sent[rank].chunks + chunks)
          received[peer] = (received[peer].messages + 1, received[peer].chunks + chunks)
        }
      }
    }
    let chunkCount = Double(schedules[0].chunkCount)
    messages = (sent + received).map(\.messages).max()!
    volume = Double((sent + received).map(\.chunks).max()!) / chunkCount
    totalMessages = sent.reduce(0) { $0 + $1.messages }
    totalVolume = Double(sent.reduce(0) { $0 + $1.chunks }) / chunkCount
  }

  /// Expects that this is what an algorithm says that a level costs.
  func expect(_ level: AlgorithmCost.Level, _ place: Comment, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(level.messages == messages, place, sourceLocation: sourceLocation)
    #expect(level.totalMessages == totalMessages, place, sourceLocation: sourceLocation)
    // Volumes are sums of chunks, which are fractions of the data.
    #expect(abs(level.volume - volume) < 1e-9, place, sourceLocation: sourceLocation)
    #expect(abs(level.totalVolume - totalVolume) < 1e-9, place, sourceLocation: sourceLocation)
  }
}
