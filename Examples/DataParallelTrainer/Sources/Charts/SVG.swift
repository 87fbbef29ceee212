// The few SVG elements that the charts are made of. Invariant: whatever the names and numbers are, the document is
// well-formed.

import Foundation

/// Colours of middle lightness and no background: to be read on white and on black pages.
enum Palette {
  static let text = "#7d848f"
  static let frame = "#9aa1ab"
  static let grid = "#9aa1ab"
  /// For series, told apart also by most who do not see all colours (after Okabe & Ito).
  static let series = ["#3b82d0", "#e07b2a", "#2f9e73", "#c0649f", "#b8912a", "#5aaed6", "#8266c4", "#8a8f98"]
}

/// An SVG document under construction. Lengths in pixels, y downwards.
struct SVG {
  enum Anchor: String { case start, middle, end }

  private var elements: [String] = []

  mutating func rectangle(
    x: Double, y: Double, width: Double, height: Double, fill: String, opacity: Double = 1, radius: Double = 0,
    hint: String? = nil
  ) {
    let attributes =
      "x=\"\(SVG.number(x))\" y=\"\(SVG.number(y))\" width=\"\(SVG.number(width))\" height=\"\(SVG.number(height))\""
      + " fill=\"\(fill)\"" + (opacity < 1 ? " fill-opacity=\"\(SVG.number(opacity))\"" : "")
      + (radius > 0 ? " rx=\"\(SVG.number(radius))\"" : "")
    elements.append(hint.map { "<rect \(attributes)><title>\(SVG.escaped($0))</title></rect>" } ?? "<rect \(attributes)/>")
  }

  mutating func line(
    _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, color: String, width: Double = 1, opacity: Double = 1,
    dashed: Bool = false
  ) {
    elements.append(
      "<line x1=\"\(SVG.number(x1))\" y1=\"\(SVG.number(y1))\" x2=\"\(SVG.number(x2))\" y2=\"\(SVG.number(y2))\""
        + " stroke=\"\(color)\" stroke-width=\"\(SVG.number(width))\""
        + (opacity < 1 ? " stroke-opacity=\"\(SVG.number(opacity))\"" : "")
        + (dashed ? " stroke-dasharray=\"5 4\"" : "") + "/>")
  }

  /// A line through the points; one point alone is a dot.
  mutating func path(_ points: [(x: Double, y: Double)], color: String, width: Double = 1.8) {
    if points.count == 1 {
      elements.append(
        "<circle cx=\"\(SVG.number(points[0].x))\" cy=\"\(SVG.number(points[0].y))\" r=\"\(SVG.number(width * 1.5))\""
          + " fill=\"\(color)\"/>")
      return
    }
    let places = points.map { "\(SVG.number($0.x)),\(SVG.number($0.y))" }.joined(separator: " ")
    elements.append(
      "<polyline points=\"\(places)\" fill=\"none\" stroke=\"\(color)\" stroke-width=\"\(SVG.number(width))\""
        + " stroke-linejoin=\"round\" stroke-linecap=\"round\"/>")
  }

  mutating func text(
    _ text: String, x: Double, y: Double, size: Double = 12, color: String = Palette.text, anchor: Anchor = .start,
    bold: Bool = false, rotated: Bool = false
  ) {
    elements.append(
      "<text x=\"\(SVG.number(x))\" y=\"\(SVG.number(y))\" font-size=\"\(SVG.number(size))\" fill=\"\(color)\""
        + (anchor == .start ? "" : " text-anchor=\"\(anchor.rawValue)\"") + (bold ? " font-weight=\"600\"" : "")
        + (rotated ? " transform=\"rotate(-90 \(SVG.number(x)) \(SVG.number(y)))\"" : "") + ">\(SVG.escaped(text))</text>")
  }

  /// A row of coloured squares with names, in as many lines as the width asks for.
  ///
  /// - Returns: The y at which the next thing can begin.
  mutating func legend(_ entries: [(name: String, color: String)], x: Double, y: Double, width: Double) -> Double {
    var place = x
    var line = y
    for entry in entries {
      let needed = 18 + SVG.width(of: entry.name, size: 12)
      if place > x, place + needed > x + width {
        place = x
        line += 18
      }
      rectangle(x: place, y: line - 9, width: 11, height: 11, fill: entry.color, radius: 2)
      text(entry.name, x: place + 17, y: line)
      place += needed + 18
    }
    return entries.isEmpty ? y : line + 18
  }

  func document(width: Double, height: Double, title: String) -> String {
    """
    <?xml version="1.0" encoding="UTF-8"?>
    <svg xmlns="http://www.w3.org/2000/svg" width="\(SVG.number(width))" height="\(SVG.number(height))" \
    viewBox="0 0 \(SVG.number(width)) \(SVG.number(height))" font-family="system-ui, Helvetica, Arial, sans-serif">
    <title>\(SVG.escaped(title))</title>
    \(elements.joined(separator: "\n"))
    </svg>

    """
  }

  /// A hundredth of a pixel is as fine as anyone sees.
  static func number(_ value: Double) -> String {
    let rounded = (value * 100).rounded() / 100
    return rounded == rounded.rounded() ? String(Int(rounded)) : String(rounded)
  }

  /// Characters that XML gives a meaning become entities, and those that it forbids become spaces.
  static func escaped(_ text: String) -> String {
    var escaped = String.UnicodeScalarView()
    for character in text.unicodeScalars {
      switch character {
      case "&": escaped.append(contentsOf: "&amp;".unicodeScalars)
      case "<": escaped.append(contentsOf: "&lt;".unicodeScalars)
      case ">": escaped.append(contentsOf: "&gt;".unicodeScalars)
      case "\"": escaped.append(contentsOf: "&quot;".unicodeScalars)
      case _ where character.value < 0x20 || character.value == 0xFFFE || character.value == 0xFFFF: escaped.append(" ")
      default: escaped.append(character)
      }
    }
    return String(escaped)
  }

  /// About how wide a text is in the usual fonts.
  static func width(of text: String, size: Double) -> Double { Double(text.count) * size * 0.56 }
}
