// A timeline of compute and communication as a picture.

extension TimelineSpan.Kind {
  var color: String {
    switch self {
    case .forward: "#4a90d9"
    case .backward: "#7a68c8"
    case .communication: "#e0872d"
    case .waiting: "#d2544f"
    case .optimizer: "#3c9d6e"
    case .other: "#8a919c"
    }
  }
}

/// Spans over time, as an SVG document that needs nothing else and can be read on light and dark pages.
///
/// A row for each track, a rank's together: compute above, communication below, in several lanes where spans overlap. A span
/// has its name in it where it fits, and name and duration as the text that a browser shows below the pointer.
///
/// - Parameters:
///   - spans: In any order; without anything to draw the picture says so.
///   - width: In pixels. The height follows from the tracks.
public func timelineSVG(_ spans: [TimelineSpan], title: String = "Timeline", width: Int = 960) -> String {
  TimelineDrawing(TimelineLayout(spans), title: title, width: Double(max(width, 360))).document()
}

private struct TimelineDrawing {
  private static let groupGap = 16.0
  private static let trackGap = 4.0
  private static let top = 76.0

  let layout: TimelineLayout
  let title: String
  let width: Double
  private let axis: Axis
  private let left: Double

  init(_ layout: TimelineLayout, title: String, width: Double) {
    self.layout = layout
    self.title = title
    self.width = width
    axis = Axis([0, layout.duration * 1000], tight: true, tickCount: 10)
    let names = layout.groups.flatMap { group in group.tracks.map { SVG.width(of: $0.name, size: 11) } }
    let groups = layout.groups.map { SVG.width(of: $0.name, size: 12) * 1.1 }
    left = 16 + (groups.max() ?? 0) + 12 + (names.max() ?? 0) + 12
  }

  private var right: Double { width - 22 }

  private func x(_ seconds: Double) -> Double { left + axis.position(seconds * 1000) * (right - left) }

  /// One lane is tall enough for a name; of many, each is lower, so that no rank fills the page.
  private func laneHeight(_ track: TimelineLayout.Track) -> Double { track.lanes.count == 1 ? 26 : 17 }

  private func height(_ group: TimelineLayout.Group) -> Double {
    group.tracks.reduce(-TimelineDrawing.trackGap) { sum, track in
      sum + Double(track.lanes.count) * laneHeight(track) + TimelineDrawing.trackGap
    }
  }

  func document() -> String {
    var svg = SVG()
    svg.text(title, x: 16, y: 26, size: 16, bold: true)
    let present = Set(layout.groups.flatMap { $0.tracks.flatMap { $0.lanes.flatMap { $0.map(\.kind) } } })
    let kinds = TimelineSpan.Kind.allCases.filter(present.contains)
    _ = svg.legend(kinds.map { (name: $0.rawValue, color: $0.color) }, x: 16, y: 50, width: width - 32)
    guard !layout.groups.isEmpty else {
      svg.text("nothing to draw", x: width / 2, y: 90, anchor: .middle)
      return svg.document(width: width, height: 120, title: title)
    }
    let bottom = layout.groups.reduce(TimelineDrawing.top) { $0 + height($1) + TimelineDrawing.groupGap }
    for tick in axis.ticks {
      let place = left + axis.position(tick) * (right - left)
      svg.line(place, TimelineDrawing.top - 8, place, bottom, color: Palette.grid, opacity: 0.35)
      svg.text(axis.label(tick), x: place, y: bottom + 15, size: 11, anchor: .middle)
    }
    svg.text("ms", x: left - 12, y: bottom + 15, size: 11, anchor: .end)
    var y = TimelineDrawing.top
    for group in layout.groups {
      svg.text(group.name, x: 16, y: y + height(group) / 2 + 4, bold: true)
      for track in group.tracks {
        add(track, at: y, to: &svg)
        y += Double(track.lanes.count) * laneHeight(track) + TimelineDrawing.trackGap
      }
      y += TimelineDrawing.groupGap - TimelineDrawing.trackGap
    }
    return svg.document(width: width, height: bottom + 28, title: title)
  }

  private func add(_ track: TimelineLayout.Track, at y: Double, to svg: inout SVG) {
    let laneHeight = laneHeight(track)
    let height = Double(track.lanes.count) * laneHeight
    svg.rectangle(x: left, y: y, width: right - left, height: height, fill: Palette.grid, opacity: 0.13, radius: 3)
    svg.text(track.name, x: left - 12, y: y + height / 2 + 4, size: 11, anchor: .end)
    for (lane, spans) in track.lanes.enumerated() {
      let top = y + Double(lane) * laneHeight
      for span in spans {
        let start = x(span.start)
        // A sliver of the background between neighbours; and nothing is too short to be seen.
        let width = max(x(span.end) - start - 0.8, 0.6)
        svg.rectangle(
          x: start, y: top + 1, width: width, height: laneHeight - 2, fill: span.kind.color, radius: min(3, width / 3),
          hint: "\(span.name): \(SVG.number((span.end - span.start) * 1000)) ms")
        let size = laneHeight > 20 ? 11.5 : 10
        if let label = label(span, size: size, width: width) {
          svg.text(
            label, x: start + width / 2, y: top + laneHeight / 2 + size * 0.36, size: size, color: "#ffffff",
            anchor: .middle)
        }
      }
    }
  }

  /// The name where it fits, or its number: of "bucket 12" the 12.
  private func label(_ span: TimelineSpan, size: Double, width: Double) -> String? {
    let number = span.name.split(separator: " ").last.flatMap { Int($0) }.map(String.init)
    return [span.name, number].compactMap(\.self).first { SVG.width(of: $0, size: size) + 4 <= width }
  }
}
