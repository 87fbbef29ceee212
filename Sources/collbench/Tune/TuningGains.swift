import Tutti
import TuttiChoice

/// Where `auto` chooses otherwise with a profile than without one, and what that gains.
struct TuningGains {
  /// One size at which the choice differs.
  private struct Gain {
    let collective: String
    let bytes: UInt64
    let without: String
    let with: String
    /// Microseconds, as measured; nil where the other one was not.
    let before: Double?
    let after: Double
  }

  private let gains: [Gain]
  private let count: Int

  init(_ communicator: Communicator, _ profile: TuningProfile, _ tables: [TuningTable], _ source: Tuning.Source) {
    let families = communicator.processorFamilies
    let builtIn = Tuning(builtInFor: families)
    let (tuned, _) = Tuning.fitting(
      profile, source, isForced: false, families: families, shape: communicator.jobShape)
    var gains: [Gain] = []
    for table in tables {
      for row in table.rows {
        let bytes = Int(row.bytes)
        let without = communicator.algorithm(table.collective, bytes: bytes, tuning: builtIn)
        let with = communicator.algorithm(table.collective, bytes: bytes, tuning: tuned)
        guard without != with, let after = row.microseconds[with] else { continue }
        gains.append(
          Gain(
            collective: table.collective.name, bytes: row.bytes, without: without, with: with,
            before: row.microseconds[without], after: after))
      }
    }
    self.gains = gains
    count = tables.reduce(0) { $0 + $1.rows.count }
  }

  /// A table for people.
  var text: String {
    guard !gains.isEmpty else { return "# auto chooses the same without the profile at all \(counted(count, "size"))\n" }
    var rows = [["# collective", "bytes", "without", "us", "with", "us", "times as fast"]]
    for gain in gains {
      rows.append([
        "  " + gain.collective, "\(gain.bytes)", gain.without, gain.before.map { decimal($0, digits: 2) } ?? "-", gain.with,
        decimal(gain.after, digits: 2), gain.before.map { decimal($0 / gain.after, digits: 2) } ?? "-",
      ])
    }
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    let isLeft: Set = [0, 2, 4]
    let lines = rows.map { row in
      let cells = row.enumerated().map { column, cell in
        let space = String(repeating: " ", count: widths[column] - cell.count)
        return isLeft.contains(column) ? cell + space : space + cell
      }
      return cells.joined(separator: "  ") + "\n"
    }
    return "# auto chooses otherwise with the profile at \(gains.count) of \(counted(count, "size"))\n" + lines.joined()
  }
}
