import TuttiSchedule

/// An all-reduce over groups of ranks, composed of any three algorithms: a reduce-scatter inside each group, an all-reduce
/// of each shard across the groups, an all-gather inside each group.
///
/// The data is cut into as many shards as the smallest group has ranks. Shard s belongs to member s of each group: these
/// reduce it across. A member beyond those owns none: its block of the inner collectives has no data, so it gives its input,
/// passes on what the inner algorithm tells it to, and gets the result. Only a shard of the data crosses from group to
/// group, and what one group has reduced crosses while it reduces the rest.
///
/// All results are folded inside groups first, in the order of the members, then across, in the order of the groups.
public struct HierarchicalAllReduce: Algorithm {
  public let name: String
  public var collective: Collective { .allReduce }
  private let level: Int
  private let reduceScatter: any Algorithm
  private let allReduce: any Algorithm
  private let allGather: any Algorithm

  /// - Parameters:
  ///   - level: The level whose groups are meant, from 1 on.
  ///   - reduceScatter: The algorithm inside, first; one that serves blocks of any sizes.
  ///   - allReduce: The algorithm across.
  ///   - allGather: The algorithm inside, last; one that serves blocks of any sizes.
  public init(
    name: String, level: Int = 1, reduceScatter: any Algorithm, allReduce: any Algorithm, allGather: any Algorithm
  ) {
    precondition(
      reduceScatter.collective == .reduceScatter && allReduce.collective == .allReduce && allGather.collective == .allGather,
      "\(name) is composed of a reduce-scatter, an all-reduce and an all-gather")
    self.name = name
    self.level = level
    self.reduceScatter = reduceScatter
    self.allReduce = allReduce
    self.allGather = allGather
  }

  public func isDefined(for grouping: Grouping) -> Bool {
    guard level > 0, level < grouping.levelCount,
      allReduce.isDefined(for: Grouping(rankCount: grouping.groupCount(at: level)))
    else { return false }
    let sizes = Set((0..<grouping.groupCount(at: level)).lazy.map { grouping.group($0, at: level).count })
    return sizes.allSatisfy { size in
      let members = Grouping(rankCount: size)
      return [reduceScatter, allGather].allSatisfy { inner in
        inner.isDefined(for: members) && !inner.schedule(for: members.position(of: 0)).equalBlocks
      }
    }
  }

  public func schedule(for position: Position) -> Schedule {
    let grouping = position.grouping
    let (group, index) = (position.group(at: level), position.index(at: level))
    let groupCount = grouping.groupCount(at: level)
    let shardCount = grouping.groupSizes(at: level).lowerBound
    let outside = allReduce.schedule(for: .flat(rank: group.number, rankCount: groupCount))
    // The outer algorithm cuts a shard into its chunks; a block of the inner ones is a shard.
    let perShard = outside.chunkCount
    func shard(_ index: Int) -> Range<Int> { index * perShard..<(index + 1) * perShard }

    var program = ScheduleBuilder(.allReduce, for: position, chunkCount: shardCount * perShard)
    let inside = Position.flat(rank: index, rankCount: group.count)
    var embedding = Embedding(ranks: { group[$0] }, chunks: { $0..<$0 }, completes: groupCount == 1)
    let scattered = reduceScatter.schedule(for: inside)
    embedding.chunks = blocks(of: scattered, of: group.count, shardCount: shardCount, perShard: perShard)
    program.append(scattered, embedding)
    if index < shardCount {
      program.append(
        outside,
        Embedding(
          ranks: { grouping.group($0, at: level)[index] },
          chunks: { shard(index).lowerBound + $0..<shard(index).lowerBound + $0 + 1 }, input: .output, completes: true))
    }
    // On a channel of its own, so that what is complete leaves while the rest is still being reduced.
    let gathered = allGather.schedule(for: inside)
    embedding.chunks = blocks(of: gathered, of: group.count, shardCount: shardCount, perShard: perShard)
    embedding.input = .output
    embedding.channel = 1
    program.append(gathered, embedding)
    return program.finish()
  }

  /// Maps a chunk of an inner algorithm to its part of its block's shard, and to nothing where the block's member owns none.
  private func blocks(
    of inner: Schedule, of memberCount: Int, shardCount: Int, perShard: Int
  ) -> (Int) -> Range<Int> {
    let perBlock = max(1, inner.chunkCount / memberCount)
    return { chunk in
      let (block, part) = chunk.quotientAndRemainder(dividingBy: perBlock)
      guard block < shardCount else { return 0..<0 }
      return block * perShard + part * perShard / perBlock..<block * perShard + (part + 1) * perShard / perBlock
    }
  }

  /// The outer algorithm's cost for a shard, and the inner ones' for the largest group.
  public func cost(for grouping: Grouping) -> AlgorithmCost? {
    let groupCount = grouping.groupCount(at: level)
    let sizes = grouping.groupSizes(at: level)
    let members = Grouping(rankCount: sizes.upperBound)
    guard let across = allReduce.cost(for: Grouping(rankCount: groupCount))?.levels.first,
      let first = reduceScatter.cost(for: members)?.levels.first, let last = allGather.cost(for: members)?.levels.first
    else { return nil }
    let shards = sizes.lowerBound
    let outer = AlgorithmCost.Level(
      rounds: across.rounds, messages: across.messages, volume: across.volume / Double(shards),
      totalMessages: across.totalMessages * shards, totalVolume: across.totalVolume)
    var inner = first + last
    inner.totalMessages *= groupCount
    inner.totalVolume *= Double(groupCount)
    let nothing = AlgorithmCost.Level(rounds: 0, messages: 0, volume: 0, totalMessages: 0, totalVolume: 0)
    return AlgorithmCost(levels: [outer] + Array(repeating: nothing, count: level - 1) + [inner])
  }
}
