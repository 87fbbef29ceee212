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
  /// How long iterations took.
  var times: Samples
  /// The number over all ranks; nil when nothing was compared.
  var wrongElements: Int?

  /// ``bytes`` over the median time, in 10^9 bytes a second.
  var algorithmBandwidth: Double { times.median > 0 ? Double(bytes) / times.median : 0 }

  /// The rate of the slowest wire, as nccl-tests defines it (doc/PERFORMANCE.md). It is comparable with the hardware's
  /// bandwidth, whatever the rank count.
  var busBandwidth: Double { algorithmBandwidth * subject.busFactor(rankCount: rankCount) }
}
