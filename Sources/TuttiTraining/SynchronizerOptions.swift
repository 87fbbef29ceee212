import Tutti

/// What becomes of the ranks' gradients.
public enum GradientReduction: String, Sendable, CaseIterable {
  /// Their sum, divided by the rank count.
  case average
  /// Their sum: for gradients that are already scaled by the global batch, which also suits ranks with batches of different sizes.
  case sum
}

/// Who gets the reduced gradients.
public enum GradientSharding: String, Sendable, CaseIterable {
  /// Every rank gets all: an all-reduce.
  case replicated
  /// Every rank gets its shard of each bucket: a reduce-scatter. For ``ShardedOptimizer``, which then holds state for its shard only.
  ///
  /// - SeeAlso: Rajbhandari et al., ZeRO, SC 2020: stage 1.
  case sharded
}

/// What gradients are on the wire.
public enum WireType: String, Sendable, CaseIterable {
  /// What they are in memory.
  case full
  /// 16 bits with the range of `Float`: half the bytes, 8 bits of precision.
  case bfloat16
  /// 16 bits with 11 bits of precision, up to 65,472.
  case float16

  var dataType: DataType? {
    switch self {
    case .full: nil
    case .bfloat16: .bfloat16
    case .float16: .float16
    }
  }
}

/// How gradients are synchronised. The same on every rank.
public struct SynchronizerOptions: Sendable {
  /// Bytes of gradients that are reduced together at most: a bucket ends before the parameter that would take it above.
  public var bucketBytes = 25 << 20
  /// The same for the first buckets: small ones, so that communication begins soon. The next ones are each a quarter of those before together.
  public var firstBucketBytes = 1 << 20
  /// The same for the last buckets, which have little computation left to hide behind. Those before are each a quarter of what is left.
  public var lastBucketBytes = 1 << 20
  /// What becomes of the ranks' gradients.
  public var reduction = GradientReduction.average
  /// Who gets the result.
  public var sharding = GradientSharding.replicated
  /// What gradients are on the wire. Every rank rounds its own gradients once; they are added in float32, and the sum is rounded once.
  /// Parameters and shared updates are never rounded.
  public var wireType = WireType.full
  /// The algorithm of the reductions: a name of `collbench list`, of all-reduce or, sharded, of reduce-scatter; `auto` for the communicator's choice.
  /// nil for that choice too, but with 16 bits on the wire for the direct one, which adds all ranks' gradients in one step. Another one rounds to 16
  /// bits after each of its steps.
  public var algorithm: String?
  /// Whether communication begins while the backward pass goes on. Otherwise ``GradientSynchronizer/finish()`` does all of it; the bits are the same.
  public var overlaps = true
  /// Whether of several buckets that wait, the one whose parameters the next forward pass needs first goes first, on all ranks alike.
  /// Otherwise they go in the order in which they became ready the first time.
  public var prioritizes = true
  /// Whether a gradient that is infinite, not a number, or more than the wire type has, is an error of ``GradientSynchronizer/finish()`` on all ranks.
  public var checksFinite = true
  /// The order in which gradients become ready, where it is known, from an earlier run's ``GradientSynchronizer/readyOrder``: parameter indices.
  /// nil to begin with the last parameter, and to follow what the first step shows.
  public var readyOrder: [Int]?
  /// Wall-clock limit of each collective; nil for the communicator's.
  public var timeout: Duration?

  /// Averages in buckets of about 25 MB, overlapped.
  public init() {}

  /// The algorithm of the reductions; nil for the communicator's choice.
  var reductionAlgorithm: String? {
    if let algorithm { return algorithm == "auto" ? nil : algorithm }
    if wireType == .full { return nil }
    return sharding == .sharded ? "direct" : "two-shot"
  }
}
