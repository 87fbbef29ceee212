// Loss curves in a terminal.

/// Which characters a terminal can show.
public enum TextStyle: Sendable {
  /// One series as a line of braille dots, 2 x 4 to a character; several with a mark for each.
  case unicode
  /// Characters below 128 only.
  case ascii
}

/// Curves over the step, as text: the title, `height` rows of `width` columns with the values at the left, the steps, and a
/// legend.
///
/// - Parameters:
///   - references: Horizontal lines of dashes, named in the legend.
///   - logarithmicY: Whether equal distances are equal ratios; values of 0 and less are then left out.
/// - Returns: Lines, each ended by a newline and none wider than `width`, but for names that are.
public func lossCurveText(
  series: [ChartSeries], title: String = "", references: [ChartReference] = [], logarithmicY: Bool = false,
  width: Int = 72, height: Int = 16, style: TextStyle = .unicode
) -> String {
  let frame = CurveFrame(
    series, references: references, logarithmicY: logarithmicY, tickCounts: (x: 6, y: max(height / 4, 2)))
  let labelWidth = frame.y.ticks.map { frame.y.label($0).count }.max() ?? 0
  var canvas = TextCanvas(
    columns: max(width - labelWidth - 2, 8), rows: max(height, 3), usesBraille: style == .unicode && series.count == 1)
  let marks: [Character] = style == .ascii ? ["*", "o", "+", "x", "#", "@"] : ["●", "○", "▲", "△", "■", "□"]
  let (dash, side, corner, bar, tickMark): (Character, Character, Character, Character, Character) =
    style == .ascii ? ("-", "|", "+", "-", "+") : ("╌", "│", "└", "─", "┤")

  for reference in frame.references { canvas.fill(rowAt: frame.y.position(reference.value), with: dash) }
  for (index, pieces) in frame.pieces.enumerated() {
    for piece in pieces {
      canvas.draw(frame.places(piece, columns: canvas.columns * 2), mark: marks[index % marks.count])
    }
  }

  var lines = title.isEmpty ? [] : [title]
  let labels = Dictionary(
    frame.y.ticks.map { (canvas.row(at: frame.y.position($0)), frame.y.label($0)) }, uniquingKeysWith: { first, _ in first })
  for (row, content) in canvas.lines().enumerated() {
    let label = labels[row] ?? ""
    lines.append(spaces(labelWidth - label.count) + "\(label) \(labels[row] == nil ? side : tickMark)\(content)")
  }
  if frame.isEmpty { lines.append("nothing to draw") }
  lines.append(spaces(labelWidth + 1) + "\(corner)" + String(repeating: bar, count: canvas.columns))
  lines.append(spaces(labelWidth + 2) + stepLabels(frame.x, columns: canvas.columns))
  for (index, series) in series.enumerated() where !series.name.isEmpty {
    lines.append(
      spaces(labelWidth + 2) + (canvas.usesBraille ? series.name : "\(marks[index % marks.count]) \(series.name)"))
  }
  lines += frame.references.map { spaces(labelWidth + 2) + "\(dash)\(dash) \($0.name)" }
  return lines.map { line in line.last == " " ? String(line.reversed().drop { $0 == " " }.reversed()) : line }
    .joined(separator: "\n") + "\n"
}

private func spaces(_ count: Int) -> String { String(repeating: " ", count: max(count, 0)) }

/// Labels centred below their ticks, as far as they do not touch.
private func stepLabels(_ axis: Axis, columns: Int) -> String {
  var line = ""
  for tick in axis.ticks {
    let label = axis.label(tick)
    let middle = Int((axis.position(tick) * Double(columns - 1)).rounded())
    let start = min(max(middle - label.count / 2, 0), columns - label.count)
    guard line.isEmpty ? start >= 0 : start > line.count else { continue }
    line += spaces(start - line.count) + label
  }
  return line
}

/// A grid of characters, or of braille dots. Row 0 is at the top.
private struct TextCanvas {
  let columns: Int
  let rows: Int
  let usesBraille: Bool
  private var cells: [Character]
  /// One byte a character: which of its dots are set.
  private var dots: [UInt8]

  init(columns: Int, rows: Int, usesBraille: Bool) {
    self.columns = columns
    self.rows = rows
    self.usesBraille = usesBraille
    cells = Array(repeating: " ", count: columns * rows)
    dots = Array(repeating: 0, count: columns * rows)
  }

  /// - Parameter position: 0 at the bottom, 1 at the top.
  func row(at position: Double) -> Int { Int(((1 - min(max(position, 0), 1)) * Double(rows - 1)).rounded()) }

  mutating func fill(rowAt position: Double, with character: Character) {
    for column in 0..<columns { cells[row(at: position) * columns + column] = character }
  }

  /// A line through the points, whose positions are 0...1 to the right and upwards.
  mutating func draw(_ points: [(x: Double, y: Double)], mark: Character) {
    let (across, down) = usesBraille ? (columns * 2 - 1, rows * 4 - 1) : (columns - 1, rows - 1)
    let places = points.map { point in
      (x: Int((point.x * Double(across)).rounded()), y: Int(((1 - point.y) * Double(down)).rounded()))
    }
    guard var last = places.first else { return }
    set(last.x, last.y, mark: mark)
    for place in places.dropFirst() {
      let steps = max(abs(place.x - last.x), abs(place.y - last.y))
      for step in 0..<steps {
        let share = Double(step + 1) / Double(steps)
        set(
          last.x + Int((Double(place.x - last.x) * share).rounded()),
          last.y + Int((Double(place.y - last.y) * share).rounded()),
          mark: mark)
      }
      last = place
    }
  }

  private mutating func set(_ x: Int, _ y: Int, mark: Character) {
    guard usesBraille else {
      cells[y * columns + x] = mark
      return
    }
    // Unicode's braille patterns number the dots down the columns, and the fourth row last.
    let bits: [[UInt8]] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]]
    dots[y / 4 * columns + x / 2] |= bits[y % 4][x % 2]
  }

  func lines() -> [String] {
    (0..<rows).map { row in
      String(
        (row * columns..<(row + 1) * columns).map { index in
          dots[index] == 0 ? cells[index] : Character(Unicode.Scalar(0x2800 + UInt32(dots[index]))!)
        })
    }
  }
}
