// Loss curves as a picture.

/// Curves over the step, as an SVG document that needs nothing else and can be read on light and dark pages.
///
/// - Parameters:
///   - series: Any number; without anything to draw the picture says so.
///   - references: Dashed horizontal lines with their names.
///   - logarithmicY: Whether equal distances are equal ratios; values of 0 and less are then left out.
///   - width, height: In pixels.
public func lossCurveSVG(
  series: [ChartSeries], title: String = "Loss", xLabel: String = "step", yLabel: String = "loss (nats)",
  references: [ChartReference] = [], logarithmicY: Bool = false, width: Int = 760, height: Int = 420
) -> String {
  let (width, height) = (Double(max(width, 240)), Double(max(height, 160)))
  let frame = CurveFrame(series, references: references, logarithmicY: logarithmicY, tickCounts: (x: 8, y: 6))
  var svg = SVG()
  svg.text(title, x: 16, y: 26, size: 16, bold: true)
  let entries = series.enumerated().map { (name: $1.name, color: Palette.series[$0 % Palette.series.count]) }
  let legendEnd = svg.legend(entries, x: 16, y: 50, width: width - 32)
  let left = 30 + SVG.width(of: frame.y.ticks.map(frame.y.label).max { $0.count < $1.count } ?? "", size: 12) + 14
  let top = legendEnd + 2
  let (right, bottom) = (width - 20, height - 46)

  func place(_ position: (x: Double, y: Double)) -> (x: Double, y: Double) {
    (x: left + position.x * (right - left), y: bottom - position.y * (bottom - top))
  }
  for tick in frame.y.ticks {
    let y = place((0, frame.y.position(tick))).y
    svg.line(left, y, right, y, color: Palette.grid, opacity: 0.3)
    svg.text(frame.y.label(tick), x: left - 8, y: y + 4, anchor: .end)
  }
  for tick in frame.x.ticks {
    let x = place((frame.x.position(tick), 0)).x
    svg.line(x, bottom, x, bottom + 5, color: Palette.frame)
    svg.text(frame.x.label(tick), x: x, y: bottom + 19, anchor: .middle)
  }
  svg.line(left, bottom, right, bottom, color: Palette.frame)
  svg.text(xLabel, x: (left + right) / 2, y: height - 8, anchor: .middle)
  svg.text(yLabel, x: 22, y: (top + bottom) / 2, anchor: .middle, rotated: true)
  if frame.isEmpty { svg.text("nothing to draw", x: (left + right) / 2, y: (top + bottom) / 2, anchor: .middle) }

  for reference in frame.references {
    let y = place((0, frame.y.position(reference.value))).y
    svg.line(left, y, right, y, color: Palette.text, width: 1.4, dashed: true)
    svg.text(reference.name, x: right - 4, y: y - 6, anchor: .end)
  }
  for (index, pieces) in frame.pieces.enumerated() {
    for piece in pieces {
      svg.path(frame.places(piece, columns: Int(right - left)).map(place), color: entries[index].color)
    }
  }
  return svg.document(width: width, height: height, title: title)
}
