/// Which bucket each parameter's gradient is in, and where: a pure function of sizes, order and limits, so that all ranks have the same.
///
/// The gradients of all buckets lie in one piece of memory, bucket after bucket, in the order in which they become ready. Each begins at a
/// cache line; what is between them stays zero and is reduced along.
///
/// Buckets grow from the first, each a quarter of those before it together, so that the network is never idle for long once it has begun; and
/// shrink towards the last, each a quarter of what is left, so that little is still to be sent when the computation ends.
///
/// - SeeAlso: Li et al., PyTorch Distributed, VLDB 2020: buckets in reverse order of the forward pass, rebuilt once.
struct BucketLayout: Equatable, Sendable {
  /// A run of memory that is reduced as one.
  struct Bucket: Equatable, Sendable {
    /// Parameters, as they lie there.
    let parameters: [Int]
    /// Elements of the memory, with the gaps.
    let range: Range<Int>
    /// The less, the sooner the next forward pass needs it.
    let priority: Int
  }

  /// All parameters, in the order in which their gradients become ready.
  let order: [Int]
  /// In that order.
  let buckets: [Bucket]
  /// By parameter: its bucket.
  let bucketOf: [Int]
  /// By parameter: its elements' place in the memory.
  let ranges: [Range<Int>]
  /// Elements of all buckets.
  let count: Int

  /// - Parameters:
  ///   - counts: Elements of each parameter.
  ///   - order: A permutation of the parameters.
  ///   - maximum, first, last: Elements of a bucket at most, of the first and of the last; a larger parameter has a bucket of its own.
  ///   - alignment: Elements of a cache line.
  init(counts: [Int], order: [Int], maximum: Int, first: Int, last: Int, alignment: Int) {
    precondition(order.sorted() == Array(counts.indices), "the order is no permutation of the parameters")
    let padded = counts.map { ($0 + alignment - 1) / alignment * alignment }
    var groups: [[Int]] = []
    var groupCount = 0
    var limit = 0
    var rest = padded.reduce(0, +)
    var done = 0
    for parameter in order {
      // Parameters without elements travel with whoever is there.
      if groups.isEmpty || groupCount > 0 && groupCount + padded[parameter] > limit {
        done += groupCount
        rest -= groupCount
        limit = min(maximum, max(first, done / 4), max(last, rest / 4))
        groups.append([])
        groupCount = 0
      }
      groups[groups.count - 1].append(parameter)
      groupCount += padded[parameter]
    }

    var buckets: [Bucket] = []
    var bucketOf = Array(repeating: 0, count: counts.count)
    var ranges = Array(repeating: 0..<0, count: counts.count)
    var end = 0
    for group in groups {
      let start = end
      for parameter in group {
        bucketOf[parameter] = buckets.count
        ranges[parameter] = end..<end + counts[parameter]
        end += padded[parameter]
      }
      buckets.append(Bucket(parameters: group, range: start..<end, priority: group.min()!))
    }
    (self.order, self.buckets, self.bucketOf, self.ranges, count) = (order, buckets, bucketOf, ranges, end)
  }

  /// Elements of each rank's shard of a bucket: as equal as whole cache lines allow, the last ones' less or none.
  func shardCounts(_ bucket: Int, rankCount: Int, alignment: Int) -> [Int] {
    let total = buckets[bucket].range.count
    let lines = (total + alignment - 1) / alignment
    let shard = (lines + rankCount - 1) / rankCount * alignment
    return (0..<rankCount).map { max(0, min(total, ($0 + 1) * shard) - $0 * shard) }
  }
}
