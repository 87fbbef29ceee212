/// One line of results: one collective (or send and receive), size and algorithm.
struct Measurement: Sendable {
  var subject: Subject
  /// The bytes of the message, or of all ranks' blocks, as nccl-tests counts them.
  var bytes: Int
  /// The number of elements of the message, or of each rank's block.
  var count: Int
  /// The type of the elements; nil where the collective carries no data.
  var type: String?
  /// The operation; nil where nothing is combined.
  var operation: String?
  /// The root; nil where no rank has a role of its own.
  var root: Int?
  var rankCount: Int
  /// The algorithm and transport that ran, not those asked for; nil for send and receive, which has no algorithms.
  var algorithm: String?
  var transport: String
  /// The tree by which the results fold, by name; nil where nothing is combined.
  var foldClass: String?
  /// How large segments travelled on rank 0 at the end; nil where there was no choice.
  var dataPath: String?
  var inPlace: Bool
  /// The nanoseconds of each iteration, the maximum over ranks, in ascending order.
  var times: [Double]
  /// The number over all ranks; nil when nothing was compared.
  var wrongElements: Int?

  var minimum: Double { times[0] }
  var maximum: Double { times[times.count - 1] }
  var mean: Double { times.reduce(0, +) / Double(times.count) }

  var median: Double {
    let middle = times.count / 2
    return times.count % 2 == 1 ? times[middle] : (times[middle - 1] + times[middle]) / 2
  }

  /// The smallest time that 99 of 100 iterations do not exceed (nearest rank).
  var percentile99: Double { times[(times.count * 99 + 99) / 100 - 1] }

  /// ``bytes`` over the median time, in 10^9 bytes a second.
  var algorithmBandwidth: Double { median > 0 ? Double(bytes) / median : 0 }

  /// The rate of the slowest wire, as nccl-tests defines it (doc/PERFORMANCE.md). It is comparable with the hardware's
  /// bandwidth, whatever the rank count.
  var busBandwidth: Double { algorithmBandwidth * subject.busFactor(rankCount: rankCount) }
}
