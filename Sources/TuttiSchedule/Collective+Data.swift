// A collective as data: what each rank's buffers hold before it, and what they must hold after it. Lowering and the verifier
// read this; nothing else says what a collective is.

extension Collective {
  /// Which part of the data a buffer has room for.
  package enum Part: Hashable, Sendable {
    case nothing, whole
    /// The rank's own block.
    case block
  }

  /// What the caller gives on this rank.
  package func input(of rank: Int, root: Int) -> Part {
    switch self {
    case .allReduce, .barrier, .reduceScatter, .reduce, .allToAll: .whole
    case .allGather, .gather: .block
    case .broadcast, .scatter: rank == root ? .whole : .nothing
    }
  }

  /// What the caller gets on this rank.
  package func output(of rank: Int, root: Int) -> Part {
    switch self {
    case .allReduce, .barrier, .allGather, .broadcast, .allToAll: .whole
    case .reduceScatter, .scatter: .block
    case .reduce, .gather: rank == root ? .whole : .nothing
    }
  }

  /// What an output chunk must hold at the end.
  package enum Result: Hashable, Sendable {
    /// The same chunk of all ranks' inputs, each exactly once.
    case combined
    /// A copy of a chunk of one rank's input.
    case copy(rank: Int, chunk: Int)
  }

  /// What a chunk of a rank's output must hold at the end.
  package func result(rank: Int, chunk: Int, rankCount: Int, root: Int, chunkCount: Int) -> Result {
    let perBlock = max(chunkCount / rankCount, 1)
    return switch self {
    case .allReduce, .barrier, .reduceScatter, .reduce: .combined
    case .allGather, .gather: .copy(rank: chunk / perBlock, chunk: chunk)
    case .broadcast, .scatter: .copy(rank: root, chunk: chunk)
    case .allToAll: .copy(rank: chunk / perBlock, chunk: rank * perBlock + chunk % perBlock)
    }
  }
}

extension Schedule {
  /// The chunks that a part of the data has on this rank.
  package func chunks(_ part: Collective.Part) -> Range<Int> {
    switch part {
    case .nothing: return 0..<0
    case .whole: return 0..<chunkCount
    case .block:
      let perBlock = chunkCount / rankCount
      return rank * perBlock..<(rank + 1) * perBlock
    }
  }

  /// The chunks of the caller's input on this rank.
  package var inputChunks: Range<Int> { chunks(collective.input(of: rank, root: root)) }
  /// The chunks of the caller's output on this rank.
  package var outputChunks: Range<Int> { chunks(collective.output(of: rank, root: root)) }

  /// Two chunks have equal sizes in every chunk map exactly when these numbers are equal; nil where nothing can be said.
  ///
  /// An all-to-all's chunk on rank r has the size that r and another rank agreed on; everywhere else a chunk's number
  /// determines its size.
  func sizeClass(_ buffer: Buffer, _ chunk: Int) -> Int? {
    guard collective == .allToAll || equalBlocks else { return chunk }
    let perBlock = max(chunkCount / rankCount, 1)
    if equalBlocks { return chunk % perBlock }
    let (block, part) = (chunk / perBlock, chunk % perBlock)
    switch buffer {
    case .input: return (rank * rankCount + block) * perBlock + part
    case .output: return (block * rankCount + rank) * perBlock + part
    case .scratch: return nil
    }
  }
}
