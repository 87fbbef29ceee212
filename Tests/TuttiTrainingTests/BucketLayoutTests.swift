import Testing
import TuttiTesting

@testable import TuttiTraining

/// Buckets as a pure function.
@Suite struct BucketLayoutTests {
  private func layout(_ counts: [Int], order: [Int]? = nil, maximum: Int = 100, first: Int = 16, last: Int = 16)
    -> BucketLayout
  {
    BucketLayout(
      counts: counts, order: order ?? counts.indices.reversed(), maximum: maximum, first: first, last: last, alignment: 4)
  }

  @Test func smallModelsHaveOneBucket() {
    #expect(layout([4, 4, 3]).buckets.map(\.parameters) == [[2, 1, 0]])
    #expect(layout([0]).buckets.map(\.parameters) == [[0]])
    #expect(layout([0, 0, 0]).count == 0)
  }

  /// Each a quarter of those before together at most, and a quarter of what is left.
  @Test func bucketsGrowAndShrink() {
    let sizes = layout(Array(repeating: 4, count: 64), maximum: 80, first: 4, last: 4).buckets.map { $0.parameters.count }
    #expect(sizes == [1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 6, 4, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1])
    #expect(
      layout(Array(repeating: 4, count: 64), maximum: 32, first: 4, last: 4).buckets.allSatisfy { $0.range.count <= 32 })
  }

  @Test func aLargeParameterHasABucketOfItsOwn() {
    #expect(layout([8, 1000, 8, 8]).buckets.map(\.parameters) == [[3, 2], [1], [0]])
  }

  @Test func memoryHasNoOverlapAndNoWaste() {
    var generator = SeededGenerator(seed: testSeed("memoryHasNoOverlapAndNoWaste"))
    for _ in 0..<200 {
      let counts = (0..<Int.random(in: 1...40, using: &generator)).map { _ in Int.random(in: 0...60, using: &generator) }
      let order = counts.indices.shuffled(using: &generator)
      let made = layout(counts, order: order, maximum: Int.random(in: 1...120, using: &generator))
      var comment: Comment { "counts \(counts), order \(order)" }
      #expect(made.buckets.flatMap(\.parameters) == order, comment)
      #expect(made.buckets.first?.range.lowerBound == 0 && made.buckets.last?.range.upperBound == made.count, comment)
      #expect(made.count == counts.reduce(0) { $0 + ($1 + 3) / 4 * 4 }, comment)
      for (index, bucket) in made.buckets.enumerated() {
        if index > 0 { #expect(bucket.range.lowerBound == made.buckets[index - 1].range.upperBound, comment) }
        for parameter in bucket.parameters {
          #expect(made.bucketOf[parameter] == index && made.ranges[parameter].count == counts[parameter], comment)
          #expect(
            made.ranges[parameter].clamped(to: bucket.range) == made.ranges[parameter] || counts[parameter] == 0, comment)
          #expect(made.ranges[parameter].lowerBound % 4 == 0, comment)
        }
        for ranks in 1...9 {
          let shards = made.shardCounts(index, rankCount: ranks, alignment: 4)
          #expect(shards.reduce(0, +) == bucket.range.count && shards.min()! >= 0, comment)
          #expect(shards == shards.sorted(by: >), comment)
        }
      }
    }
  }
}
