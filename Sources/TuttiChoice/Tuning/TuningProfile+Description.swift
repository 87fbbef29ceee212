// From what a file says to a profile, or the place of the first mistake.

import TuttiSchedule
import TuttiTopology

/// The kinds of mappings in a file of a profile, and the keys each may have. `docs/tuning.schema.json` says the same to
/// editors; a test compares the two.
package enum TuningSection: String, CaseIterable, Sendable {
  case profile
  case media
  case terms
  case shape
  case collectives
  case row

  package var keys: [String] {
    switch self {
    case .profile: ["version", "name", "processor", "measured", "terms", "shapes"]
    case .media: Medium.allCases.map(\.key)
    case .terms: MediumTerms.keys.map(\.name)
    case .shape: ["medium", "ranks", "processors", "groups", "collectives"]
    case .collectives: Collective.allCases.map(\.name)
    case .row: ["bytes", "microseconds"]
    }
  }

  fileprivate var what: String {
    switch self {
    case .profile: "a tuning profile"
    case .media: "the terms of media"
    case .terms: "a medium's terms"
    case .shape: "a shape"
    case .collectives: "measured collectives"
    case .row: "a measured size"
    }
  }
}

extension DescriptionKind {
  /// A tuning profile, for errors.
  package static let tuning = DescriptionKind(
    one: "a tuning profile", many: "tuning profiles", least: "it has 'version' and 'name' at least (docs/TUNING.md)",
    insteadOfAliases: "write out what it stands for")
}

extension TuningProfile {
  private static let ranksMax = 1 << 20
  private static let (shapesMax, rowsMax, algorithmsMax, levelsMax) = (1000, 1000, 1000, 8)
  private static let textBytesMax = 255
  /// A day.
  private static let microsecondsMax = 86_400e6

  /// The profile that a file describes; nil where the file is of another version, whose keys may mean something else.
  ///
  /// - Parameters:
  ///   - description: The file's content.
  ///   - file: Its name, for errors.
  ///   - isForced: Whether to read a file of another version as if it were one of this.
  /// - Throws: ``DescriptionError`` for the first thing that is wrong.
  package static func read(
    _ description: DescriptionNode, file: String, isForced: Bool = false
  ) throws(DescriptionError) -> TuningProfile? {
    do throws(DescriptionError) {
      guard try isOfThisVersion(description) || isForced else { return nil }
      return try read(description)
    } catch {
      var error = error
      error.file = file
      throw error
    }
  }

  private static func isOfThisVersion(_ description: DescriptionNode) throws(DescriptionError) -> Bool {
    guard case .mapping(let members) = description.content else {
      throw description.error("", "must be a mapping of keys to values, not \(description.kind)")
    }
    guard let node = members.first(where: { $0.key == "version" })?.value else {
      // Where this key is misspelt, the error says so.
      let fields = try Fields(description, path: "", .profile)
      throw fields.error("version", "is missing: it is \(version)")
    }
    return try node.number("version", 1...Int(Int32.max)) == version
  }

  private static func read(_ description: DescriptionNode) throws(DescriptionError) -> TuningProfile {
    let fields = try Fields(description, path: "", .profile)
    guard let name = try line("name", fields) else { throw fields.error("name", "is missing: what people call the profile") }
    var profile = TuningProfile(name: name, measured: try line("measured", fields))
    if fields.has("processor") {
      let family = try fields.choice("processor", ProcessorFamily.allCases.map(\.rawValue))
      profile.family = ProcessorFamily(rawValue: family)
    }
    if let node = fields.optional("terms") { profile.terms = try readTerms(node) }
    guard let node = fields.optional("shapes") else { return profile }
    var shapes: Set<JobShape> = []
    for (index, node) in try node.list("shapes", 0...shapesMax).enumerated() {
      let own = try Fields(node, path: "shapes[\(index)]", .shape)
      let shape = try readShape(own)
      guard shapes.insert(shape).inserted else {
        throw node.error(own.path, "is the shape of another element too: put their collectives together")
      }
      for table in try readTables(own, shape) { profile.add(table) }
    }
    return profile
  }

  /// Text of one line; nil where it is not there.
  private static func line(_ key: String, _ fields: Fields) throws(DescriptionError) -> String? {
    guard let text = try fields.text(key) else { return nil }
    guard (1...textBytesMax).contains(text.utf8.count), text.unicodeScalars.allSatisfy({ $0.value >= 32 && $0.value != 127 })
    else { throw fields.error(key, "must be one line of 1 to \(textBytesMax) bytes") }
    return text
  }

  private static func readTerms(_ node: DescriptionNode) throws(DescriptionError) -> [Medium: MediumTerms] {
    let fields = try Fields(node, path: "terms", .media)
    var terms: [Medium: MediumTerms] = [:]
    for medium in Medium.allCases {
      guard let node = fields.optional(medium.key) else { continue }
      let own = try Fields(node, path: fields.path(medium.key), .terms)
      func value(_ key: String) throws(DescriptionError) -> Double {
        try own.required(key, "in microseconds").decimal(own.path(key), 0...microsecondsMax)
      }
      terms[medium] = MediumTerms(
        round: try value("round"), message: try value("message"), anyMessage: try value("message-of-all"),
        byte: try value("byte"), anyByte: try value("byte-of-all"), firstByte: try value("first-byte"))
    }
    return terms
  }

  private static func readShape(_ own: Fields) throws(DescriptionError) -> JobShape {
    let key = try own.choice("medium", Medium.allCases.map(\.key))
    let ranks = try own.number("ranks", 1...ranksMax)
    let processors = try own.number("processors", 1...ranks)
    var groups: [[Int]] = []
    if let node = own.optional("groups") {
      for (level, node) in try node.list(own.path("groups"), 1...levelsMax).enumerated() {
        let path = "\(own.path("groups"))[\(level)]"
        var sizes: [Int] = []
        for (group, node) in try node.list(path, 1...ranks).enumerated() {
          sizes.append(try node.number("\(path)[\(group)]", 1...ranks))
        }
        // Each is at most as much as all, and there are at most as many.
        let sum = sizes.reduce(0, +)
        guard sum == ranks else { throw node.error(path, "has groups of \(sum) ranks together: there are \(ranks)") }
        groups.append(sizes)
      }
    }
    let medium = Medium.allCases.first { $0.key == key }
    return JobShape(medium: medium ?? .network, ranks: ranks, processors: processors, groups: groups)
  }

  private static func readTables(_ own: Fields, _ shape: JobShape) throws(DescriptionError) -> [TuningTable] {
    let node = try own.required("collectives", "what was measured of each")
    let fields = try Fields(node, path: own.path("collectives"), .collectives)
    var tables: [TuningTable] = []
    // In the order of the file, so that what is written again is the same text.
    guard case .mapping(let members) = node.content else { return [] }
    for member in members {
      guard let collective = Collective(name: member.key) else { continue }
      let path = fields.path(member.key)
      var rows: [TuningTable.Row] = []
      for (index, node) in try member.value.list(path, 1...rowsMax).enumerated() {
        let row = try readRow(try Fields(node, path: "\(path)[\(index)]", .row))
        if let last = rows.last, last.bytes >= row.bytes {
          throw node.error("\(path)[\(index)].bytes", "\(row.bytes) follows \(last.bytes): sizes are in ascending order")
        }
        rows.append(row)
      }
      tables.append(TuningTable(shape: shape, collective: collective, rows: rows))
    }
    return tables
  }

  private static func readRow(_ own: Fields) throws(DescriptionError) -> TuningTable.Row {
    let bytes = UInt64(try own.number("bytes", 0...Int.max))
    let node = try own.required("microseconds", "the time of each algorithm")
    let path = own.path("microseconds")
    guard case .mapping(let members) = node.content, (1...algorithmsMax).contains(members.count) else {
      throw node.error(path, "must be a mapping of 1 to \(algorithmsMax) algorithms to times, not \(node.kind)")
    }
    var times: [String: Double] = [:]
    for member in members {
      let name = member.key
      guard (1...textBytesMax).contains(name.utf8.count), name != "auto" else {
        throw DescriptionError(member.position, field: path, "'\(name.prefix(64))' is not the name of an algorithm")
      }
      let time = try member.value.decimal("\(path).\(name.prefix(64))", 0...microsecondsMax)
      guard time > 0 else { throw member.value.error("\(path).\(name.prefix(64))", "0 is no time that a call takes") }
      times[name] = time
    }
    return TuningTable.Row(bytes: bytes, microseconds: times)
  }
}

extension Fields {
  fileprivate init(_ node: DescriptionNode, path: String, _ section: TuningSection) throws(DescriptionError) {
    try self.init(node, path: path, keys: section.keys, of: section.what)
  }
}
