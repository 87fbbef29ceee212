// Schedules within schedules: an algorithm of a few ranks and of a part of the data becomes a part of the program of all of
// them.
//
// Invariant: what both ends of a message say of it stays equal, because the same chunks are renamed alike on both.

/// Says where a schedule goes that becomes a part of a larger one.
public struct Embedding {
  /// The rank, in the larger schedule, of a rank of the smaller one.
  public var ranks: (Int) -> Int
  /// The chunks, in the larger schedule, that a chunk of the smaller one stands for, in order; none where none of its data
  /// exists. Neither they, nor the chunks of neighbours in the smaller schedule, need to be neighbours in the larger one.
  /// Every rank that takes part says the same.
  public var chunks: (Int) -> [Range<Int>]
  /// The buffer that stands for its input. If it is the same as ``output``, the smaller schedule works in place.
  public var input: Buffer
  /// The buffer that stands for its output.
  public var output: Buffer
  /// The larger schedule's scratch buffer that stands for its first one; the others follow. With nil they come after all
  /// existing ones.
  public var scratch: Int?
  /// The larger schedule's channel that stands for its first one.
  public var channel: Int
  /// Whether what completes the smaller schedule's data has every rank's contribution in the larger one, too.
  public var completes: Bool
  /// Whether chunks of scratch keep their numbers, so that what is contiguous there stays contiguous.
  ///
  /// That suits a schedule of equal blocks whose scratch holds blocks in an order of its own, as long as a message that lies
  /// in scratch at one end lies there at the other end, or is listed chunk by chunk.
  public var keepsScratch = false

  /// An embedding in which a chunk becomes consecutive chunks.
  ///
  /// - Parameters: See the properties of these names; an empty range stands for no chunks.
  public init(
    ranks: @escaping (Int) -> Int, chunks: @escaping (Int) -> Range<Int>, input: Buffer = .input, output: Buffer = .output,
    scratch: Int? = nil, channel: Int = 0, completes: Bool = false
  ) {
    self.init(
      ranks: ranks, scattered: { [chunks($0)] }, input: input, output: output, scratch: scratch, channel: channel,
      completes: completes)
  }

  /// An embedding in which a chunk becomes chunks that lie anywhere.
  ///
  /// - Parameters: See the properties of these names; `scattered` is ``chunks``.
  public init(
    ranks: @escaping (Int) -> Int, scattered chunks: @escaping (Int) -> [Range<Int>], input: Buffer = .input,
    output: Buffer = .output, scratch: Int? = nil, channel: Int = 0, completes: Bool = false
  ) {
    self.ranks = ranks
    self.chunks = chunks
    self.input = input
    self.output = output
    self.scratch = scratch
    self.channel = channel
    self.completes = completes
  }
}

extension Schedule {
  /// Makes a larger schedule of this one alone, which works on the data of some of its ranks and on a part of its chunks.
  ///
  /// - Parameters:
  ///   - collective: What the larger schedule computes.
  ///   - position: Whose program it is, in the larger schedule.
  ///   - chunkCount: The number of chunks of the larger schedule.
  public func embedded(
    in collective: Collective, for position: Position, chunkCount: Int, _ embedding: Embedding
  ) -> Schedule {
    var program = ScheduleBuilder(collective, for: position, chunkCount: chunkCount)
    program.append(self, embedding)
    return program.finish()
  }
}

extension ScheduleBuilder {
  /// Adds all steps of another schedule, renamed. The channels and scratch buffers that it needs are added to the existing
  /// ones.
  ///
  /// Messages and combines of chunks that do not exist are left out, on both ends alike, and so are copies of chunks onto
  /// themselves.
  ///
  /// ```swift
  /// // An all-reduce made of a reduce to rank 0 and a broadcast from there.
  /// var program = ScheduleBuilder(.allReduce, for: position, chunkCount: 1)
  /// let all = Embedding(ranks: { $0 }, chunks: { $0..<$0 + 1 }, completes: true)
  /// program.append(DirectReduce().schedule(for: position), all)
  /// var back = all
  /// back.input = .output
  /// program.append(DirectBroadcast().schedule(for: position), back)
  /// return program.finish()
  /// ```
  public mutating func append(_ part: Schedule, _ embedding: Embedding) {
    let firstScratch = embedding.scratch ?? scratchCount
    scratchCount = max(scratchCount, firstScratch + part.scratchCount)
    channelCount = max(channelCount, embedding.channel + part.channelCount)
    let outerChannel = channel
    defer { channel = outerChannel }
    precondition(part.equalBlocks || !embedding.keepsScratch, "chunks of scratch have the sizes of their blocks")
    let renaming = Renaming(part, embedding, firstScratch: firstScratch)
    var slots: [Slot: Operand] = [:]
    for step in part.steps {
      switch step {
      case .send(let message, let peers, let channel, let lifetime):
        self.channel = embedding.channel + channel
        let list = renaming.ranges(message)
        if !list.isEmpty { send(list, to: peers.map(embedding.ranks), lifetime: lifetime) }
      case .receive(let message, let peer, let channel):
        self.channel = embedding.channel + channel
        let list = renaming.ranges(message)
        if !list.isEmpty { receive(list, from: embedding.ranks(peer)) }
      case .receiveSlot(let message, let slot, let peer, let channel):
        self.channel = embedding.channel + channel
        let list = renaming.ranges(message)
        if !list.isEmpty { slots[slot] = receiveSlot(list, from: embedding.ranks(peer)) }
      case .reduce(let message, let fold, let channel):
        self.channel = embedding.channel + channel
        append(fold, into: message, renaming, slots)
      case .forward(let message, let fold, let peers, let channel):
        self.channel = embedding.channel + channel
        let list = renaming.ranges(message)
        if list.isEmpty { continue }
        forward(
          list, renaming.operands(fold, slots), to: peers.map(embedding.ranks), order: fold.order,
          completes: fold.completes && embedding.completes)
      }
    }
  }

  private mutating func append(
    _ fold: Fold, into message: Message, _ renaming: Renaming, _ slots: [Slot: Operand]
  ) {
    let splits = !renaming.keeps(fold, into: message)
    var list = renaming.ranges(message, splits: splits)
    var operands = renaming.operands(fold, slots, splits: splits)
    if operands.count == 1, case .chunks(let source) = operands[0].kind, source.count == list.count {
      // In place, what lies there already needs no moving.
      let moving = list.indices.filter { list[$0] != source[$0] }
      list = moving.map { list[$0] }
      operands = [.chunks(moving.map { source[$0] })]
    }
    if list.isEmpty { return }
    reduce(list, operands, order: fold.order, completes: fold.completes && renaming.embedding.completes)
  }
}

/// Translates the chunks of a part to those of the whole.
private struct Renaming {
  let part: Schedule
  let embedding: Embedding
  let firstScratch: Int
  /// Neighbours are joined where that depends on their numbers alone, which both ends of a message share.
  private let joins: Bool

  init(_ part: Schedule, _ embedding: Embedding, firstScratch: Int) {
    self.part = part
    self.embedding = embedding
    self.firstScratch = firstScratch
    joins = part.collective != .allToAll && !part.equalBlocks
  }

  private func buffer(_ buffer: Buffer) -> Buffer {
    switch buffer {
    case .input: embedding.input
    case .output: embedding.output
    case .scratch(let index): .scratch(firstScratch + index)
    }
  }

  /// Whether all ranges of a message lie in scratch that keeps its numbers.
  private func keeps(_ message: Message) -> Bool { embedding.keepsScratch && part.ranges(message).allSatisfy(\.isScratch) }

  /// Whether all ranges of a combine lie in scratch that keeps its numbers.
  func keeps(_ fold: Fold, into message: Message) -> Bool {
    keeps(message)
      && fold.sources.allSatisfy { source in
        switch source {
        case .chunks(let operand): keeps(operand)
        case .slot: true
        }
      }
  }

  /// The ranges of a message; none where nothing of it exists.
  ///
  /// - Parameter splits: Whether ranges that keep their numbers are listed chunk by chunk, to match others that are renamed;
  ///   nil does so where the message itself has a range that is renamed.
  func ranges(_ message: Message, splits: Bool? = nil) -> [ChunkRange] {
    let splits = splits ?? !keeps(message)
    var list: [ChunkRange] = []
    for range in part.ranges(message) {
      let buffer = buffer(range.buffer)
      if embedding.keepsScratch, range.isScratch {
        let pieces = splits ? range.chunks.map { $0..<$0 + 1 } : [range.chunks]
        list += pieces.map { ChunkRange(buffer, $0) }
        continue
      }
      let first = list.count
      for chunks in range.chunks.lazy.flatMap(embedding.chunks) {
        if chunks.isEmpty { continue }
        if joins, list.count > first, list[list.count - 1].chunks.upperBound == chunks.lowerBound {
          list[list.count - 1].chunks = list[list.count - 1].chunks.lowerBound..<chunks.upperBound
        } else {
          list.append(ChunkRange(buffer, chunks))
        }
      }
    }
    return list
  }

  /// The operands of a combine. A slot that does not exist becomes one in which nothing was received.
  func operands(
    _ fold: Fold, _ slots: [Slot: ScheduleBuilder.Operand], splits: Bool? = nil
  ) -> [ScheduleBuilder.Operand] {
    fold.sources.map { source in
      switch source {
      case .chunks(let message): .chunks(ranges(message, splits: splits))
      case .slot(let slot): slots[slot] ?? ScheduleBuilder.Operand(.slot(Slot(index: -1)))
      }
    }
  }
}

extension ChunkRange {
  fileprivate var isScratch: Bool {
    switch buffer {
    case .scratch: true
    case .input, .output: false
    }
  }
}
