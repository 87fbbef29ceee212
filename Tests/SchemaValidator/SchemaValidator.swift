// Whether files and schemas of them say the same.

import Foundation
import TuttiTopology

extension DescriptionNode {
  /// The content in the types that `JSONSerialization` would give: what an editor checks against the schema.
  package var json: Any {
    switch content {
    case .scalar("", isQuoted: false), .scalar("~", isQuoted: false), .scalar("null", isQuoted: false): NSNull()
    case .scalar("true", isQuoted: false): true
    case .scalar("false", isQuoted: false): false
    case .scalar(let text, isQuoted: false): Int(text) as Any? ?? Double(text) ?? text
    case .scalar(let text, isQuoted: true): text
    case .sequence(let elements): elements.map(\.json)
    case .mapping(let members): Dictionary(uniqueKeysWithValues: members.map { ($0.key, $0.value.json) })
    }
  }
}

/// As much of JSON Schema 2020-12 as our schemas use; of anything else it complains.
package struct SchemaValidator {
  private let root: [String: Any]

  /// The schema of a file.
  package init(contentsOf url: URL) throws {
    root = try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any] ?? [:]
  }

  package func definition(_ name: String) -> [String: Any]? { (root["$defs"] as? [String: Any])?[name] as? [String: Any] }

  package func complaint(about value: Any, _ reference: String? = nil) -> String? {
    complaint(value, reference.map { ["$ref": $0] } ?? root, "")
  }

  private func complaint(_ value: Any, _ schema: [String: Any], _ path: String) -> String? {
    for (key, rule) in schema {
      if let complaint = complaint(value, key, rule, schema, path) { return complaint }
    }
    return nil
  }

  private func complaint(_ value: Any, _ key: String, _ rule: Any, _ schema: [String: Any], _ path: String) -> String? {
    switch (key, rule) {
    case ("$schema", _), ("title", _), ("description", _), ("$defs", _): return nil
    case ("$ref", let name as String):
      guard let target = definition(String(name.dropFirst("#/$defs/".count))) else { return "\(name) is not there" }
      return complaint(value, target, path)
    case ("type", let type as String): return isOf(type, value) ? nil : "\(path): \(value) is no \(type)"
    case ("const", let one): return isEqual(value, one) ? nil : "\(path): \(value) is not \(one)"
    case ("enum", let all as [Any]): return all.contains { isEqual(value, $0) } ? nil : "\(path): \(value) is none of \(all)"
    case ("pattern", let text as String):
      guard let value = value as? String else { return nil }
      return value.range(of: text, options: .regularExpression) == nil ? "\(path): '\(value)' does not match \(text)" : nil
    case ("minimum", let least as Int):
      return number(value).map { $0 >= Double(least) } ?? true ? nil : "\(path): \(value) < \(least)"
    case ("maximum", let most as Int):
      return (value as? Int).map { $0 <= most } ?? true ? nil : "\(path): \(value) > \(most)"
    case ("maxLength", let most as Int):
      return (value as? String).map { $0.count <= most } ?? true ? nil : "\(path): too long"
    case ("minItems", let least as Int):
      return (value as? [Any]).map { $0.count >= least } ?? true ? nil : "\(path): too few"
    case ("maxItems", let most as Int): return (value as? [Any]).map { $0.count <= most } ?? true ? nil : "\(path): too many"
    case ("required", let names as [String]):
      guard let value = value as? [String: Any] else { return nil }
      return names.first { value[$0] == nil }.map { "\(path): \($0) is missing" }
    case ("properties", let properties as [String: Any]): return complaint(value, properties: properties, schema, path)
    case ("additionalProperties", let rule as Bool): return rule ? "\(path): an open mapping" : nil
    // With `properties`, it is for what those do not name.
    case ("additionalProperties", let rule as [String: Any]):
      let named = schema["properties"] as? [String: Any] ?? [:]
      return (value as? [String: Any])?.lazy.filter { named[$0.key] == nil }
        .compactMap { complaint($0.value, rule, "\(path).\($0.key)") }.first
    case ("exclusiveMinimum", let least as Int):
      return number(value).map { $0 > Double(least) } ?? true ? nil : "\(path): \(value) <= \(least)"
    case ("items", let items as [String: Any]):
      return (value as? [Any])?.enumerated().lazy.compactMap { complaint($0.element, items, "\(path)[\($0.offset)]") }.first
    case ("anyOf", let all as [[String: Any]]):
      return all.contains { complaint(value, $0, path) == nil } ? nil : "\(path): \(value) fits none"
    case ("oneOf", let all as [[String: Any]]):
      let fitting = all.count { complaint(value, $0, path) == nil }
      return fitting == 1 ? nil : "\(path): \(value) fits \(fitting)"
    default: return "\(path): the validator knows no \(key)"
    }
  }

  private func complaint(_ value: Any, properties: [String: Any], _ schema: [String: Any], _ path: String) -> String? {
    guard let value = value as? [String: Any] else { return nil }
    for (name, member) in value {
      guard let rule = properties[name] as? [String: Any] else {
        if schema["additionalProperties"] as? Bool == false { return "\(path): unknown \(name)" }
        continue
      }
      if let complaint = complaint(member, rule, "\(path).\(name)") { return complaint }
    }
    return nil
  }

  private func isOf(_ type: String, _ value: Any) -> Bool {
    switch type {
    case "object": value is [String: Any]
    case "array": value is [Any]
    case "string": value is String
    case "integer": value is Int && !(value is Bool)
    case "number": number(value) != nil
    case "boolean": value is Bool
    default: false
    }
  }

  private func number(_ value: Any) -> Double? {
    value is Bool ? nil : (value as? Int).map(Double.init) ?? value as? Double
  }

  private func isEqual(_ left: Any, _ right: Any) -> Bool {
    (left as? String).map { $0 == right as? String } ?? (left as? Int).map { $0 == right as? Int } ?? false
  }
}
