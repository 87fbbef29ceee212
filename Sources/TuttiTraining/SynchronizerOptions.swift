import Tutti

/// How the ranks' gradients are combined.
public enum GradientReduction: String, Sendable, CaseIterable {
  /// The result is their sum, divided by the rank count.
  case average
  /// The result is their sum. This is for gradients that are already scaled by the global batch, and so suits ranks with
  /// batches of different sizes.
  case sum
}

/// Who gets the reduced gradients.
public enum GradientSharding: String, Sendable, CaseIterable {
  /// Every rank gets all of them, by an all-reduce.
  case replicated
  /// Every rank gets its shard of each bucket, by a reduce-scatter. ``ShardedOptimizer`` then holds state for its shard
  /// only.
  ///
  /// - SeeAlso: Rajbhandari et al., ZeRO, SC 2020: stage 1.
  case sharded
}

/// The type of gradients on the wire.
public enum WireType: String, Sendable, CaseIterable {
  /// The type that they have in memory.
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

/// Says how gradients are synchronised. The same on every rank.
public struct SynchronizerOptions: Sendable {
  /// The most bytes of gradients that are reduced together: a bucket ends before the parameter that would exceed this.
  public var bucketBytes = 25 << 20
  /// The most bytes of the first buckets, which are small so that communication begins soon. Each later one is a quarter of
  /// all those before it together.
  public var firstBucketBytes = 1 << 20
  /// The most bytes of the last buckets, which have little computation left to hide behind. Each one before them is a
  /// quarter of what is left.
  public var lastBucketBytes = 1 << 20
  /// How the ranks' gradients are combined.
  public var reduction = GradientReduction.average
  /// Which ranks get the result.
  public var sharding = GradientSharding.replicated
  /// The type of gradients on the wire. Every rank rounds its own gradients once; each sum of two is made in float32 and
  /// rounded. Parameters and shared updates are never rounded.
  public var wireType = WireType.full
  /// The algorithm of the reductions: a name of `collbench list`, of all-reduce or, sharded, of reduce-scatter; `auto` for
  /// the communicator's choice. nil stands for that choice too, except with 16 bits on the wire: then it stands for the
  /// direct one, which adds the gradients of n ranks by the canonical tree, so that each is rounded log2 n times on its way
  /// into the sum. In a ring it is up to n - 1 times.
  public var algorithm: String?
  /// Whether communication begins while the backward pass goes on. Otherwise ``GradientSynchronizer/finish()`` does all of
  /// it; the bits are the same.
  public var overlaps = true
  /// Whether, of several buckets that wait, the one goes first whose parameters the next forward pass needs first, on all
  /// ranks alike. Otherwise they go in the order in which they became ready the first time.
  public var prioritizes = true
  /// Whether a gradient that is infinite, not a number, or out of the wire type's range makes
  /// ``GradientSynchronizer/finish()`` throw on all ranks.
  public var checksFinite = true
  /// The order in which gradients become ready, as parameter indices, where an earlier run's
  /// ``GradientSynchronizer/readyOrder`` is known. With nil, buckets begin with the last parameter, and follow what the
  /// first step shows.
  public var readyOrder: [Int]?
  /// The wall-clock limit of each collective; nil for the communicator's.
  public var timeout: Duration?

  /// The default options: averages in buckets of about 25 MB, overlapped with computation.
  public init() {}

  /// The algorithm of the reductions; nil for the communicator's choice.
  var reductionAlgorithm: String? {
    if let algorithm { return algorithm == "auto" ? nil : algorithm }
    if wireType == .full { return nil }
    return sharding == .sharded ? "direct" : "two-shot"
  }
}
