import Glibc
import TuttiSystem

/// A host that runs ranks of a job, and how many.
public struct LaunchHost: Sendable, Hashable {
  /// The most ranks of one host.
  public static let slotsMax = 512

  /// Its name or numeric address, without brackets.
  public var name: String
  /// The user whose account runs the ranks there; nil for whatever the remote shell makes of it.
  public var user: String?
  /// The number of its ranks.
  public var slots: Int

  public init(name: String, user: String? = nil, slots: Int = 1) { (self.name, self.user, self.slots) = (name, user, slots) }

  /// What remote shells are given: `name` or `user@name`.
  public var destination: String { user.map { "\($0)@\(name)" } ?? name }
}

/// The hosts of a job, in the order of their ranks. Each is named once.
public struct HostList: Sendable, Hashable {
  /// The most ranks of all hosts together.
  public static let ranksMax = JobSize.ranksMax

  public let hosts: [LaunchHost]

  /// The number of ranks.
  public var rankCount: Int { hosts.reduce(0) { $0 + $1.slots } }

  /// Reads a list such as `a:4,user@b:2,[fd00::1]:2`. A host without a number has one rank.
  ///
  /// - Parameter source: What messages call the list.
  /// - Throws: ``LaunchError`` with `.hosts`, naming the column, what is wrong there, and what would be right.
  public init(_ text: String, source: String = "the list of hosts") throws(LaunchError) {
    var collected = HostCollection(source)
    var column = 1
    for entry in text.split(separator: ",", omittingEmptySubsequences: false) {
      let start = entry.prefix { $0 == " " || $0 == "\t" }.count
      let word = HostWord(entry.trimmingBlanks, HostPlace(source: source, column: column + start))
      guard !word.text.isEmpty else {
        throw word.place.error(text.isEmpty ? "it is empty. Name hosts: a:4,b:4" : "a comma with no host beside it")
      }
      try collected.add(word.host(), at: word.place)
      column += entry.count + 1
    }
    hosts = try collected.finish()
  }

  /// Reads a hostfile: a host on each line, as `name`, `name:4`, `name slots=4` or `user@name`, IPv6 addresses in brackets;
  /// `#` begins a comment.
  ///
  /// - Throws: ``LaunchError`` with `.hosts`, naming file, line and column, what is wrong there, and what would be right.
  public init(file path: String) throws(LaunchError) {
    var collected = HostCollection(path)
    for line in try HostfileText(path).lines {
      if let entry = try HostfileLine(line).host { try collected.add(entry.host, at: entry.place) }
    }
    hosts = try collected.finish()
  }
}

/// Hosts as they are read, each with the place where it was named.
private struct HostCollection {
  let source: String
  private var hosts: [LaunchHost] = []
  private var places: [String: HostPlace] = [:]
  private var rankCount = 0

  init(_ source: String) { self.source = source }

  mutating func add(_ host: LaunchHost, at place: HostPlace) throws(LaunchError) {
    if let first = places.updateValue(place, forKey: host.name.lowercased()) {
      throw place.error(
        "the host '\(host.name)' is named twice, first in \(first.short). Name it once, with all its ranks: \(host.name):N")
    }
    hosts.append(host)
    rankCount += host.slots
    guard rankCount <= HostList.ranksMax else {
      throw place.error("with this host there are \(rankCount) ranks, and a job has at most \(HostList.ranksMax)")
    }
  }

  func finish() throws(LaunchError) -> [LaunchHost] {
    guard !hosts.isEmpty else { throw LaunchError(.hosts, "\(source) names no host. Write one on each line: name slots=4") }
    return hosts
  }
}

/// Where something is written, for messages.
struct HostPlace {
  let source: String
  /// nil in what has one line only.
  var line: Int?
  var column: Int

  init(source: String, line: Int? = nil, column: Int) { (self.source, self.line, self.column) = (source, line, column) }

  func at(_ offset: Int) -> HostPlace { HostPlace(source: source, line: line, column: column + offset) }

  var short: String { line.map { "line \($0)" } ?? "column \(column)" }

  func error(_ message: String) -> LaunchError {
    let place = line.map { "\(source):\($0):\(column)" } ?? "\(source), column \(column)"
    return LaunchError(.hosts, "\(place): \(message)")
  }
}

extension Substring {
  /// Without spaces and tabs at both ends.
  var trimmingBlanks: Substring {
    var text = drop { $0 == " " || $0 == "\t" }
    while let last = text.last, last == " " || last == "\t" { text.removeLast() }
    return text
  }
}
