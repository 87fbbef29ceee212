import TuttiSchedule

/// The binomial trees of PAT, parallel aggregated trees: every block has its tree over the ranks from its owner on, and all
/// trees send at the same time.
///
/// A rank's *offset* d in a block's tree says how many places after the block's owner it is; its parent there has the
/// offset d without its lowest set bit. Each bit is one message, with all blocks that it brings to a child: far ranks
/// come first, with few blocks, and the last and largest messages go to neighbours. With a limit, the trees below the
/// offsets that one message can have are sent piece by piece: those that begin at the same distances are aggregated, and
/// go through their ranks one after the other.
struct PATTrees {
  /// In the all-gather, a rank sends blocks this many ranks on.
  struct Message: Hashable {
    var distance: Int
    /// The blocks, as offsets of the sender from their owners; the receiver is `distance` further from them.
    var offsets: [Int]
  }

  let rankCount: Int
  /// In the order of the all-gather.
  private(set) var messages: [Message] = []

  /// - Parameter blocksMax: How many blocks a message has at most; at least 1.
  init(rankCount: Int, blocksMax: Int) {
    self.rankCount = rankCount
    var span = 1 << rankCount.ceilLog2
    // Trees begin at each multiple of `span`, and all of them fit into a message.
    while span > 1 && (rankCount + span / 2 - 1) / (span / 2) <= blocksMax {
      add(span / 2, stride(from: 0, to: rankCount, by: span))
      span /= 2
    }
    // Every tree that is left has `span` ranks. Its ranks follow one another, each after its parent.
    for rank in 1..<span {
      let distance = rank & -rank
      add(distance, stride(from: rank - distance, to: rankCount, by: span))
    }
  }

  private mutating func add(_ distance: Int, _ offsets: StrideTo<Int>) {
    let offsets = offsets.filter { $0 + distance < rankCount }
    if !offsets.isEmpty { messages.append(Message(distance: distance, offsets: offsets)) }
  }

  /// What the blocks of a message are, for the rank that has these offsets from their owners.
  private func blocks(_ message: Message, _ rank: Int) -> [Int] { message.offsets.map { (rank - $0).wrapped(rankCount) } }

  /// Adds the all-gather; the own block is in the input, and all are to be in the output.
  func addAllGather(_ program: inout ScheduleBuilder) {
    let rank = program.rank
    for message in messages {
      program.send(
        blocks(message, rank).map { $0 == rank ? .input(rank) : .output($0) }, to: (rank + message.distance) % rankCount)
      let from = (rank - message.distance).wrapped(rankCount)
      program.receive(blocks(message, from).map(ChunkRange.output), from: from)
    }
  }

  /// Adds the reduce-scatter: the same messages backwards and the other way. Partial results are in scratch.
  ///
  /// The own operand, of the ranks before, is the left one: a block folds in the order of the ranks from its owner on.
  func addReduceScatter(_ program: inout ScheduleBuilder) {
    let rank = program.rank
    var isCombined = Array(repeating: false, count: rankCount)
    func place(_ block: Int) -> ChunkRange { isCombined[block] ? .scratch(0, block..<block + 1) : .input(block) }
    for (number, message) in messages.enumerated().reversed() {
      let to = (rank - message.distance).wrapped(rankCount)
      program.send(blocks(message, to).map(place), to: to)
      let mine = blocks(message, rank)
      let operand = mine.map(place)
      let partial = program.receiveSlot(operand, from: (rank + message.distance) % rankCount)
      let isLast = number == 0
      for block in mine { isCombined[block] = true }
      program.reduce(isLast ? [.output(rank)] : mine.map(place), [.chunks(operand), partial], completes: isLast)
    }
  }

  /// Messages on the longest path. All ranks do the same, and both collectives have the same paths, in opposite directions.
  private var longestPath: Int {
    var depth = Array(repeating: 0, count: rankCount)
    for message in messages {
      let deepest = 1 + message.offsets.map { depth[$0] }.max()!
      for offset in message.offsets { depth[offset + message.distance] = deepest }
    }
    return depth.max()!
  }

  var cost: AlgorithmCost {
    .evenly(
      rounds: longestPath, messages: messages.count, volume: Double(rankCount - 1) / Double(rankCount), rankCount: rankCount)
  }
}

/// PAT all-gather (Jeaugey, *PAT: a new algorithm for all-gather and reduce-scatter operations at scale*, arXiv 2506.20252,
/// 2025): ceil(log2 n) messages a rank, of which the long ones go to near ranks, at any rank count.
///
/// See ``PATTrees``. It moves as few bytes as an all-gather can. Unlike the circulant graphs', its blocks lie apart.
public struct PATAllGather: Algorithm {
  public let name: String
  public var collective: Collective { .allGather }
  private let blocksMax: Int

  /// Makes the algorithm.
  ///
  /// - Parameters:
  ///   - name: The name; choose another than `pat` where there is a limit.
  ///   - blocksMax: How many blocks travel as one message, at most; at least 1. Without a limit there are the fewest
  ///     messages.
  public init(name: String = "pat", blocksMax: Int = .max) {
    precondition(blocksMax >= 1, "messages of \(blocksMax) blocks")
    self.name = name
    self.blocksMax = blocksMax
  }

  public func schedule(for position: Position) -> Schedule {
    let (rank, rankCount) = (position.rank, position.rankCount)
    guard rankCount > 1 else { return copyOnly(.allGather) }
    var program = ScheduleBuilder(.allGather, for: position, chunkCount: rankCount)
    program.copy([.output(rank)], from: [.input(rank)])
    PATTrees(rankCount: rankCount, blocksMax: blocksMax).addAllGather(&program)
    return program.finish()
  }

  public func isWeighed(for grouping: Grouping) -> Bool { grouping.tellsDistances }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    PATTrees(rankCount: grouping.rankCount, blocksMax: blocksMax).cost
  }
}

/// PAT reduce-scatter: the messages of ``PATAllGather`` backwards and the other way, near ranks first.
public struct PATReduceScatter: Algorithm {
  public let name: String
  public var collective: Collective { .reduceScatter }
  private let blocksMax: Int

  /// Makes the algorithm.
  ///
  /// - Parameters:
  ///   - name: The name; choose another than `pat` where there is a limit.
  ///   - blocksMax: How many blocks travel as one message, at most; at least 1. Without a limit there are the fewest
  ///     messages.
  public init(name: String = "pat", blocksMax: Int = .max) {
    precondition(blocksMax >= 1, "messages of \(blocksMax) blocks")
    self.name = name
    self.blocksMax = blocksMax
  }

  public func schedule(for position: Position) -> Schedule {
    let rankCount = position.rankCount
    guard rankCount > 1 else { return copyOnly(.reduceScatter) }
    var program = ScheduleBuilder(.reduceScatter, for: position, chunkCount: rankCount, scratchCount: 1)
    PATTrees(rankCount: rankCount, blocksMax: blocksMax).addReduceScatter(&program)
    return program.finish()
  }

  public func isWeighed(for grouping: Grouping) -> Bool { grouping.tellsDistances }

  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    PATTrees(rankCount: grouping.rankCount, blocksMax: blocksMax).cost
  }
}
