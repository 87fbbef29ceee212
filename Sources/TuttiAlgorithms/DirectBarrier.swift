import TuttiSchedule

/// Direct barrier: everyone tells everyone, in one round of n - 1 messages. For a few ranks that share memory, where a message is a store.
public struct DirectBarrier: Algorithm {
  public var name: String { "direct" }
  public var identifier: UInt8 { 14 }
  public var collective: Collective { .barrier }

  public init() {}

  public func schedule(rank: Int, rankCount: Int, root: Int) -> Schedule {
    var program = ScheduleBuilder(.barrier, rank: rank, rankCount: rankCount, root: root, chunkCount: 1)
    guard rankCount > 1 else { return program.finish() }
    let others = (1..<rankCount).map { (rank + $0) % rankCount }
    program.send([.input(0)], to: others)
    let news = others.reversed().map { program.receiveSlot([.output(0)], from: $0) }
    program.reduce([.output(0)], [.input(0)] + news)
    return program.finish()
  }

  public func cost(rankCount: Int) -> AlgorithmCost? {
    .evenly(rounds: min(rankCount - 1, 1), messages: rankCount - 1, volume: 0, rankCount: rankCount)
  }
}
