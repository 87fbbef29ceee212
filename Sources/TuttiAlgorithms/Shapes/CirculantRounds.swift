import TuttiSchedule

/// The rounds of all-gathers and reduce-scatters in which every rank talks to the rank a fixed distance away: circulant
/// graphs.
///
/// Blocks are numbered from the rank's own, 0, onwards round the ranks. An all-gather's round takes a rank from `held` to
/// `held + moved` blocks: it sends its first `moved` blocks `held` ranks back and receives the next ones from `held` ranks
/// on. A reduce-scatter goes through the same rounds backwards, and every message the other way. All n - 1 blocks pass
/// once, in ceil(log2 n) rounds, at any rank count.
struct CirculantRounds {
  struct Round: Hashable {
    var held: Int
    /// At most `held`.
    var moved: Int
  }

  let rankCount: Int
  /// The rounds, in the order of the all-gather.
  let rounds: [Round]

  /// Distances are the rank count halved, rounded up, again and again (Träff, 2025): messages are as equal as they can be.
  static func halving(_ rankCount: Int) -> CirculantRounds {
    var rounds: [Round] = []
    var reached = rankCount
    while reached > 1 {
      let held = (reached + 1) / 2
      rounds.append(Round(held: held, moved: reached - held))
      reached = held
    }
    return CirculantRounds(rankCount: rankCount, rounds: rounds.reversed())
  }

  /// Distances are powers of two, and the last round moves what is left (Bruck et al., IEEE TPDS 8(11), 1997).
  static func powers(_ rankCount: Int) -> CirculantRounds {
    var rounds: [Round] = []
    var held = 1
    while held < rankCount {
      rounds.append(Round(held: held, moved: min(held, rankCount - held)))
      held *= 2
    }
    return CirculantRounds(rankCount: rankCount, rounds: rounds)
  }

  // MARK: Programs

  /// Where a block is: the caller's buffers, or partial results.
  enum Place { case input, output, scratch }

  /// Consecutive blocks from the one `blocks.lowerBound` after the rank's own: one range of chunks, or two where they wrap
  /// around.
  ///
  /// Scratch that wraps around lies in a buffer of its own, so that each buffer is touched in one piece.
  private func ranges(_ place: Place, _ blocks: Range<Int>, _ rank: Int) -> [ChunkRange] {
    cyclicRanges(rank + blocks.lowerBound, blocks.count, rankCount).map { range in
      let buffer: Buffer =
        switch place {
        case .input: .input
        case .output: .output
        case .scratch: .scratch(range.lowerBound < rank ? 1 : 0)
        }
      return ChunkRange(buffer, range)
    }
  }

  /// Adds the all-gather, which leads from the rank's own block, at `place`, to all blocks in the output.
  func addAllGather(_ program: inout ScheduleBuilder, own place: Place) {
    let rank = program.rank
    for round in rounds {
      let to = (rank - round.held).wrapped(rankCount)
      program.send(ranges(round.held == 1 ? place : .output, 0..<round.moved, rank), to: to)
      program.receive(ranges(.output, round.held..<round.held + round.moved, rank), from: (rank + round.held) % rankCount)
    }
  }

  /// Adds the reduce-scatter, which leaves the rank's own block complete in the output; partial results are at `place`.
  ///
  /// The data that arrives is the left operand.
  func addReduceScatter(_ program: inout ScheduleBuilder, partials place: Place) {
    let rank = program.rank
    // Blocks below this have been combined and are partial results; the others are input still.
    var combined = 0
    for round in rounds.reversed() {
      // A message is cut where its blocks change place on either side, which is the same on all ranks.
      let cuts = Set([0, combined - round.held, combined, round.moved]).filter { (0...round.moved).contains($0) }.sorted()
      let pieces = zip(cuts, cuts.dropFirst()).map { $0..<$1 }
      func blocks(_ distance: Int, at destination: Place? = nil) -> [ChunkRange] {
        pieces.flatMap { piece in
          let blocks = piece.lowerBound + distance..<piece.upperBound + distance
          return ranges(destination ?? (blocks.lowerBound < combined ? place : .input), blocks, rank)
        }
      }
      program.send(blocks(round.held), to: (rank + round.held) % rankCount)
      let isLast = round == rounds[0]
      let mine = blocks(0)
      let partial = program.receiveSlot(mine, from: (rank - round.held).wrapped(rankCount))
      program.reduce(blocks(0, at: isLast ? .output : place), [partial, .chunks(mine)], completes: isLast)
      combined = max(combined, round.moved)
    }
  }

  // MARK: Cost

  /// Messages on the longest path of a reduce-scatter, an all-gather, or both, one after the other.
  ///
  /// All ranks do the same, so a block's number stands for it on every rank.
  func longestPath(scatters: Bool, gathers: Bool) -> Int {
    var depth = Array(repeating: 0, count: rankCount)
    for round in scatters ? rounds.reversed() : [] {
      let message = 1 + depth[round.held..<round.held + round.moved].max()!
      for block in 0..<round.moved { depth[block] = max(depth[block], message) }
    }
    guard gathers else { return depth[0] }
    for round in rounds {
      let message = 1 + depth[0..<round.moved].max()!
      for block in round.held..<round.held + round.moved { depth[block] = message }
    }
    return depth.max()!
  }

  /// What one phase costs; with `phases` 2, what reduce-scatter and all-gather cost together.
  func cost(phases: Int, rounds longest: Int) -> AlgorithmCost {
    let (n, count) = (Double(rankCount), Double(phases))
    return AlgorithmCost(
      rounds: longest, messages: phases * rounds.count, volume: count * (n - 1) / n,
      totalMessages: phases * rankCount * rounds.count, totalVolume: count * (n - 1))
  }
}
