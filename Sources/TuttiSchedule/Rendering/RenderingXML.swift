// Writes numbers and text as XML needs them.

enum XML {
  /// A place or time, none of which is negative, with at most two digits after the point.
  static func number(_ value: Double) -> String {
    let hundredths = Int(value * 100 + 0.5)
    let rest = hundredths % 100
    if rest == 0 { return "\(hundredths / 100)" }
    return "\(hundredths / 100)." + (rest % 10 == 0 ? "\(rest / 10)" : rest < 10 ? "0\(rest)" : "\(rest)")
  }

  /// Text for XML. What XML 1.0 cannot have becomes U+FFFD.
  static func escaped(_ text: String) -> String {
    var result = ""
    for character in text.unicodeScalars {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      default:
        let isAllowed =
          character.value >= 32 && character.value & 0xFFFE != 0xFFFE || ["\t", "\n", "\r"].contains(character)
        result.unicodeScalars.append(isAllowed ? character : "\u{FFFD}")
      }
    }
    return result
  }
}
