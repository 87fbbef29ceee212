// Which samples each rank trains on at each step. Invariant: the ranks together process exactly the batch that one process
// would, for any rank count, so that the rank count changes the speed of a run and not its result.

import SeededRandom

/// The order of samples: in each epoch every sample exactly once, shuffled anew from seed and epoch.
///
/// Everything follows from the seed and the global step, which counts from 0 over all epochs: a run that resumes at step
/// 1000 asks for step 1000, and needs no state of the run before. Steps do not cross epochs: when `batchSize` does not
/// divide `sampleCount`, the last batch of an epoch is smaller, so average over ``globalBatchCount(step:)``.
public struct Sampler: Sendable {
  public let sampleCount: Int
  /// Samples in a batch of all ranks together.
  public let batchSize: Int
  public let seed: UInt64
  /// The last epoch's order; what is returned never depends on what was asked before.
  private var cached: (epoch: Int, order: [Int]) = (-1, [])

  /// - Precondition: Both counts are positive.
  public init(sampleCount: Int, batchSize: Int, seed: UInt64) {
    precondition(sampleCount > 0 && batchSize > 0, "a sampler needs samples and a batch size")
    self.sampleCount = sampleCount
    self.batchSize = batchSize
    self.seed = seed
  }

  public var stepsPerEpoch: Int { (sampleCount - 1) / batchSize + 1 }

  public func epoch(step: Int) -> Int { step / stepsPerEpoch }

  /// Samples in the batch of all ranks at this step: `batchSize`, or what is left at the end of an epoch.
  public func globalBatchCount(step: Int) -> Int { range(step: step).count }

  /// The indices of the samples that all ranks together process at this step.
  ///
  /// - Complexity: O(`batchSize`), and O(`sampleCount`) when the step lies in another epoch than the one asked for before.
  public mutating func globalBatch(step: Int) -> [Int] {
    let epoch = epoch(step: step)
    if cached.epoch != epoch {
      var random = SplitMix64(seed: seed, stream: UInt64(2 * epoch))
      cached = (epoch, random.permutation(sampleCount))
    }
    return Array(cached.order[range(step: step)])
  }

  /// The part of the global batch that this rank processes: contiguous, and in the order of ranks. Sizes differ by at most
  /// one, the first ranks' are the larger ones; with more ranks than samples the last ranks have none.
  public mutating func batch(step: Int, rank: Int, rankCount: Int) -> [Int] {
    let global = globalBatch(step: step)
    return Array(global[Sampler.share(of: global.count, rank: rank, rankCount: rankCount)])
  }

  /// Which of `count` things are this rank's, when all ranks divide them: for batches, and for evaluation.
  public static func share(of count: Int, rank: Int, rankCount: Int) -> Range<Int> {
    precondition(rank >= 0 && rank < rankCount, "rank \(rank) is not in 0..<\(rankCount)")
    let (quotient, remainder) = count.quotientAndRemainder(dividingBy: rankCount)
    let start = rank * quotient + min(rank, remainder)
    return start..<start + quotient + (rank < remainder ? 1 : 0)
  }

  /// A number in `0..<bound` for each epoch: where the windows of a text begin
  /// (``TokenSequence/windows(_:context:shift:)``).
  public func shift(step: Int, below bound: Int) -> Int {
    var random = SplitMix64(seed: seed, stream: UInt64(2 * epoch(step: step) + 1))
    return random.next(below: bound)
  }

  private func range(step: Int) -> Range<Int> {
    precondition(step >= 0, "steps count from 0")
    let start = step % stepsPerEpoch * batchSize
    return start..<min(start + batchSize, sampleCount)
  }
}
