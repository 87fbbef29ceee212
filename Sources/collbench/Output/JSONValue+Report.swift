import Tutti
import TuttiTransport

// What the library tells of itself, as JSON.

extension TuningInfo {
  /// A tuning profile for programs. Keys are a contract, as those of results are.
  var json: JSONValue {
    .object([
      ("name", .string(name)), ("hash", .string(hash)), ("source", .string(source)), ("measured", .optional(measured)),
    ])
  }
}

/// Turns what a transport reports of itself into JSON.
extension JSONValue {
  init(_ value: ReportValue) {
    self =
      switch value {
      case .null: .null
      case .flag(let flag): .bool(flag)
      case .integer(let number): .integer(number)
      case .number(let number): .number(number)
      case .text(let text): .string(text)
      case .list(let values): .array(values.map { JSONValue($0) })
      case .members(let members): .object(members.map { ($0, JSONValue($1)) })
      }
  }
}
