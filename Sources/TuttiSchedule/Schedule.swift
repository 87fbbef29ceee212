/// The program of one rank for one collective: a pure function's result, never sized by elements.
///
/// Build one with ``ScheduleBuilder``. The verifier proves it, lowering turns it into a `Plan` for a given number of
/// elements.
public struct Schedule: Hashable, Sendable {
  /// What the ranks compute together.
  public let collective: Collective
  /// Whose program this is.
  public let rank: Int
  /// The number of ranks that have such a program.
  public let rankCount: Int
  /// The root; 0, and without meaning, for collectives that have none.
  public let root: Int
  /// The number of chunks the data is cut into; the same on every rank. At least 1.
  public let chunkCount: Int
  /// Independent copies of the algorithm, each on its own part of the data. At least 1.
  public let channelCount: Int
  /// Scratch buffers, each with the layout of the whole data.
  public let scratchCount: Int
  /// Whether it only serves blocks of equal sizes, and so not the v-form of its collective.
  public let equalBlocks: Bool
  /// The table that messages slice.
  package let ranges: [ChunkRange]
  /// In program order, which fixes the order of messages on a channel and nothing else.
  package let steps: [Step]

  /// How many steps the program has.
  public var stepCount: Int { steps.count }
}

/// Writes a schedule step by step, in program order.
///
/// ```swift
/// // An all-reduce of two ranks.
/// var program = ScheduleBuilder(.allReduce, for: position, chunkCount: 1)
/// program.send([.input(0)], to: 1 - position.rank, lifetime: .copied)
/// let theirs = program.receiveSlot([.input(0)], from: 1 - position.rank)
/// program.reduce([.output(0)], position.rank == 0 ? [.input(0), theirs] : [theirs, .input(0)], completes: true)
/// return program.finish()
/// ```
public struct ScheduleBuilder {
  /// An operand of a combine: chunks in memory or a received slot.
  public struct Operand: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
      case chunks([ChunkRange])
      case slot(Slot)
    }

    package let kind: Kind

    package init(_ kind: Kind) { self.kind = kind }

    /// The chunks of a list, in memory.
    public static func chunks(_ list: [ChunkRange]) -> Operand { Operand(.chunks(list)) }
    /// One chunk of the input.
    public static func input(_ chunk: Int) -> Operand { .chunks([ChunkRange(.input, chunk)]) }
    /// One chunk of the output.
    public static func output(_ chunk: Int) -> Operand { .chunks([ChunkRange(.output, chunk)]) }
    /// Consecutive chunks of the input.
    public static func input(_ chunks: Range<Int>) -> Operand { .chunks([ChunkRange(.input, chunks)]) }
    /// Consecutive chunks of the output.
    public static func output(_ chunks: Range<Int>) -> Operand { .chunks([ChunkRange(.output, chunks)]) }
    /// Consecutive chunks of a scratch buffer.
    public static func scratch(_ index: Int, _ chunks: Range<Int>) -> Operand {
      .chunks([ChunkRange(.scratch(index), chunks)])
    }
  }

  /// Whose program is written.
  public let rank: Int
  /// How many ranks there are.
  public let rankCount: Int
  /// The channel of the steps that follow.
  public var channel = 0
  private let collective: Collective
  private let root: Int
  private let chunkCount: Int
  var channelCount: Int
  var scratchCount: Int
  private let equalBlocks: Bool
  private var slotCount = 0
  private var ranges: [ChunkRange] = []
  private var steps: [Step] = []

  /// - Parameters:
  ///   - position: Whose program it is.
  ///   - chunkCount: At least 1; a multiple of the rank count where the collective has blocks.
  ///   - channelCount: Independent copies of the algorithm, each on chunks of its own; set ``channel`` before each one's
  ///     steps.
  ///   - scratchCount: Buffers of the engine's own, each with room for as much of the data as the steps touch.
  ///   - equalBlocks: Whether the schedule moves data between chunks of different blocks, and so serves blocks of equal
  ///     sizes only.
  public init(
    _ collective: Collective, for position: Position, chunkCount: Int, channelCount: Int = 1, scratchCount: Int = 0,
    equalBlocks: Bool = false
  ) {
    self.init(
      collective, rank: position.rank, rankCount: position.rankCount, root: position.root, chunkCount: chunkCount,
      channelCount: channelCount, scratchCount: scratchCount, equalBlocks: equalBlocks)
  }

  /// Begins a schedule from numbers that no position needs to have: tests write schedules that are wrong.
  package init(
    _ collective: Collective, rank: Int, rankCount: Int, root: Int = 0, chunkCount: Int, channelCount: Int = 1,
    scratchCount: Int = 0, equalBlocks: Bool = false
  ) {
    self.collective = collective
    self.rank = rank
    self.rankCount = rankCount
    self.root = root
    self.chunkCount = chunkCount
    self.channelCount = channelCount
    self.scratchCount = scratchCount
    self.equalBlocks = equalBlocks
  }

  private mutating func message(_ list: [ChunkRange]) -> Message {
    ranges.append(contentsOf: list)
    return Message(ranges: ranges.count - list.count..<ranges.count)
  }

  /// Sends the ranges, as one message, to each peer.
  public mutating func send(_ list: [ChunkRange], to peers: Int..., lifetime: SourceLifetime = .held) {
    send(list, to: peers, lifetime: lifetime)
  }

  /// Sends the ranges, as one message, to each peer. Without peers, no step is added.
  public mutating func send(_ list: [ChunkRange], to peers: [Int], lifetime: SourceLifetime = .held) {
    guard !peers.isEmpty else { return }
    steps.append(.send(message(list), to: peers, channel: channel, lifetime))
  }

  /// Receives one message into the ranges.
  public mutating func receive(_ list: [ChunkRange], from peer: Int) {
    steps.append(.receive(message(list), from: peer, channel: channel))
  }

  /// Receives one message, of the size of the ranges, for one later `reduce` or `forward`.
  /// - Returns: The operand that stands for what was received. It is read exactly once.
  public mutating func receiveSlot(_ list: [ChunkRange], from peer: Int) -> Operand {
    let slot = Slot(index: slotCount)
    slotCount += 1
    steps.append(.receiveSlot(message(list), slot, from: peer, channel: channel))
    return Operand(.slot(slot))
  }

  /// Combines the operands into the ranges. With one operand, this is a copy.
  ///
  /// - Parameters:
  ///   - order: How three or more operands are folded.
  ///   - completes: Whether the result has every rank's contribution.
  public mutating func reduce(
    _ list: [ChunkRange], _ operands: [Operand], order: FoldOrder = .leftToRight, completes: Bool = false
  ) {
    let destination = message(list)
    let fold = Fold(sources(operands), order: order, completes: completes)
    steps.append(.reduce(destination, fold, channel: channel))
  }

  /// Combines the operands and sends the result to each peer without storing it.
  ///
  /// - Parameters:
  ///   - list: Chunks of the sizes of the operands; their buffer has no meaning.
  ///   - order: How three or more operands are folded.
  ///   - completes: Whether the result has every rank's contribution.
  public mutating func forward(
    _ list: [ChunkRange], _ operands: [Operand], to peers: Int..., order: FoldOrder = .leftToRight, completes: Bool = false
  ) {
    forward(list, operands, to: peers, order: order, completes: completes)
  }

  /// Combines the operands and sends the result to each peer without storing it. At least one peer.
  public mutating func forward(
    _ list: [ChunkRange], _ operands: [Operand], to peers: [Int], order: FoldOrder = .leftToRight, completes: Bool = false
  ) {
    let sent = message(list)
    let fold = Fold(sources(operands), order: order, completes: completes)
    steps.append(.forward(sent, fold, to: peers, channel: channel))
  }

  private mutating func sources(_ operands: [Operand]) -> [Source] {
    operands.map { operand in
      switch operand.kind {
      case .chunks(let list): .chunks(message(list))
      case .slot(let slot): .slot(slot)
      }
    }
  }

  /// Copies ranges; in place, a copy from `input` to the same chunks of `output` moves nothing.
  public mutating func copy(_ list: [ChunkRange], from source: [ChunkRange]) {
    reduce(list, [.chunks(source)])
  }

  /// Gives the schedule of the steps so far.
  public func finish() -> Schedule {
    Schedule(
      collective: collective, rank: rank, rankCount: rankCount, root: root, chunkCount: chunkCount,
      channelCount: channelCount, scratchCount: scratchCount, equalBlocks: equalBlocks, ranges: ranges, steps: steps)
  }
}

extension ChunkRange {
  /// One chunk of the input.
  public static func input(_ chunk: Int) -> ChunkRange { ChunkRange(.input, chunk) }
  /// One chunk of the output.
  public static func output(_ chunk: Int) -> ChunkRange { ChunkRange(.output, chunk) }
  /// Consecutive chunks of the input.
  public static func input(_ chunks: Range<Int>) -> ChunkRange { ChunkRange(.input, chunks) }
  /// Consecutive chunks of the output.
  public static func output(_ chunks: Range<Int>) -> ChunkRange { ChunkRange(.output, chunks) }
  /// Consecutive chunks of a scratch buffer.
  public static func scratch(_ index: Int, _ chunks: Range<Int>) -> ChunkRange {
    ChunkRange(.scratch(index), chunks)
  }
}
