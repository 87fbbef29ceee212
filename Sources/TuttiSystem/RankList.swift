/// How large a job may be.
package enum JobSize {
  /// The most ranks of a job. Ranks are sent as 32 bits; the table of all of them must be of a size that a rank can be asked
  /// to receive.
  package static let ranksMax = 65_536
}

/// Writes ranks as a person would: `rank 2`, `ranks 2, 5 and 7`, `ranks 0-5 and 8`. Long lists are cut.
///
/// - Parameter ranks: Ascending.
package func rankListText(_ ranks: [Int]) -> String {
  var runs: [ClosedRange<Int>] = []
  for rank in ranks {
    if let last = runs.last, last.upperBound + 1 == rank {
      runs[runs.count - 1] = last.lowerBound...rank
    } else {
      runs.append(rank...rank)
    }
  }
  // Two ranks in a row are written one by one: `0-1` says no more than `0 and 1`.
  let words = runs.flatMap { run -> [(text: String, ranks: Int)] in
    run.count > 2 ? [("\(run.lowerBound)-\(run.upperBound)", run.count)] : run.map { ("\($0)", 1) }
  }
  let noun = ranks.count == 1 ? "rank" : "ranks"
  let shown = words.prefix(16)
  let rest = ranks.count - shown.reduce(0) { $0 + $1.ranks }
  if rest > 0 { return "\(noun) \(shown.map(\.text).joined(separator: ", ")) and \(rest) more" }
  if words.count < 2 { return "\(noun) \(words.first?.text ?? "?")" }
  return "\(noun) \(words.dropLast().map(\.text).joined(separator: ", ")) and \(words[words.count - 1].text)"
}
