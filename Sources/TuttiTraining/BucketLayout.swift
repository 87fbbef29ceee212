/// Says in which bucket each parameter's gradient is, and where. It is a pure function of sizes, order and limits, so that
/// all ranks have the same layout.
///
/// The gradients of all buckets lie in one piece of memory, bucket after bucket, in the order in which they become ready.
/// Each begins at a cache line; what is between them stays zero and is reduced along.
///
/// Buckets grow from the first, each a quarter of those before it together, so that the network is never idle for long once
/// it has begun; and shrink towards the last, each a quarter of what is left, so that little is still to be sent when the
/// computation ends.
///
/// - SeeAlso: Li et al., PyTorch Distributed, VLDB 2020: buckets in reverse order of the forward pass, rebuilt once.
struct BucketLayout: Equatable, Sendable {
  /// A run of memory that is reduced as one.
  struct Bucket: Equatable, Sendable {
    /// The parameters, in the order in which they lie there.
    let parameters: [Int]
    /// The elements of the memory, gaps included.
    let range: Range<Int>
    /// The priority: the lower the number, the sooner the next forward pass needs the bucket.
    let priority: Int
  }

  /// All parameters, in the order in which their gradients become ready.
  let order: [Int]
  /// The buckets, in that order.
  let buckets: [Bucket]
  /// By parameter: its bucket.
  let bucketOf: [Int]
  /// By parameter: where its elements lie in the memory.
  let ranges: [Range<Int>]
  /// The number of elements of all buckets.
  let count: Int

  /// - Parameters:
  ///   - counts: The number of elements of each parameter.
  ///   - order: A permutation of the parameters.
  ///   - maximum, first, last: The largest number of elements of any bucket, of the first and of the last. A larger
  ///     parameter has a bucket of its own.
  ///   - alignment: The number of elements of a cache line.
  init(counts: [Int], order: [Int], maximum: Int, first: Int, last: Int, alignment: Int) {
    precondition(order.sorted() == Array(counts.indices), "the order is not a permutation of the parameters")
    let padded = counts.map { ($0 + alignment - 1) / alignment * alignment }
    var groups: [[Int]] = []
    var groupCount = 0
    var limit = 0
    var rest = padded.reduce(0, +)
    var done = 0
    for parameter in order {
      // Parameters without elements join whatever bucket is there.
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

  /// The number of elements of each rank's shard of a bucket: as equal as whole cache lines allow, with fewer or none for
  /// the last ranks.
  func shardCounts(_ bucket: Int, rankCount: Int, alignment: Int) -> [Int] {
    let total = buckets[bucket].range.count
    let lines = (total + alignment - 1) / alignment
    let shard = (lines + rankCount - 1) / rankCount * alignment
    return (0..<rankCount).map { max(0, min(total, ($0 + 1) * shard) - $0 * shard) }
  }
}
