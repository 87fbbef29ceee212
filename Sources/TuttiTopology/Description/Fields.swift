// The members of one mapping, each asked for by what it must be. Whatever is wrong is an error that says where.

/// A mapping whose keys are all known.
package struct Fields {
  package let node: DescriptionNode
  /// The field it is the value of; empty for the whole file.
  package let path: String
  private let members: [String: DescriptionNode]

  init(_ node: DescriptionNode, path: String, _ section: Section) throws(DescriptionError) {
    try self.init(node, path: path, keys: section.keys, of: section.what)
  }

  /// - Parameters:
  ///   - keys: Those that there may be.
  ///   - whole: What the mapping is, for errors: `hosts`.
  package init(
    _ node: DescriptionNode, path: String, keys: [String], of whole: String
  ) throws(DescriptionError) {
    guard case .mapping(let members) = node.content else {
      throw node.error(path, "must be a mapping of keys to values, not \(node.kind)")
    }
    self.node = node
    self.path = path
    var known: [String: DescriptionNode] = [:]
    for member in members {
      let field = path.isEmpty ? member.key.shortened : "\(path).\(member.key.shortened)"
      guard keys.contains(member.key) else {
        throw DescriptionError(member.position, field: field, Fields.unknown("key", member.key, keys, of: whole))
      }
      guard known.updateValue(member.value, forKey: member.key) == nil else {
        throw DescriptionError(member.position, field: field, "is given twice: leave one of them out")
      }
    }
    self.members = known
  }

  /// `unknown key of hosts; did you mean 'nics'?`, or all that there are.
  static func unknown(_ what: String, _ name: String, _ known: [String], of whole: String) -> String {
    let hint =
      nearestName(to: name, in: known).map { "did you mean '\($0)'?" }
      ?? "there are \(known.prefix(20).joined(separator: ", "))\(known.count > 20 ? ", ..." : "")"
    return "unknown \(what) of \(whole); \(hint)"
  }

  package func path(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }
  package func has(_ key: String) -> Bool { members[key] != nil }
  package func error(_ key: String, _ problem: String) -> DescriptionError {
    DescriptionError((members[key] ?? node).position, field: path(key), problem)
  }

  package func optional(_ key: String) -> DescriptionNode? { members[key] }

  package func required(_ key: String, _ hint: String = "") throws(DescriptionError) -> DescriptionNode {
    guard let value = members[key] else { throw error(key, "is missing\(hint.isEmpty ? "" : ": \(hint)")") }
    return value
  }

  /// Refuses two keys that say the same.
  func exclude(_ first: String, _ second: String) throws(DescriptionError) {
    if has(first), has(second) { throw error(second, "give '\(first)' or '\(second)', not both") }
  }

  // MARK: Values

  /// Text of one line.
  package func text(_ key: String) throws(DescriptionError) -> String? {
    guard let value = members[key] else { return nil }
    return try value.text(path(key))
  }

  /// What hosts, switches, interfaces, networks and regions are called.
  func name(_ key: String) throws(DescriptionError) -> String? {
    guard let value = members[key] else { return nil }
    return try value.name(path(key))
  }

  package func number(_ key: String, _ range: ClosedRange<Int>, default other: Int? = nil) throws(DescriptionError) -> Int {
    guard let value = members[key] else {
      if let other { return other }
      throw error(key, "is missing: a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return try value.number(path(key), range)
  }

  func bandwidth(_ key: String, default other: Bandwidth? = nil) throws(DescriptionError) -> Bandwidth {
    guard let value = members[key] else {
      if let other { return other }
      throw error(key, "is missing: a rate such as 25 Gb/s")
    }
    return try value.bandwidth(path(key))
  }

  func latency(_ key: String, default other: Latency? = nil) throws(DescriptionError) -> Latency {
    guard let value = members[key] else {
      if let other { return other }
      throw error(key, "is missing: a time such as 1.5 us")
    }
    return try value.latency(path(key))
  }

  func flag(_ key: String, default other: Bool) throws(DescriptionError) -> Bool {
    guard let value = members[key] else { return other }
    switch value.content {
    case .scalar("true", isQuoted: false): return true
    case .scalar("false", isQuoted: false): return false
    default: throw error(key, "must be true or false, not \(value.kind)")
    }
  }

  package func choice(_ key: String, _ known: [String], default other: String? = nil) throws(DescriptionError) -> String {
    guard let value = members[key] else {
      if let other { return other }
      throw error(key, "is missing: one of \(known.joined(separator: ", "))")
    }
    let text = try value.text(path(key))
    guard known.contains(text) else {
      let hint = nearestName(to: text, in: known).map { "did you mean '\($0)'?" }
      throw error(key, "unknown '\(text.shortened)'; \(hint ?? "one of \(known.joined(separator: ", "))")")
    }
    return text
  }
}
