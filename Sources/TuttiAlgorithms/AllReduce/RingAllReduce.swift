import TuttiSchedule

/// Ring all-reduce (Patarasuk & Yuan, JPDC 69(2), 2009): a reduce-scatter around the ring, then an all-gather around it.
///
/// Chunk c is combined along the ring from rank c on, each rank adding its own input to what arrives, and is complete on
/// rank c - 1. On the second channel, with its own half of the chunks, the ring runs the other way.
public struct RingAllReduce: Algorithm {
  public let name: String
  public var collective: Collective { .allReduce }
  private let channelCount: Int

  /// The all-reduce on one ring.
  public static let ring = RingAllReduce(name: "ring", channelCount: 1)
  /// The all-reduce on two rings in opposite directions, each with half of the data.
  public static let ring2 = RingAllReduce(name: "ring-2", channelCount: 2)

  private init(name: String, channelCount: Int) {
    self.name = name
    self.channelCount = channelCount
  }

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    guard rankCount > 1 else { return copyOnly(.allReduce) }
    var program = ScheduleBuilder(
      .allReduce, for: position, chunkCount: rankCount * channelCount,
      channelCount: channelCount)
    for channel in 0..<channelCount {
      program.channel = channel
      let direction = channel % 2 == 0 ? 1 : -1
      let next = (rank + direction).wrapped(rankCount)
      let previous = (rank - direction).wrapped(rankCount)
      /// The chunk that starts at the rank `distance` places before this one.
      func chunk(_ distance: Int) -> Int {
        channel * rankCount + (rank - direction * distance).wrapped(rankCount)
      }
      program.send([.input(chunk(0))], to: next)
      // Stored before they are sent on: a ring in which everyone forwards waits for itself once its links are full.
      for distance in 1..<rankCount {
        let partial = program.receiveSlot([.output(chunk(distance))], from: previous)
        program.reduce(
          [.output(chunk(distance))], [partial, .input(chunk(distance))], completes: distance == rankCount - 1)
        program.send([.output(chunk(distance))], to: next)
      }
      for distance in 0..<rankCount - 1 {
        program.receive([.output(chunk(distance))], from: previous)
        if distance < rankCount - 2 { program.send([.output(chunk(distance))], to: next) }
      }
    }
    return program.finish()
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    return .evenly(
      rounds: 2 * (rankCount - 1), messages: 2 * (rankCount - 1) * channelCount,
      volume: 2 * Double(rankCount - 1) / Double(rankCount), rankCount: rankCount)
  }
}
