import TuttiSchedule

/// Bruck's all-to-all (Bruck, Ho, Kipnis, Upfal & Weathersby, IEEE TPDS 8(11), 1997), for small blocks: ceil(log2 n)
/// messages a rank instead of n - 1, each block being sent as often as its distance has bits.
///
/// A block that has d ranks to go travels in the rounds of the bits of d: in round k, 2^k ranks on. All blocks of a round
/// travel as one contiguous message, the furthest first. They are collected in a scratch buffer of the round. First come
/// those of the rank's own input that begin to travel, before anything is written, because input and output may be the same
/// memory; then, round by round, those that have just arrived. Neighbours stay neighbours, in the output too, so that a
/// round takes few copies.
public struct BruckAllToAll: Algorithm {
  public var name: String { "bruck" }
  public var collective: Collective { .allToAll }

  /// Makes the algorithm, which has no settings.
  public init() {}

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    guard rankCount > 1 else { return copyOnly(.allToAll) }
    let rounds = rankCount.ceilLog2
    // Two buffers to receive into: a message may arrive while the one before it is taken apart.
    var program = ScheduleBuilder(
      .allToAll, for: position, chunkCount: rankCount, scratchCount: rounds + 2,
      equalBlocks: true)
    for round in 0..<rounds {
      var moves = Moves()
      for distance in travelling(round, rankCount) where distance.trailingZeroBitCount == round {
        moves.add(
          to: .scratch(round), index(of: distance, round, rankCount), from: .input, (rank + distance) % rankCount)
      }
      moves.copy(in: &program)
      // The first message needs nothing else; those that follow are filled up below.
      if round == 0 { program.send([.scratch(0, 0..<travelling(0, rankCount).count)], to: (rank + 1) % rankCount) }
    }
    program.copy([.output(rank)], from: [.input(rank)])
    for round in 0..<rounds {
      let count = travelling(round, rankCount).count
      if round > 0 { program.send([.scratch(round, 0..<count)], to: (rank + 1 << round) % rankCount) }
      let arrived = Buffer.scratch(rounds + round % 2)
      program.receive([ChunkRange(arrived, 0..<count)], from: (rank - 1 << round).wrapped(rankCount))
      // Those of the next round come first, because it waits for them; those that have arrived come last.
      for next in round + 1...rounds {
        var moves = Moves()
        for distance in travelling(round, rankCount) where nextRound(of: distance, after: round, rounds) == next {
          let source = index(of: distance, round, rankCount)
          if next < rounds {
            moves.add(to: .scratch(next), index(of: distance, next, rankCount), from: arrived, source)
          } else {
            moves.add(to: .output, (rank - distance).wrapped(rankCount), from: arrived, source)
          }
        }
        moves.copy(in: &program)
      }
    }
    return program.finish()
  }

  /// The distances whose blocks travel in a round, in their order: those with its bit.
  private func travelling(_ round: Int, _ rankCount: Int) -> [Int] {
    (1..<rankCount).reversed().filter { $0 >> round & 1 == 1 }
  }

  /// The index of a distance among those that travel in a round.
  private func index(of distance: Int, _ round: Int, _ rankCount: Int) -> Int {
    /// How many below a distance have the bit: those of full periods, and those of the last one.
    func count(below distance: Int) -> Int {
      let period = 2 << round
      return distance / period * (period / 2) + max(0, distance % period - period / 2)
    }
    return count(below: rankCount) - 1 - count(below: distance)
  }

  /// The round in which a block goes on after a given one: that of its distance's next bit, or the number of rounds when it
  /// has arrived.
  private func nextRound(of distance: Int, after round: Int, _ rounds: Int) -> Int {
    let rest = distance >> (round + 1)
    return rest == 0 ? rounds : round + 1 + rest.trailingZeroBitCount
  }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let rankCount = grouping.rankCount
    let blocks = (0..<rankCount).reduce(0) { $0 + $1.nonzeroBitCount }
    let rounds = rankCount.ceilLog2
    // The last round's message waits for that of the round before only where a block travels in both.
    let inSequence = 3 << rounds >= 4 * rankCount ? rounds - 1 : rounds
    return AlgorithmCost(
      rounds: inSequence, messages: rounds, volume: Double(blocks) / Double(rankCount), totalMessages: rounds * rankCount,
      totalVolume: Double(blocks))
  }
}

/// Copies of single blocks that are made in one step, neighbours as one.
private struct Moves {
  private var destinations: [ChunkRange] = []
  private var sources: [ChunkRange] = []

  mutating func add(to buffer: Buffer, _ index: Int, from source: Buffer, _ sourceIndex: Int) {
    if let last = destinations.indices.last, destinations[last].chunks.upperBound == index,
      sources[last].chunks.upperBound == sourceIndex
    {
      destinations[last].chunks = destinations[last].chunks.lowerBound..<index + 1
      sources[last].chunks = sources[last].chunks.lowerBound..<sourceIndex + 1
    } else {
      destinations.append(ChunkRange(buffer, index))
      sources.append(ChunkRange(source, sourceIndex))
    }
  }

  func copy(in program: inout ScheduleBuilder) {
    if !destinations.isEmpty { program.copy(destinations, from: sources) }
  }
}
