import TuttiSystem

/// Reads variables so that every complaint names the variable, its value and what to set. An empty value counts as not set.
struct EnvironmentReader {
  private let environment: [String: String]

  init(_ environment: [String: String]) { self.environment = environment }

  subscript(name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

  func hasAny(_ names: [String]) -> Bool { names.contains { self[$0] != nil } }

  func requireAll(_ names: [String]) throws(FailureReport) {
    let missing = names.filter { self[$0] == nil }
    guard !missing.isEmpty else { return }
    let present = names.filter { self[$0] != nil }
    throw FailureReport(
      .configuration,
      "\(missing.joined(separator: ", ")) \(missing.count == 1 ? "is" : "are") not set, but "
        + "\(present.joined(separator: ", ")) \(present.count == 1 ? "is" : "are")",
      advice: "Set \(names.joined(separator: ", ")) together, on every rank")
  }

  func integer(_ name: String, _ range: ClosedRange<Int>) throws(FailureReport) -> Int {
    let text = self[name] ?? ""
    guard let value = Int(text), range.contains(value) else {
      throw FailureReport(
        .configuration, "\(name)=\"\(text)\" is not a number from \(range.lowerBound) to \(range.upperBound)",
        advice: "Set \(name) to a decimal number in that range")
    }
    return value
  }

  /// Whether a variable is 1; it may also be 0, or not set.
  func flag(_ name: String) throws(FailureReport) -> Bool {
    switch self[name] {
    case "1": return true
    case nil, "0": return false
    case let value?:
      throw FailureReport(.configuration, "\(name)=\"\(value)\" is neither 0 nor 1", advice: "Set it to 0 or 1")
    }
  }

  func rankAndCount(_ rankName: String, _ countName: String) throws(FailureReport) -> (rank: Int, count: Int) {
    let count = try integer(countName, 1...JobSize.ranksMax)
    let rank = try integer(rankName, 0...Int(UInt32.max))
    guard rank < count else {
      throw FailureReport(
        .configuration, "\(rankName)=\(rank) is outside the job: \(countName)=\(count)",
        advice: "Ranks count from 0, so \(rankName) must be 0 to \(count - 1)")
    }
    return (rank, count)
  }

  func refuseContradiction(_ value: Int, _ name: String, _ other: String) throws(FailureReport) {
    guard let text = self[other], Int(text) != value else { return }
    throw FailureReport(
      .configuration, "\(name)=\(value) and \(other)=\"\(text)\" contradict each other",
      advice: "Unset \(other), or set both to the same number")
  }
}
