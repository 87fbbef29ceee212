/// JSON that keeps the order of its keys and the exact digits of its numbers.
enum JSONValue {
  case null
  case bool(Bool)
  case integer(Int)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([(String, JSONValue)])

  static func optional(_ value: Int?) -> JSONValue { value.map { .integer($0) } ?? .null }
  static func optional(_ value: Double?) -> JSONValue { value.map { .number($0) } ?? .null }
  static func optional(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }

  private var isScalar: Bool {
    switch self {
    case .array, .object: false
    default: true
    }
  }

  /// Writes one member on each line down to `depth` levels; below that, and for lists of plain values, it is compact.
  func text(expanded depth: Int = 3, indent: Int = 0) -> String {
    switch self {
    case .null: return "null"
    case .bool(let value): return value ? "true" : "false"
    case .integer(let value): return "\(value)"
    // JSON has no infinities; a result never holds one, and a reader must not choke if it did.
    case .number(let value): return value.isFinite ? "\(value)" : "null"
    case .string(let value): return Self.quoted(value)
    case .array(let values):
      let depth = values.allSatisfy(\.isScalar) ? 0 : depth
      return Self.joined(values.map { $0.text(expanded: depth - 1, indent: indent + 2) }, "[", "]", depth, indent)
    case .object(let members):
      let parts = members.map { "\(Self.quoted($0)): \($1.text(expanded: depth - 1, indent: indent + 2))" }
      return Self.joined(parts, "{", "}", depth, indent)
    }
  }

  private static func joined(_ parts: [String], _ open: String, _ close: String, _ depth: Int, _ indent: Int) -> String {
    guard depth > 0, !parts.isEmpty else { return open + parts.joined(separator: ", ") + close }
    let margin = "\n" + String(repeating: " ", count: indent)
    return open + parts.map { margin + "  " + $0 }.joined(separator: ",") + margin + close
  }

  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case _ where scalar.value < 0x20:
        let hex = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
