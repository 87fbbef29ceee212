// The strokes of a drawing as SVG.

/// A part of an SVG document, in the order it is painted.
struct Drawing {
  struct Point {
    var x: Double
    var y: Double
  }

  /// Colours that can be told apart, also where not all colours can (after Okabe & Ito): by rail, region or kind.
  static let palette = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#7f3c8d", "#5a7d00"]
  static let ink = "#22303c", faint = "#8794a0", paper = "#f4f7f9", line = "#9fb0bd"

  static func colour(_ index: Int) -> String { palette[index % palette.count] }

  private(set) var text = ""
  /// How far down it has come.
  private(set) var bottom = 0.0

  mutating func line(_ from: Point, _ to: Point, _ colour: String = Drawing.line, width: Double = 1, opacity: Double = 1) {
    text +=
      "<line x1=\"\(number(from.x))\" y1=\"\(number(from.y))\" x2=\"\(number(to.x))\" y2=\"\(number(to.y))\" stroke=\"\(colour)\" "
      + "stroke-width=\"\(number(width))\"\(opacity < 1 ? " stroke-opacity=\"\(number(opacity))\"" : "")/>\n"
    bottom = max(bottom, from.y, to.y)
  }

  mutating func box(
    _ corner: Point, _ width: Double, _ height: Double, fill: String, stroke: String = Drawing.line, radius: Double = 4
  ) {
    text +=
      "<rect x=\"\(number(corner.x))\" y=\"\(number(corner.y))\" width=\"\(number(width))\" height=\"\(number(height))\" "
      + "rx=\"\(number(radius))\" fill=\"\(fill)\" stroke=\"\(stroke)\"/>\n"
    bottom = max(bottom, corner.y + height)
  }

  mutating func dot(_ centre: Point, _ radius: Double, fill: String, stroke: String = "white") {
    text +=
      "<circle cx=\"\(number(centre.x))\" cy=\"\(number(centre.y))\" r=\"\(number(radius))\" fill=\"\(fill)\" stroke=\"\(stroke)\"/>\n"
    bottom = max(bottom, centre.y + radius)
  }

  enum Anchor: String {
    case start, middle, end
  }

  /// - Parameter hasEdge: A white edge keeps words legible on lines.
  mutating func label(
    _ place: Point, _ words: String, size: Double = 11, colour: String = Drawing.ink, anchor: Anchor = .middle,
    isBold: Bool = false, hasEdge: Bool = false
  ) {
    let start =
      "<text x=\"\(number(place.x))\" y=\"\(number(place.y))\" font-size=\"\(number(size))\" text-anchor=\"\(anchor.rawValue)\""
      + (isBold ? " font-weight=\"bold\"" : "")
    let end = ">\(Drawing.escaped(words))</text>\n"
    // Painted first and apart: not every program knows the order of painting that SVG 2 has.
    if hasEdge { text += start + " fill=\"white\" stroke=\"white\" stroke-width=\"4\" stroke-linejoin=\"round\"" + end }
    text += start + " fill=\"\(colour)\"" + end
    bottom = max(bottom, place.y)
  }

  /// At most two digits after the point.
  private func number(_ value: Double) -> String {
    let hundredths = Int((value * 100).rounded())
    let (whole, rest) = abs(hundredths).quotientAndRemainder(dividingBy: 100)
    let sign = hundredths < 0 ? "-" : ""
    return rest == 0 ? "\(sign)\(whole)" : "\(sign)\(whole).\(rest < 10 ? "0" : "")\(rest)"
  }

  static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.unicodeScalars.append(scalar.value < 32 || scalar.value & 0xFFFE == 0xFFFE ? "\u{FFFD}" : scalar)
      }
    }
    return result
  }
}

/// Which of many are drawn: all, or the first and the last with a gap between them.
struct Selection {
  /// nil is the gap.
  let places: [Int?]
  let count: Int

  init(_ count: Int, most: Int) {
    self.count = count
    places = count <= most ? Array(0..<count) : Array(0..<most - 2) + [nil, count - 1]
  }

  /// Where the n-th place is, in a row from `left` of this width.
  func x(_ index: Int, left: Double, width: Double) -> Double { left + (Double(index) + 0.5) * width / Double(places.count) }
}
