// The text of a file. What is read from it equals what was written.

import TuttiSchedule
import TuttiTopology

extension TuningProfile {
  /// The profile in YAML (`docs/TUNING.md`), for people to read: shapes in the order of the tables, algorithms by name.
  package var text: String {
    var text = "# A tuning profile: docs/TUNING.md.\n"
    text += "version: \(Self.version)\n"
    text += "name: \(quoted(name))\n"
    if let family { text += "processor: \(family.rawValue)\n" }
    if let measured { text += "measured: \(quoted(measured))\n" }
    if !terms.isEmpty {
      text += "terms:\n"
      for medium in Medium.allCases {
        guard let terms = terms[medium] else { continue }
        let members = MediumTerms.keys.map { "\($0.name): \(terms[keyPath: $0.value])" }
        text += "  \(medium.key): {\(members.joined(separator: ", "))}\n"
      }
    }
    if !tables.isEmpty { text += "shapes:\n" }
    for shape in shapes { text += self.text(of: shape) }
    return text
  }

  private func text(of shape: JobShape) -> String {
    var text = "  - medium: \(shape.medium.key)\n    ranks: \(shape.ranks)\n    processors: \(shape.processors)\n"
    if !shape.groups.isEmpty {
      let levels = shape.groups.map { "[\($0.map { "\($0)" }.joined(separator: ", "))]" }
      text += "    groups: [\(levels.joined(separator: ", "))]\n"
    }
    text += "    collectives:\n"
    for table in tables where table.shape == shape {
      text += "      \(table.collective.name):\n"
      for row in table.rows {
        let times = row.microseconds.sorted { $0.key < $1.key }.map { "\(quoted($0.key)): \($0.value)" }
        text += "        - {bytes: \(row.bytes), microseconds: {\(times.joined(separator: ", "))}}\n"
      }
    }
    return text
  }
}

extension MediumTerms {
  /// The names of terms in files.
  static var keys: [(name: String, value: KeyPath<MediumTerms, Double>)] {
    [
      ("round", \.round), ("message", \.message), ("message-of-all", \.anyMessage), ("byte", \.byte),
      ("byte-of-all", \.anyByte), ("first-byte", \.firstByte),
    ]
  }
}

/// Text between quotes, as YAML and JSON have it.
private func quoted(_ text: String) -> String {
  let others: Set<UInt32> = [0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF]
  var result = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": result += "\\\""
    case "\\": result += "\\\\"
    // What YAML takes for the end of a line, or for no character of a text.
    case _ where scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value) || others.contains(scalar.value):
      let hex = String(scalar.value, radix: 16)
      result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result + "\""
}
