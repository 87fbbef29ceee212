import TuttiSchedule

/// The ranks of groups that form a grid: all groups of a level are of one size, so that each level is a dimension.
///
/// Collectives go along one dimension after the other, in rings. The first one carries all of the data, and each further one
/// carries a part that is smaller by the size of the one before. To keep the links of all dimensions busy at once, the data
/// is cut into as many *parts*, each of which takes the dimensions in another order, on a channel of its own.
struct TorusGrid {
  struct Dimension: Hashable {
    /// Its ranks are in one group of this level, and in different ones of the next.
    var level: Int
    /// How many ranks its rings have; at least 2.
    var size: Int
    /// How far apart neighbours are in topology order.
    var stride: Int
  }

  let grouping: Grouping
  /// From the innermost on, which carries most of the data where there is one part. A level that divides nothing is none.
  let dimensions: [Dimension]
  let partCount: Int

  /// - Parameter atOnce: Whether there is a part for each dimension; otherwise there is one.
  init(_ grouping: Grouping, atOnce: Bool) {
    self.grouping = grouping
    let sizes = (0..<grouping.levelCount).map { grouping.groupSizes(at: $0).lowerBound } + [1]
    dimensions = (0..<grouping.levelCount).reversed().compactMap { level in
      let size = sizes[level] / sizes[level + 1]
      return size < 2 ? nil : Dimension(level: level, size: size, stride: sizes[level + 1])
    }
    partCount = atOnce ? max(dimensions.count, 1) : 1
  }

  /// Whether there are groups, and they form a grid.
  static func isGrid(_ grouping: Grouping) -> Bool {
    grouping.levelCount >= 2
      && (1..<grouping.levelCount).allSatisfy {
        grouping.groupSizes(at: $0).lowerBound == grouping.groupSizes(at: $0).upperBound
      }
  }

  /// The dimensions in the order in which a part takes them in a reduce-scatter; an all-gather goes back.
  func order(of part: Int) -> [Dimension] { Array(dimensions[part...] + dimensions[..<part]) }

  /// How the chunks of a part are numbered.
  enum Numbering {
    /// A rank's block is a chunk of each part, one after the other.
    case byRank
    /// Each part has its chunks in the order in which the dimensions cut it, so that what travels is contiguous.
    case byCut
  }

  /// A ring along one dimension, for one rank and one part.
  private struct Ring {
    var dimension: Dimension
    var index: Int
    var embedding: Embedding
  }

  /// Gives the ring that a part takes in a phase: block k of the ring is all that agrees with the rank in the dimensions of
  /// the phases before, and is k in this one.
  private func ring(of part: Int, phase: Int, _ rank: Int, _ numbering: Numbering) -> Ring {
    let place = grouping.place(of: rank)
    let order = order(of: part)
    let dimension = order[phase]
    func index(_ dimension: Dimension) -> Int { place / dimension.stride % dimension.size }
    /// The place of the ring's first member.
    let first = place - index(dimension) * dimension.stride
    let rest = order[(phase + 1)...]
    let chunks: (Int) -> [Range<Int>]
    switch numbering {
    case .byRank:
      let origin = rest.reduce(first) { $0 - index($1) * $1.stride }
      // Ascending, as far as ranks are numbered in this order.
      let places = rest.sorted { $0.stride < $1.stride }.reduce([origin]) { places, dimension in
        (0..<dimension.size).flatMap { step in places.map { $0 + step * dimension.stride } }
      }
      chunks = { member in
        places.map { place in
          let chunk = grouping.rank(at: place + member * dimension.stride) * partCount + part
          return chunk..<chunk + 1
        }
      }
    case .byCut:
      let width = rest.reduce(1) { $0 * $1.size }
      let start = order[..<phase].reduce(0) { $0 * $1.size + index($1) } * dimension.size
      let offset = part * grouping.rankCount
      chunks = { [offset + (start + $0) * width..<offset + (start + $0 + 1) * width] }
    }
    let embedding = Embedding(
      ranks: { grouping.rank(at: first + $0 * dimension.stride) }, scattered: chunks, scratch: 0, channel: part)
    return Ring(dimension: dimension, index: index(dimension), embedding: embedding)
  }

  /// Adds the reduce-scatter, from the input to the rank's own chunk of each part in `result`; partial results are in
  /// `sums`, which may be the first scratch buffer or the output.
  ///
  /// Parts are written phase by phase, in the order in which they need a link.
  func addReduceScatter(_ program: inout ScheduleBuilder, sums: Buffer, result: Buffer, _ numbering: Numbering) {
    for phase in dimensions.indices {
      for part in 0..<partCount {
        var ring = ring(of: part, phase: phase, program.rank, numbering)
        let isLast = phase == dimensions.count - 1
        ring.embedding.input = phase == 0 ? .input : sums
        ring.embedding.output = isLast ? result : sums
        ring.embedding.completes = isLast
        program.append(
          RingReduceScatter().schedule(for: .flat(rank: ring.index, rankCount: ring.dimension.size)), ring.embedding)
      }
    }
  }

  /// Adds the all-gather, from the rank's own chunk of each part, in `own`, to all of them in the output.
  func addAllGather(_ program: inout ScheduleBuilder, own: Buffer, _ numbering: Numbering) {
    for phase in dimensions.indices.reversed() {
      for part in 0..<partCount {
        var ring = ring(of: part, phase: phase, program.rank, numbering)
        ring.embedding.input = phase == dimensions.count - 1 ? own : .output
        program.append(
          RingAllGather().schedule(for: .flat(rank: ring.index, rankCount: ring.dimension.size)), ring.embedding)
      }
    }
  }

  /// What a reduce-scatter or an all-gather costs; with `phases` 2, both.
  func cost(phases: Int) -> AlgorithmCost {
    let rankCount = grouping.rankCount
    var levels = (0..<grouping.levelCount).map { _ in AlgorithmCost.Level.nothing }
    for dimension in dimensions {
      let messages = phases * (dimension.size - 1)
      // A part's data is cut by the dimensions that it takes before this one.
      let volume = (0..<partCount).reduce(0.0) { sum, part in
        let before = order(of: part).prefix { $0 != dimension }.reduce(1) { $0 * $1.size }
        return sum + Double(messages) / Double(before * dimension.size * partCount)
      }
      levels[dimension.level] = AlgorithmCost.Level(
        rounds: messages, messages: messages * partCount, volume: volume, totalMessages: messages * partCount * rankCount,
        totalVolume: volume * Double(rankCount))
    }
    return AlgorithmCost(levels: levels)
  }
}
