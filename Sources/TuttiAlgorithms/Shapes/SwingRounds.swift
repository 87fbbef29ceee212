import TuttiSchedule

/// The rounds of all-gathers and reduce-scatters in which ranks meet now to the one side, now to the other: in exchange
/// s, an even rank meets the rank `1 - 2 + 4 - ... ± 2^s` places after it, and an odd one the rank as many places before
/// it.
///
/// An exchange is between an even and an odd rank at any even rank count. The two are about two thirds of 2^s ranks apart,
/// where recursive doubling takes 2^s. Odd ranks do the mirror image of what even ranks do, so that everything here is said
/// of an even rank: a block is named by its *offset*, from the rank's own on round the ranks; for an odd rank, back.
///
/// In an all-gather's round, two ranks tell each other what the other lacks; all blocks get everywhere, once, in as few
/// rounds as can be. A reduce-scatter goes through the same rounds backwards, and every message the other way. Where the
/// rank count is odd, the last rank takes no part in the rounds: it exchanges blocks with each of the others.
///
/// - SeeAlso: De Sensi, Bonato, Saam & Hoefler, *Swing: Short-cutting Rings for Higher Bandwidth Allreduce*, NSDI 2024; De
///   Sensi et al., *Bine Trees: Enhancing Collective Operations by Optimizing Communication Locality*, SC 2025.
struct SwingRounds {
  /// Neighbouring blocks that a message has.
  struct Piece: Hashable {
    /// Their offsets, modulo `pairedCount`.
    var offsets: Range<Int>
    /// In a reduce-scatter: whether the sender has combined them before, and whether the receiver has.
    var senderCombined = false
    var receiverCombined = false
  }

  struct Round {
    /// The offset of the rank that an even rank meets, in `0..<pairedCount`.
    var distance: Int
    /// What a rank receives in the all-gather, in offsets of the receiver. In the reduce-scatter it sends this instead, so
    /// that these are offsets of the sender.
    var pieces: [Piece]

    /// The pieces of an all-gather, which joins neighbours: it does not care what was combined.
    var runs: [Range<Int>] {
      pieces.reduce(into: []) { runs, piece in
        if let last = runs.last, last.upperBound == piece.offsets.lowerBound {
          runs[runs.count - 1] = last.lowerBound..<piece.offsets.upperBound
        } else {
          runs.append(piece.offsets)
        }
      }
    }
  }

  let rankCount: Int
  /// The ranks that take part in the rounds: all, or all but the last.
  let pairedCount: Int
  /// In the order of the all-gather.
  private(set) var rounds: [Round] = []
  private let order: Order

  enum Order {
    /// The all-gather's first messages go far and the last, which are large, near: blocks of a message lie apart.
    case nearLast
    /// The other way round: blocks of a message are neighbours.
    case nearFirst
  }

  init(rankCount: Int, _ order: Order) {
    self.rankCount = rankCount
    self.order = order
    pairedCount = rankCount & ~1
    let numbers = 0..<pairedCount.bitWidthOfRounds
    var isHeld = Array(repeating: false, count: pairedCount)
    var held = [0]
    if pairedCount > 0 { isHeld[0] = true }
    var arrivals: [(distance: Int, offsets: [Int])] = []
    for number in order == .nearLast ? numbers.reversed() : Array(numbers) {
      let distance = SwingRounds.distance(number).wrapped(pairedCount)
      let offsets = held.map { (distance - $0).wrapped(pairedCount) }.filter { !isHeld[$0] }.sorted()
      for offset in offsets { isHeld[offset] = true }
      held += offsets
      arrivals.append((distance, offsets))
    }
    var isCombined = Array(repeating: false, count: pairedCount)
    for (distance, offsets) in arrivals.reversed() {
      rounds.append(Round(distance: distance, pieces: pieces(offsets, distance, isCombined)))
      for offset in offsets { isCombined[(distance - offset).wrapped(pairedCount)] = true }
    }
    rounds.reverse()
  }

  /// `1 - 2 + 4 - ... ± 2^number`.
  static func distance(_ number: Int) -> Int { (1 - (number % 2 == 0 ? -2 : 2) << number) / 3 }

  /// How far a rank's block has spread after so many exchanges, near ones first: places after the rank, or before it.
  static func reach(_ exchanges: Int, after: Bool) -> Int {
    stride(from: after ? 0 : 1, to: exchanges, by: 2).reduce(0) { $0 + 1 << $1 }
  }

  /// Blocks in a row, cut where their state changes on either side.
  ///
  /// - Parameter offsets: Ascending.
  private func pieces(_ offsets: [Int], _ distance: Int, _ isCombined: [Bool]) -> [Piece] {
    var pieces: [Piece] = []
    // Those from the first gap on come first, so that a run is not cut where offsets wrap around.
    let gap = offsets.indices.dropFirst().first { offsets[$0 - 1] + 1 < offsets[$0] } ?? 0
    for offset in offsets[gap...] + offsets[..<gap].map({ $0 + pairedCount }) {
      let piece = Piece(
        offsets: offset..<offset + 1, senderCombined: isCombined[offset % pairedCount],
        receiverCombined: isCombined[(distance - offset).wrapped(pairedCount)])
      if let last = pieces.last, last.offsets.upperBound == offset, last.senderCombined == piece.senderCombined,
        last.receiverCombined == piece.receiverCombined
      {
        pieces[pieces.count - 1].offsets = last.offsets.lowerBound..<offset + 1
      } else {
        pieces.append(piece)
      }
    }
    return pieces
  }

  // MARK: Programs

  private func peer(of rank: Int, _ round: Round) -> Int {
    (rank % 2 == 0 ? rank + round.distance : rank - round.distance).wrapped(pairedCount)
  }

  /// Blocks at offsets from a rank, in one range or two.
  private func blocks(_ offsets: Range<Int>, from rank: Int) -> [Range<Int>] {
    cyclicRanges(
      rank % 2 == 0 ? rank + offsets.lowerBound : rank - offsets.upperBound + 1, offsets.count, pairedCount)
  }

  /// The ranges of a reduce-scatter's message, which both sides list from the same rank on.
  ///
  /// - Parameter buffer: Says where blocks of a piece lie, from the first one on.
  private func ranges(_ round: Round, from rank: Int, _ buffer: (Piece, Int) -> Buffer) -> [ChunkRange] {
    round.pieces.flatMap { piece in
      blocks(piece.offsets, from: rank).map { ChunkRange(buffer(piece, $0.lowerBound), $0) }
    }
  }

  /// The ranges of an all-gather's message, likewise.
  private func ranges(_ round: Round, from rank: Int, in buffer: Buffer) -> [ChunkRange] {
    round.runs.flatMap { blocks($0, from: rank).map { ChunkRange(buffer, $0) } }
  }

  /// The rank that takes no part in the rounds, if there is one.
  private var oddRank: Int? { pairedCount == rankCount ? nil : pairedCount }

  /// Adds the all-gather, which leads from the rank's own block, in a buffer and in the output, to all blocks in the output.
  func addAllGather(_ program: inout ScheduleBuilder, own: Buffer) {
    let rank = program.rank
    if rank == oddRank {
      program.send([ChunkRange(own, rank)], to: Array(0..<pairedCount))
      for peer in 0..<pairedCount { program.receive([.output(peer)], from: peer) }
      return
    }
    if let oddRank {
      program.send([ChunkRange(own, rank)], to: oddRank)
      program.receive([.output(oddRank)], from: oddRank)
    }
    for (number, round) in rounds.enumerated() {
      let peer = peer(of: rank, round)
      program.send(ranges(round, from: peer, in: number == 0 ? own : .output), to: peer)
      program.receive(ranges(round, from: rank, in: .output), from: peer)
    }
  }

  /// Where the partial results of a reduce-scatter are.
  enum Partials { case output, scratch }

  /// The scratch buffers that ``addReduceScatter(_:partials:)`` needs, if partial results are there.
  static func scratchCount(_ order: Order) -> Int { order == .nearFirst ? 2 : 1 }

  /// The scratch buffer of a block.
  ///
  /// Where blocks are in a row, those that wrap around lie in a buffer of their own, so that each is touched in one piece.
  private func scratch(of block: Int, on rank: Int) -> Buffer {
    if order == .nearLast { return .scratch(0) }
    let exchanges = rounds.count - 1
    let before = SwingRounds.reach(exchanges, after: rank % 2 != 0)
    let after = SwingRounds.reach(exchanges, after: rank % 2 == 0)
    return .scratch((rank - before...rank + after).contains(block) ? 0 : 1)
  }

  /// Adds the reduce-scatter, which leaves the rank's own block complete in the output.
  ///
  /// What arrives is the left operand; the odd rank's input comes last.
  func addReduceScatter(_ program: inout ScheduleBuilder, partials: Partials) {
    let rank = program.rank
    func place(_ block: Int) -> Buffer { partials == .output ? .output : scratch(of: block, on: rank) }
    if rank == oddRank { return addReduceScatterOfOddRank(&program) }
    var last: [ScheduleBuilder.Operand] = []
    if let oddRank {
      program.send([.input(oddRank)], to: oddRank)
      last = [program.receiveSlot([.output(rank)], from: oddRank)]
    }
    for (number, round) in rounds.enumerated().reversed() {
      let peer = peer(of: rank, round)
      program.send(ranges(round, from: rank) { $0.senderCombined ? place($1) : .input }, to: peer)
      let mine = ranges(round, from: peer) { $0.receiverCombined ? place($1) : .input }
      let partial = program.receiveSlot(mine, from: peer)
      let result = ranges(round, from: peer) { number == 0 ? .output : place($1) }
      program.reduce(result, [partial, .chunks(mine)] + (number == 0 ? last : []), completes: number == 0)
    }
  }

  /// The odd rank sends everyone its block and folds what everyone has for it at once.
  private func addReduceScatterOfOddRank(_ program: inout ScheduleBuilder) {
    let rank = program.rank
    for peer in 0..<pairedCount { program.send([.input(peer)], to: peer) }
    let theirs = (0..<pairedCount).map { program.receiveSlot([.output(rank)], from: $0) }
    program.reduce([.output(rank)], theirs + [.input(rank)], completes: true)
  }

  // MARK: Cost

  /// Messages on the longest path of a reduce-scatter, an all-gather, or both, one after the other.
  private func longestPath(scatters: Bool, gathers: Bool) -> Int {
    if rankCount == 1 { return 0 }
    // By offset, the messages that a block has behind it: all ranks do the same. The odd rank's own block has one.
    var depth = Array(repeating: 0, count: pairedCount)
    for round in scatters ? rounds.reversed() : [] {
      let offsets = round.pieces.flatMap { $0.offsets.map { $0 % pairedCount } }
      let message = 1 + offsets.map { depth[$0] }.max()!
      for offset in offsets { depth[(round.distance - offset).wrapped(pairedCount)] = message }
    }
    guard gathers else { return depth[0] }
    let oddDepth = oddRank == nil ? 0 : 1 + max(depth[0], scatters ? 1 : 0)
    for round in rounds {
      let offsets = round.pieces.flatMap { $0.offsets.map { $0 % pairedCount } }
      let message = 1 + offsets.map { depth[(round.distance - $0).wrapped(pairedCount)] }.max()!
      for offset in offsets { depth[offset] = message }
    }
    return max(depth.max()!, oddDepth)
  }

  /// What a reduce-scatter, an all-gather, or both cost.
  func cost(scatters: Bool, gathers: Bool) -> AlgorithmCost {
    if rankCount == 1 { return .nothing }
    let phases = (scatters ? 1 : 0) + (gathers ? 1 : 0)
    let isOdd = oddRank != nil
    let each = rounds.count + (isOdd ? 1 : 0)
    return AlgorithmCost(
      rounds: longestPath(scatters: scatters, gathers: gathers),
      messages: phases * (isOdd ? max(each, pairedCount) : each),
      volume: Double(phases) * Double(rankCount - 1) / Double(rankCount),
      totalMessages: phases * pairedCount * (rounds.count + (isOdd ? 2 : 0)),
      totalVolume: Double(phases) * Double(rankCount - 1))
  }
}

extension Int {
  /// How many exchanges so many ranks need.
  fileprivate var bitWidthOfRounds: Int { self == 0 ? 0 : ceilLog2 }
}
