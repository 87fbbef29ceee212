/// How long the iterations of a measurement took, the maximum over ranks, in nanoseconds.
///
/// Of very many iterations only every second, fourth, ... is kept, so that a run of hours needs no more memory than one of
/// seconds; the extremes and the mean are those of all.
struct Samples: Sendable {
  /// How many are kept at most; as many as `--iterations` allows.
  static let capacity = 10_000_000

  private var kept: [Double] = []
  /// How many samples one that is kept stands for.
  private var stride = 1
  private var sampleCount = 0
  private var total = 0.0
  private(set) var minimum = Double.infinity
  private(set) var maximum = 0.0
  /// The number of iterations; more than samples where several were timed together.
  private(set) var iterationCount = 0
  private let capacity: Int

  init(capacity: Int = Samples.capacity) { self.capacity = capacity }

  /// Adds what one iteration took, or each of several that were timed together on average.
  mutating func add(_ nanoseconds: Double, iterations: Int) {
    if sampleCount.isMultiple(of: stride) {
      if kept.count == capacity { thinOut() }
      if sampleCount.isMultiple(of: stride) { kept.append(nanoseconds) }
    }
    sampleCount += 1
    iterationCount += iterations
    total += nanoseconds * Double(iterations)
    minimum = min(minimum, nanoseconds)
    maximum = max(maximum, nanoseconds)
  }

  private mutating func thinOut() {
    kept = kept.indices.filter { $0.isMultiple(of: 2) }.map { kept[$0] }
    stride *= 2
  }

  /// Makes ``median`` and ``percentile99`` available: nothing is added afterwards.
  mutating func sort() { kept.sort() }

  var mean: Double { total / Double(iterationCount) }

  var median: Double {
    let middle = kept.count / 2
    return kept.count % 2 == 1 ? kept[middle] : (kept[middle - 1] + kept[middle]) / 2
  }

  /// The smallest time that 99 of 100 samples do not exceed (nearest rank).
  var percentile99: Double { kept[(kept.count * 99 + 99) / 100 - 1] }
}
