// Small values that ranks tell each other beside the gradients.

import Tutti

extension Communicator {
  /// Adds up each value over the ranks.
  func sum(_ values: [Double]) throws(TuttiError) -> [Double] {
    var sums = values
    try allReduce(&sums, .sum)
    return sums
  }

  /// The largest of each value over the ranks.
  func maximum(_ values: [Double]) throws(TuttiError) -> [Double] {
    var largest = values
    try allReduce(&largest, .max)
    return largest
  }

  /// Gives every rank's bytes to every rank, by rank.
  func exchange(_ bytes: [UInt8]) throws(TuttiError) -> [[UInt8]] {
    let counts = try allGather([Int64(bytes.count)]).map { Int($0) }
    let all = try allGather(bytes, blocks: .each(counts))
    var parts: [[UInt8]] = []
    var start = 0
    for count in counts {
      parts.append(Array(all[start..<start + count]))
      start += count
    }
    return parts
  }
}
