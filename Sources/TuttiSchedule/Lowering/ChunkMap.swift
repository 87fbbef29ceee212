/// Gives each chunk its offset and size in the buffers: schedules never see element counts, plans never see chunks.
///
/// Chunk c holds elements `offsets[c] ..< offsets[c + 1]`. Counts may be 0.
package struct ChunkMap: Hashable, Sendable {
  /// `chunkCount + 1` element offsets, ascending from 0.
  package let offsets: [UInt64]

  package init(offsets: [UInt64]) {
    precondition(offsets.first == 0 && zip(offsets, offsets.dropFirst()).allSatisfy(<=))
    self.offsets = offsets
  }

  /// Cuts `count` elements into chunks as equal as possible, on multiples of `granule` elements where there are enough.
  ///
  /// - Parameter granule: Elements in a cache line, so that two ranks do not write one line; at least 1.
  package init(balanced count: UInt64, chunkCount: Int, granule: UInt64 = 1) {
    let chunks = UInt64(chunkCount)
    let unit = count >= chunks * granule * 4 ? granule : 1
    let (quotient, remainder) = (count / unit).quotientAndRemainder(dividingBy: chunks)
    var offsets: [UInt64] = [0]
    offsets.reserveCapacity(chunkCount + 1)
    for chunk in 0..<chunks { offsets.append(offsets.last! + (quotient + (chunk < remainder ? 1 : 0)) * unit) }
    offsets[chunkCount] = count
    self.offsets = offsets
  }

  /// Cuts each block into chunks as ``init(balanced:chunkCount:granule:)`` cuts the whole.
  ///
  /// - Parameter blocks: Elements of each rank's block; their sum is at most 2^64 - 1.
  package init(blocks: [UInt64], chunksPerBlock: Int, granule: UInt64 = 1) {
    var offsets: [UInt64] = [0]
    offsets.reserveCapacity(blocks.count * chunksPerBlock + 1)
    for block in blocks {
      let start = offsets.last!
      if chunksPerBlock == 1 {
        offsets.append(start + block)
      } else {
        let parts = ChunkMap(balanced: block, chunkCount: chunksPerBlock, granule: granule)
        for offset in parts.offsets.dropFirst() { offsets.append(start + offset) }
      }
    }
    self.offsets = offsets
  }

  package var chunkCount: Int { offsets.count - 1 }
  package var count: UInt64 { offsets.last! }
}

/// Where chunks lie in the buffers of one rank. Input and output differ only in an all-to-all of unequal blocks, where the
/// input is cut by what the rank sends and the output by what it receives. Scratch is laid out as the input.
package struct DataLayout: Hashable, Sendable {
  package let input: ChunkMap
  package let output: ChunkMap

  package init(_ map: ChunkMap) { self.init(input: map, output: map) }

  package init(input: ChunkMap, output: ChunkMap) {
    self.input = input
    self.output = output
  }
}
