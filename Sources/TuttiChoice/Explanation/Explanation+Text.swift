// The table that people read.

extension Explanation {
  /// A table for people, in aligned columns, the fastest candidate first. Times are in microseconds; measured ones are
  /// marked.
  package var text: String {
    let titles =
      ["algorithm", "time us", "latency us", "fill us"] + levels.map { "\($0) us" } + ["copy us", "combine us", "rounds"]
    var rows = [titles + ["bound by"]]
    for candidate in sorted {
      let time = candidate.microseconds.map { [fixed($0, digits: 2)] } ?? ["-"]
      let mark = candidate.name == chosen ? "  <- auto" : ""
      guard let prediction = candidate.prediction else {
        let word = candidate.measured == nil ? candidate.obstacle?.rawValue ?? "-" : "measured"
        rows.append([candidate.name] + time + titles.dropFirst(2).map { _ in "-" } + [word + mark])
        continue
      }
      let parts =
        [prediction.latency, prediction.filling] + prediction.links + [prediction.copying, prediction.combining]
      let word = candidate.measured == nil ? prediction.bound.text : "measured"
      rows.append(
        [candidate.name] + time + parts.map { fixed($0, digits: 2) } + [fixed(prediction.rounds, digits: 1)]
          + [word + mark])
    }
    let widths = titles.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    let lines = rows.map { row in
      let cells = widths.indices.map { column in
        let space = String(repeating: " ", count: widths[column] - row[column].count)
        return column == 0 ? row[column] + space : space + row[column]
      }
      return (cells + [row[titles.count]]).joined(separator: "  ") + "\n"
    }
    return """
      # \(collective.name), \(bytes) bytes, \(grouping.rankCount) rank\(grouping.rankCount == 1 ? "" : "s")\(groups)
      # \(timesNote); link columns: how long the links of that level are busy, which overlaps with the others

      """ + lines.joined() + (fold.map { "# one tree for all sizes of floating-point results: \($0)\n" } ?? "")
        + "# tuning profile: \(profile.summary)\n# auto: \(chosen.isEmpty ? "none" : chosen): \(reason)\n"
  }

  private var timesNote: String {
    candidates.contains { $0.measured != nil } ? "measured and predicted times" : "predicted times"
  }

  /// The fastest first, then those without a time, in their order.
  private var sorted: [Candidate] {
    candidates.enumerated().sorted { a, b in
      let times = (a.element.microseconds ?? .infinity, b.element.microseconds ?? .infinity)
      return times.0 == times.1 ? a.offset < b.offset : times.0 < times.1
    }.map(\.element)
  }

  /// `, 4 groups of 2 (host)`, for each level of groups.
  private var groups: String {
    (1..<max(1, grouping.levelCount)).map { level in
      let sizes = grouping.groupSizes(at: level)
      let members =
        sizes.lowerBound == sizes.upperBound ? "\(sizes.lowerBound)" : "\(sizes.lowerBound) to \(sizes.upperBound)"
      let name = levels.indices.contains(level - 1) ? " (\(levels[level - 1]))" : ""
      return ", \(grouping.groupCount(at: level)) groups of \(members)\(name)"
    }.joined()
  }
}

/// Writes a value with exactly so many digits after the point, whatever the locale.
func fixed(_ value: Double, digits: Int) -> String {
  guard value.isFinite, value.magnitude < 1e15 else { return "\(value)" }
  let scale = (0..<digits).reduce(1.0) { scale, _ in scale * 10 }
  let scaled = UInt64((value.magnitude * scale).rounded())
  let sign = value < 0 && scaled > 0 ? "-" : ""
  guard digits > 0 else { return "\(sign)\(scaled)" }
  let (whole, fraction) = scaled.quotientAndRemainder(dividingBy: UInt64(scale))
  let digitsOfFraction = String(fraction)
  return "\(sign)\(whole)." + String(repeating: "0", count: digits - digitsOfFraction.count) + digitsOfFraction
}
