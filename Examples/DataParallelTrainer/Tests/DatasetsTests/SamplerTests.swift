import SeededRandom
import Testing

@testable import Datasets

@Suite struct SamplerTests {
  private static let shapes = [(1, 1), (1, 8), (7, 7), (20, 6), (64, 16), (101, 10), (1442, 64)]

  @Test(arguments: shapes) func everySampleIsSeenOnceAnEpoch(sampleCount: Int, batchSize: Int) {
    var sampler = Sampler(sampleCount: sampleCount, batchSize: batchSize, seed: 7)
    for epoch in 0..<3 {
      let steps = epoch * sampler.stepsPerEpoch..<(epoch + 1) * sampler.stepsPerEpoch
      let batches = steps.map { sampler.globalBatch(step: $0) }
      #expect(batches.joined().sorted() == Array(0..<sampleCount))
      #expect(batches.dropLast().allSatisfy { $0.count == batchSize } && !batches.last!.isEmpty)
      #expect(batches.map(\.count) == steps.map { sampler.globalBatchCount(step: $0) })
      #expect(steps.allSatisfy { sampler.epoch(step: $0) == epoch })
    }
  }

  @Test(arguments: shapes, 1...7) func ranksTogetherAreOneProcess(shape: (sampleCount: Int, batchSize: Int), rankCount: Int)
  {
    var sampler = Sampler(sampleCount: shape.sampleCount, batchSize: shape.batchSize, seed: 3)
    for step in 0..<min(sampler.stepsPerEpoch * 2, 20) {
      let parts = (0..<rankCount).map { rank in
        // A sampler of its own, as each process has.
        var own = Sampler(sampleCount: shape.sampleCount, batchSize: shape.batchSize, seed: 3)
        return own.batch(step: step, rank: rank, rankCount: rankCount)
      }
      #expect(Array(parts.joined()) == sampler.globalBatch(step: step))
      let sizes = parts.map(\.count)
      #expect(sizes.max()! - sizes.min()! <= 1 && sizes == sizes.sorted(by: >))
    }
  }

  @Test func ordersFollowSeedAndEpoch() {
    func order(seed: UInt64, epoch: Int) -> [Int] {
      var sampler = Sampler(sampleCount: 100, batchSize: 100, seed: seed)
      return sampler.globalBatch(step: epoch)
    }
    #expect(order(seed: 1, epoch: 0) == order(seed: 1, epoch: 0))
    #expect(order(seed: 1, epoch: 0) != order(seed: 2, epoch: 0))
    #expect(order(seed: 1, epoch: 0) != order(seed: 1, epoch: 1))
    #expect(order(seed: 1, epoch: 0) != Array(0..<100))
  }

  /// Also between two runs of one program, and on another machine: the order is a constant.
  @Test func theOrderNeverChanges() {
    var sampler = Sampler(sampleCount: 10, batchSize: 5, seed: 42)
    #expect((0..<4).map { sampler.globalBatch(step: $0) } == SamplerTests.knownOrder)
  }

  private static let knownOrder = [[5, 1, 9, 6, 7], [2, 4, 0, 8, 3], [6, 1, 5, 7, 4], [8, 3, 2, 9, 0]]

  @Test func aRunResumesAtAnyStep() {
    var whole = Sampler(sampleCount: 50, batchSize: 8, seed: 11)
    let batches = (0..<30).map { whole.globalBatch(step: $0) }
    for start in [0, 1, 6, 7, 13, 29] {
      var resumed = Sampler(sampleCount: 50, batchSize: 8, seed: 11)
      #expect((start..<30).map { resumed.globalBatch(step: $0) } == Array(batches[start...]))
    }
    // In any order of asking.
    for step in [29, 3, 14, 14, 0, 28] { #expect(whole.globalBatch(step: step) == batches[step]) }
  }

  @Test func shiftsStayBelowTheirBoundAndChangeWithTheEpoch() {
    let sampler = Sampler(sampleCount: 4, batchSize: 2, seed: 5)
    let shifts = (0..<400).map { sampler.shift(step: $0, below: 16) }
    #expect(Set(shifts) == Set(0..<16))
    #expect(stride(from: 0, to: 400, by: 2).allSatisfy { shifts[$0] == shifts[$0 + 1] })
    #expect(sampler.shift(step: 9, below: 1) == 0)
  }

  @Test func sharesCoverEverything() {
    for count in 0...20 {
      for rankCount in 1...9 {
        let shares = (0..<rankCount).map { Sampler.share(of: count, rank: $0, rankCount: rankCount) }
        #expect(shares.first!.lowerBound == 0 && shares.last!.upperBound == count)
        #expect(zip(shares, shares.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
      }
    }
  }

  /// The first numbers for this seed, from the algorithm's published reference implementation.
  @Test func splitMix64IsTheRealOne() {
    var random = SplitMix64(seed: 1_234_567)
    let numbers = (0..<5).map { _ in random.next() }
    #expect(
      numbers == [
        6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423, 4_593_380_528_125_082_431,
        16_408_922_859_458_223_821,
      ])
  }

  @Test func permutationsAreFair() {
    // Each of the 24 orders of four comes about as often: 1000 times, and the limit is 5 standard deviations away.
    var random = SplitMix64(seed: 99)
    var counts: [[Int]: Int] = [:]
    for _ in 0..<24_000 { counts[random.permutation(4), default: 0] += 1 }
    #expect(counts.count == 24 && counts.values.allSatisfy { abs($0 - 1000) < 155 })
    #expect(random.permutation(0).isEmpty && random.permutation(1) == [0])
  }
}
